"""What a study asks, and where it is kept."""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from compression.training.recipe import Precision, Select
from contract.api import MAX_RUNS
from contract.manifest import MODEL_NAME
from host import places
from host.errors import InputError
from host.preprocessing import first_problem
from host.reproduction.plan import RATES

CONTROL_RATE = 0.0
"""Of the control: the original, nothing removed, trained on for as long as the compressed models are retrained."""

QUICK = {"epochs": 10, "retrain_epochs": 5}
"""To see that everything works: such AUCs say little."""

MOST_TRIALS = 1000

EXAMPLES = {
    "name": 'name = "line-3"',
    "data": 'data = "capsules"',
    "model": 'model = "small"',
    "rates": "rates = [0.9, 0.99]",
    "trials": "trials = 3",
    "boards": 'boards = ["desktop"]',
    "epochs": "epochs = 200",
    "retrain_epochs": "retrain_epochs = 200",
    "select": 'select = "validation"',
    "seed": "seed = 0",
    "own_original": "own_original = true",
    "runs": "runs = 1000",
    "device": 'device = "cpu"',
    "precision": 'precision = "fp32"',
    "learning_rate": "learning_rate = 0.001",
    "factor_learning_rate": "factor_learning_rate = 0.002",
    "weight_decay": "weight_decay = 4.0",
}
"""How a study.toml has each key: what a user is shown who has written it otherwise."""


@dataclass(frozen=True)
class Study:
    """`model`: a key of `compression.autoencoder.SPECS`, which is trained here, or the path of an .onnx file.

    `rates` ascend, and the first is CONTROL_RATE. A trial compresses and retrains anew with a seed of its own (`seed` +
    trial - 1, trials counted from 1); `own_original`: it also trains its original anew, else all trials share one.
    `epochs` of the original, where it is trained here; `retrain_epochs` of every rate, the control included. `select`:
    how an epoch is chosen, the same way for all of them; by the test images it is optimistic. `runs` of each bench.
    `weight_decay` is that of an original's kernels, `factor_learning_rate` that of a model whose layers are factors.
    """

    name: str
    data: Path
    model: str = "small"
    rates: tuple[float, ...] = (CONTROL_RATE, *RATES)
    trials: int = 3
    boards: tuple[str, ...] = ("desktop",)
    epochs: int = 200
    retrain_epochs: int = 200
    select: Select = "validation"
    seed: int = 0
    own_original: bool = False
    runs: int = 1000
    device: Literal["cpu", "cuda"] = "cpu"
    precision: Precision = "fp32"
    learning_rate: float = 1e-3
    factor_learning_rate: float = 2e-3
    weight_decay: float = 4.0

    @property
    def folder(self) -> Path:
        """Where its records and models are."""
        return folder_of(self.name)

    @property
    def trains_original(self) -> bool:
        """Or takes one that is there."""
        return not self.model.endswith(".onnx")

    def seed_of(self, trial: int) -> int:
        """Of a trial, counted from 1."""
        return self.seed + trial - 1

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "data": str(self.data)}


def folder_of(name: str) -> Path:
    """The folder of a study, there or not. InputError where it is no name for one."""
    if not re.fullmatch(MODEL_NAME, name):
        raise InputError(
            f"{name!r} is no name for a study", "take letters, digits, dot, dash and underscore; 64 at most"
        )
    return studies_dir() / name


def studies_dir() -> Path:
    """A folder for each."""
    return places.data_dir() / "studies"


def read_toml(path: Path) -> dict[str, Any]:
    """The fields that a study.toml gives, its paths resolved beside it. InputError."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "name a study.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML: {error}", "see the README's example of a study.toml") from error
    for key in ("data", "model"):
        value = told.get(key)
        if isinstance(value, str) and (key == "data" or value.endswith(".onnx")):
            told[key] = str(path.parent / Path(value).expanduser())
    return told


def study_of(told: Mapping[str, Any]) -> Study:
    """A study of fields as a study.toml or a command line has them; whatever is left out has its default.

    InputError names the key, and the nearest one where there is none.
    """
    known = [field.name for field in fields(Study)]
    for key in told:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"a study has no key {key!r}{meant}", f"it has {', '.join(known)}", "unknown_key")
    for key, example in (("data", "capsules"), ("name", "line-3")):
        if key not in told:
            raise InputError(
                f"the study has no {key}", f'say --{key} {example}, or write into a study.toml {key} = "{example}"'
            )
    try:
        study = TypeAdapter(Study).validate_json(json.dumps(told, default=str), strict=True)
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        raise InputError(f"the study's {first_problem(error)}", f"write it like {EXAMPLES[key]}") from error
    model = study.model if study.trains_original else str(Path(study.model).expanduser().absolute())
    return replace(study, data=study.data.expanduser().absolute(), model=model, rates=_rates(study.rates))


def name_of(path: Path) -> str:
    """For a study that has no name: after its file or its images."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.name).strip("-._")[:60] or "study"


def check(study: Study) -> None:
    """InputError: what could not be done, before anything is begun."""
    from compression.autoencoder import SPECS

    folder_of(study.name)
    if study.trains_original and study.model not in SPECS:
        near = difflib.get_close_matches(study.model, SPECS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{study.model!r} is no reference model{meant}", f"take one of {', '.join(SPECS)}, or an .onnx file"
        )
    if study.own_original and not study.trains_original:
        raise InputError("own_original: there is but one original, the file", "leave it out, or name a reference model")
    least = {"trials": 1, "epochs": 1, "retrain_epochs": 1, "runs": 2, "seed": 0}
    for key, bound in least.items():
        if getattr(study, key) < bound:
            raise InputError(f"{key} is {getattr(study, key)}, below {bound}", f"give {bound} or more")
    for key, most in {"learning_rate": 1.0, "factor_learning_rate": 1.0, "weight_decay": 100.0}.items():
        if not 0 <= getattr(study, key) <= most:
            raise InputError(f"{key} is {getattr(study, key)}, not from 0 to {most:g}", "leave it out for the default")
    for key, bound in {"trials": MOST_TRIALS, "runs": MAX_RUNS}.items():
        if getattr(study, key) > bound:
            raise InputError(f"{key} is {getattr(study, key)}, above {bound}", "take fewer")
    _check_boards(study.boards)


def _check_boards(names: tuple[str, ...]) -> None:
    if not names:
        raise InputError("there are no boards", "name at least one, e.g. --boards desktop")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name!r} is named twice in boards", "name each board once")


def _rates(rates: tuple[float, ...]) -> tuple[float, ...]:
    """Ascending, the control's first. InputError."""
    for rate in rates:
        if not 0 <= rate < 1:
            percent = f"; did you mean {rate / 100:g}?" if 1 <= rate < 100 else ""
            raise InputError(f"the rate {rate:g} is not from 0 to below 1{percent}", "0.99 leaves one weight in 100")
    if len({f"{rate:g}" for rate in rates}) < len(rates):  # as files are named
        raise InputError(f"a rate is given twice: {', '.join(f'{rate:g}' for rate in rates)}", "give each once")
    return tuple(sorted({CONTROL_RATE, *rates}))


def differing(one: Study, other: Study) -> list[str]:
    """The fields in which they differ, as JSON has them."""
    first, second = (json.loads(json.dumps(each.as_json())) for each in (one, other))
    return [key for key in first if first[key] != second[key]]
