from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host.study.growing import differences, grown, in_words
from host.study.plan import steps_of
from host.study.spec import CONTROL_RATE, Study

STUDY = Study("s", Path("/images"), rates=(CONTROL_RATE, 0.9), trials=2, boards=("desktop", "coral"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boards": ("nano", "coral", "desktop")}, "boards + nano"),
        ({"rates": (CONTROL_RATE, 0.5, 0.9, 0.99)}, "rates + 0.5 0.99"),
        ({"trials": 5}, "trials 2 -> 5"),
        (
            {"boards": ("desktop", "coral", "nano"), "rates": (CONTROL_RATE, 0.9, 0.99), "trials": 3},
            "boards + nano, rates + 0.99, trials 2 -> 3",
        ),
    ],
)
def test_what_is_new_is_added(change: dict[str, Any], said: str) -> None:
    asked = replace(STUDY, **change)
    more = grown(STUDY, asked)
    assert more is not None
    assert in_words(STUDY, more) == said
    assert set(steps_of(more)) == set(steps_of(asked)) > set(steps_of(STUDY))
    assert more.boards[:2] == STUDY.boards
    assert list(more.rates) == sorted(more.rates)
    assert grown(more, asked) == more  # the same command goes on with it


def test_the_order_of_boards_changes_nothing() -> None:
    assert grown(STUDY, replace(STUDY, boards=("coral", "desktop"))) == STUDY


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boards": ("desktop", "nano")}, "boards desktop coral there, desktop nano here"),
        ({"rates": (CONTROL_RATE, 0.99)}, "rates 0 0.9 there, 0 0.99 here"),
        ({"trials": 1}, "trials 2 there, 1 here"),
        ({"epochs": 20, "trials": 3}, "trials 2 there, 3 here, epochs 200 there, 20 here"),
        ({"runs": 20}, "runs 1000 there, 20 here"),
        ({"seed": 1}, "seed 0 there, 1 here"),
        ({"data": Path("/others")}, "data /images there, /others here"),
    ],
)
def test_what_is_less_or_other_is_another_study(change: dict[str, Any], said: str) -> None:
    asked = replace(STUDY, **change)
    assert grown(STUDY, asked) is None
    assert differences(STUDY, asked) == said
