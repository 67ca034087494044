import inspect
import re

import pytest

from converters import errors
from converters.errors import ConversionError, UnsupportedOperatorError, nearest

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ConversionError)]


def test_codes_are_distinct_and_snake_case() -> None:
    codes = [kind.code for kind in CLASSES]
    assert len(set(codes)) == len(codes) == 24
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not ConversionError])
def test_the_tree_in_the_docstring_has_every_class_with_its_code(kind: type[ConversionError]) -> None:
    assert re.search(rf"── {kind.__name__} +{kind.code} ", errors.__doc__ or "")


def test_an_unnamed_node_is_not_shown() -> None:
    assert "node" not in UnsupportedOperatorError("Foo", "", "", "unknown").message
    assert "com.acme.Foo (node 'a')" in UnsupportedOperatorError("Foo", "com.acme", "a", "unknown").message


def test_nearest_names_the_most_similar_or_else_all() -> None:
    assert nearest("imgae", ["image", "mask"]) == "did you mean 'image'?"
    assert nearest("zzz", ["image", "mask"]) == "choose from 'image', 'mask'"
