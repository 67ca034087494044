"""Requests are strict, replies are lenient, and both are immutable."""

import math

import pytest
from pydantic import ValidationError

from contract.base import Contract, Reply


class Asked(Contract):
    runs: int = 1
    sigma: float = 1.0


class Told(Reply):
    runs: int
    sqnr_db: float | None = None


def test_an_unknown_key_of_a_request_is_an_error() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Asked.model_validate_json('{"rnus": 10}')


def test_an_unknown_key_of_a_reply_is_passed_over() -> None:
    assert Told.model_validate_json('{"runs": 3, "of a newer agent": [1]}') == Told(runs=3)


def test_a_request_has_finite_numbers() -> None:
    with pytest.raises(ValidationError, match="finite"):
        Asked(sigma=math.nan)


def test_a_reply_has_null_where_json_has_no_number() -> None:
    assert Told(runs=1, sqnr_db=math.inf).model_dump_json() == '{"runs":1,"sqnr_db":null}'


@pytest.mark.parametrize("model", [Asked(), Told(runs=1)])
def test_both_are_immutable(model: Asked | Told) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        model.runs = 2
