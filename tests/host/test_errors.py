import re
from collections.abc import Iterator

import pytest

from compression.data.errors import DatasetError, MixedSizesError
from compression.errors import BelowFloorError, CompressionError
from host import errors
from host.errors import (
    AmbiguousRowError,
    HostError,
    InputError,
    ResultsNewerError,
    UnknownRowError,
    as_input_error,
)
from inspection.errors import BrokenImageError, InspectionError


def tree(kind: type[HostError] = HostError, depth: int = 0) -> Iterator[tuple[int, str, int, str]]:
    yield depth, kind.__name__, kind.exit_code, kind.code
    for child in kind.__subclasses__():
        if child.__module__ == "host.errors":
            yield from tree(child, depth + 1)


def drawn() -> list[tuple[int, str, int, str]]:
    lines = re.findall(r"^((?:\|   |    )*(?:\+-- )?)(\w+Error) +(\d) +(\w+)", errors.__doc__ or "", re.MULTILINE)
    return [(len(indent) // 4, name, int(exit_code), code) for indent, name, exit_code, code in lines]


def test_the_docstring_draws_the_tree() -> None:
    assert drawn() == list(tree())


def test_codes_are_snake_case_and_unique() -> None:
    codes = [code for _, _, _, code in tree()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_an_error_has_message_and_hint() -> None:
    error = HostError("the value 7 is odd", "give an even one")
    assert (str(error), error.message, error.hint) == ("the value 7 is odd", "the value 7 is odd", "give an even one")


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (ResultsNewerError("results.sqlite", "0009", "0001"), ("results.sqlite", "0009", "0001")),
        (UnknownRowError("k3x", "k3v9x0ab"), ("k3x", "k3v9x0ab")),
        (AmbiguousRowError("k3", ["k3v9x0ab", "k3zzzzzz"]), ("k3", "k3v9x0ab", "k3zzzzzz")),
    ],
)
def test_messages_have_the_values(error: HostError, parts: tuple[str, ...]) -> None:
    assert all(part in error.message for part in parts)
    assert error.hint


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BelowFloorError(0.9999, 0.9), "below_floor"),
        (MixedSizesError("two sizes", "scale them"), "mixed_sizes"),
        (BrokenImageError("half an image", "send all of it"), "broken_image"),
    ],
)
def test_what_other_rooms_say_of_the_users_files(
    error: CompressionError | DatasetError | InspectionError, code: str
) -> None:
    with pytest.raises(InputError) as told, as_input_error():
        raise error
    assert (told.value.message, told.value.hint, told.value.code) == (str(error), error.hint, code)
    assert told.value.exit_code == 3
    assert told.value.__cause__ is error


def test_a_bug_stays_one() -> None:
    with pytest.raises(ZeroDivisionError), as_input_error():
        raise ZeroDivisionError
