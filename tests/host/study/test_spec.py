import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import InputError
from host.study.spec import CONTROL_RATE, EXAMPLES, Study, check, differing, folder_of, name_of, read_toml, study_of

TOLD: dict[str, Any] = {"name": "line-3", "data": "capsules"}


def test_what_is_left_out_has_its_default() -> None:
    study = study_of(TOLD)
    assert (study.model, study.trials, study.boards, study.select) == ("small", 3, ("desktop",), "validation")
    assert study.rates[0] == CONTROL_RATE
    assert study.data.is_absolute()
    assert [study.seed_of(trial) for trial in (1, 2, 3)] == [0, 1, 2]


@given(st.lists(st.floats(0.001, 0.9999), min_size=1, max_size=9, unique_by="{:g}".format))
def test_rates_ascend_from_the_control(rates: list[float]) -> None:
    found = study_of({**TOLD, "rates": rates}).rates
    assert found == (CONTROL_RATE, *sorted(rates))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": [0.9]}, "no key 'rate'; did you mean 'rates'"),
        ({"rates": [99]}, "the rate 99 is not from 0 to below 1; did you mean 0.99"),
        ({"rates": [0.9, 0.9]}, "a rate is given twice"),
        ({"rates": [1.0]}, "the rate 1 is not"),
        ({"rates": [float("nan")]}, "the rate nan is not"),
        ({"trials": "many"}, "trials: Input should be a valid integer"),
        ({"trials": "3"}, "trials: Input should be a valid integer"),
        ({"own_original": 1}, "own_original: Input should be a valid boolean"),
        ({"boards": "desktop"}, "boards: Input should be a valid array"),
        ({"select": "best"}, "select: Input should be 'test' or 'validation'"),
        ({"rates": 0.9}, "rates"),
    ],
)
def test_what_is_no_study(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        study_of({**TOLD, **change})


@pytest.mark.parametrize(
    ("change", "example"),
    [
        ({"rates": "0.9,0.99"}, "rates = [0.9, 0.99]"),
        ({"rates": [0.9, "0.99"]}, "rates = [0.9, 0.99]"),
        ({"boards": "desktop"}, 'boards = ["desktop"]'),
        ({"epochs": "20"}, "epochs = 200"),
        ({"own_original": "yes"}, "own_original = true"),
    ],
)
def test_what_is_written_otherwise_is_shown_an_example(change: dict[str, Any], example: str) -> None:
    with pytest.raises(InputError) as caught:
        study_of({**TOLD, **change})
    assert caught.value.hint == f"write it like {example}"


def test_every_key_has_an_example_that_is_right() -> None:
    assert list(EXAMPLES) == [field.name for field in fields(Study)]
    check(study_of(tomllib.loads("\n".join(EXAMPLES.values()))))


@pytest.mark.parametrize("missing", ["name", "data"])
def test_what_every_study_has(missing: str) -> None:
    with pytest.raises(InputError, match=f"has no {missing}"):
        study_of({key: value for key, value in TOLD.items() if key != missing})


def test_images_are_asked_for_first() -> None:
    with pytest.raises(InputError, match="has no data") as caught:
        study_of({})
    assert "--data capsules" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../else"}, "is no name for a study"),
        ({"model": "smal"}, "'smal' is no reference model; did you mean 'small'"),
        ({"model": "mine.onnx", "own_original": True}, "there is but one original"),
        ({"trials": 0}, "trials is 0, below 1"),
        ({"trials": 1001}, "trials is 1001, above 1000"),
        ({"runs": 1}, "runs is 1, below 2"),
        ({"runs": 2_000_000}, "runs is 2000000, above 1000000"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0, not from 0 to 1"),
        ({"retrain_epochs": 0}, "retrain_epochs is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"boards": ["desktop", "coral", "desktop"]}, "'desktop' is named twice in boards"),
        ({"boards": []}, "there are no boards"),
    ],
)
def test_what_cannot_be_done(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check(study_of({**TOLD, **change}))


def test_a_file_names_its_images_from_where_it_lies(tmp_path: Path) -> None:
    file = tmp_path / "line-3.toml"
    file.write_text('data = "capsules"\nmodel = "models/mine.onnx"\nrates = [0.9]\n')
    told = read_toml(file)
    assert "name" not in told
    assert name_of(file.with_suffix("")) == "line-3"
    assert (told["data"], told["model"]) == (str(tmp_path / "capsules"), str(tmp_path / "models" / "mine.onnx"))
    file.write_text('data = "capsules"\nmodel = "small"\n')
    assert read_toml(file)["model"] == "small"


@pytest.mark.parametrize("content", [b"rates = [", b"\xff\xfe"])
def test_a_file_that_is_no_toml(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes(content)
    with pytest.raises(InputError, match="is no TOML"):
        read_toml(tmp_path / "study.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_toml(tmp_path / "study.toml")


@pytest.mark.parametrize("name", ["capsules", "my images (new)", "カプセル", "..", "x" * 99, "-a-", "a.b_c"])
def test_a_name_after_its_images_is_one(name: str) -> None:
    folder_of(name_of(Path("/data") / name))


def test_each_has_a_folder(home: Path) -> None:
    assert folder_of("line-3") == home / "data" / "studies" / "line-3"


def test_in_what_two_differ() -> None:
    one, other = study_of(TOLD), study_of({**TOLD, "trials": 4, "rates": [0.9]})
    assert differing(one, other) == ["rates", "trials"]
    assert differing(one, Study(**vars(one))) == []
