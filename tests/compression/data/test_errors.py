import inspect

from compression.data import errors

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]


def test_each_error_has_its_own_code_and_is_drawn_in_the_tree() -> None:
    assert len({error.code for error in CLASSES}) == len(CLASSES)
    for error in CLASSES:
        assert issubclass(error, errors.DatasetError)
        assert error.__name__ in errors.__doc__
        assert error is errors.DatasetError or error.code in errors.__doc__


def test_an_error_says_what_is_wrong_and_what_to_do() -> None:
    error = errors.EmptyFolderError("nothing in it", "fill it")
    assert (str(error), error.message, error.hint, error.code) == (
        "nothing in it",
        "nothing in it",
        "fill it",
        "empty_folder",
    )
