import inspect

from inspection import errors

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]


def test_each_error_has_its_own_code_and_is_drawn_in_the_tree() -> None:
    assert len({error.code for error in CLASSES}) == len(CLASSES)
    for error in CLASSES:
        assert issubclass(error, errors.InspectionError)
        assert error.__name__ in errors.__doc__


def test_an_error_says_what_is_wrong_and_what_to_do() -> None:
    error = errors.BrokenImageError("the image is empty", "send one")
    assert (str(error), error.hint, error.code) == ("the image is empty", "send one", "broken_image")
