"""The steps of a study as tasks: pure.

teach original         train it, or take the user's; shared, or of each trial
teach rate R, trial T  the control trained on (rate 0), or compressed and retrained
measure it on BOARD    deployed, judged on the test images and benched there
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from host.engine.task import HOST, Task, board_lane
from host.study import records
from host.study.records import original_path, taught_path
from host.study.spec import Study

TEACH, MEASURE = "host.study.teach", "host.study.measure"
RETRIES = 2
"""Of a step that was ended from outside or by a bug: memory may have been short for a moment."""


@dataclass(frozen=True)
class Step:
    """`trial` None: the original that all trials share; `rate` None: an original; `board` None: not on a board."""

    trial: int | None
    rate: float | None = None
    board: str | None = None

    @property
    def name(self) -> str:
        """Of its task and its log."""
        trial = "" if self.trial is None else f"trial-{self.trial}-"
        what = "original" if self.rate is None else f"rate-{self.rate:g}"
        return f"{trial}{what}" + ("" if self.board is None else f"-on-{self.board}")

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of its process; read again by `step_of`."""
        return tuple("" if part is None else str(part) for part in (self.trial, self.rate, self.board))


def step_of(arguments: tuple[str, ...]) -> Step:
    """The step of a process's arguments."""
    trial, rate, board = arguments
    return Step(int(trial) if trial else None, float(rate) if rate else None, board or None)


def steps_of(study: Study) -> Iterator[Step]:
    """In the order in which they are preferred: a trial's worth of every rate before the next trial."""
    for trial in range(1, study.trials + 1):
        if study.own_original or trial == 1:
            yield Step(trial if study.own_original else None)
        for rate in study.rates:
            yield Step(trial, rate)
            for board in study.boards:
                yield Step(trial, rate, board)


def tasks_of(study: Study, here: Collection[str], *, interrupt: bool = False) -> dict[str, tuple[Step, Task]]:
    """By name. `here`: the boards that are this machine, which is left alone while they are measured; `interrupt`: a
    board that serves requests is measured all the same.
    """
    return {step.name: (step, _task(study, step, here, interrupt)) for step in steps_of(study)}


def _task(study: Study, step: Step, here: Collection[str], interrupt: bool) -> Task:
    original = Step(step.trial if study.own_original else None)
    if step.rate is None:
        return _teaching(study, step, (), () if study.trains_original else (records.MODEL,))
    if step.board is None:
        known = _written(study, original)
        return _teaching(study, step, (original.name,), known)
    assert step.trial is not None, "an original is not measured"
    path = records.on_board_path(study.folder, step.trial, step.rate, step.board)
    return Task(
        step.name,
        MEASURE,
        (str(path.relative_to(study.folder)),),
        (Step(step.trial, step.rate).name,),
        (*step.arguments, *(["--interrupt"] if interrupt else [])),
        lane=board_lane(step.board),
        alone=step.board in here,
    )


def _teaching(study: Study, step: Step, needs: tuple[str, ...], reads: tuple[str, ...]) -> Task:
    return Task(
        step.name,
        TEACH,
        _written(study, step),
        needs,
        step.arguments,
        (records.STUDY_FILE, records.DATA, *reads),
        HOST,
        gpus=int(study.device == "cuda"),
        retries=RETRIES,
    )


def _written(study: Study, step: Step) -> tuple[str, str]:
    """A model and its record."""
    if step.rate is None:
        path = original_path(study.folder, step.trial)
    else:
        assert step.trial is not None
        path = taught_path(study.folder, step.trial, step.rate)
    return tuple(str(each.relative_to(study.folder)) for each in (records.model_path(path), path))  # type: ignore[return-value]  # two
