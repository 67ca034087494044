"""The runtimes' conformance suite, on a real GPU: every test of it that is of any place, as it stands.

Over the stand-ins it runs where it is (tests/conformance).
"""

from typing import Any

import pytest
from conformance import test_building, test_load, test_profile, test_serving
from gpu.conftest import REAL

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.parametrize("place", [REAL], indirect=True, scope="module"),
]

ELSEWHERE = {
    # of no place: what this machine's Pythons offer
    "test_a_runtime_that_a_python_lacks_is_refused_in_the_words_of_the_probe",
    "test_every_runtime_that_is_offered_here_has_a_maker",
    # its bounds are those of a small library: test_memory.py has others
    "test_the_peak_of_the_runs_is_of_this_process",
    "test_the_baseline_is_below_the_peak_of_the_load",
    "test_what_a_model_holds_shows_above_the_baseline",
}


def has_places_of_its_own(test: Any) -> bool:
    """It says itself which: of the times of layers, which test_chain.py asks for too."""
    marks = getattr(test, "pytestmark", [])
    return any(mark.name == "parametrize" and "place" in mark.args[0] for mark in marks)


for _module in (test_building, test_load, test_profile, test_serving):
    globals().update(  # tests, and the fixtures that they have to themselves
        {
            name: each
            for name, each in vars(_module).items()
            if name[0] != "_"
            and name not in {*ELSEWHERE, *globals()}
            and not (name.startswith("test_") and has_places_of_its_own(each))
        }
    )
