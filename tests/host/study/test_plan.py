from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from host.engine.local import Local
from host.engine.schedule import Schedule
from host.engine.task import HOST
from host.study.plan import MEASURE, TEACH, Step, step_of, steps_of, tasks_of
from host.study.spec import CONTROL_RATE, Study

STUDY = Study("s", Path("/images"), rates=(CONTROL_RATE, 0.9, 0.99), trials=2, boards=("desktop", "coral"))

STEPS = st.builds(
    Step,
    st.none() | st.integers(1, 99),
    st.none() | st.floats(0, 1, exclude_max=True),
    st.none() | st.sampled_from(["desktop", "line-3"]),
)


@given(STEPS)
def test_a_step_is_read_as_it_was_written(step: Step) -> None:
    assert step_of(step.arguments) == step


def test_one_original_and_every_rate_of_every_trial_on_every_board() -> None:
    steps = list(steps_of(STUDY))
    assert len(set(steps)) == len(steps) == 1 + 2 * 3 * (1 + 2)
    assert steps[0] == Step(None)
    own = list(steps_of(Study(**{**vars(STUDY), "own_original": True})))
    assert [step for step in own if step.rate is None] == [Step(1), Step(2)]


def test_names_are_those_of_files() -> None:
    assert [step.name for step in list(steps_of(STUDY))[:4]] == [
        "original",
        "trial-1-rate-0",
        "trial-1-rate-0-on-desktop",
        "trial-1-rate-0-on-coral",
    ]


def test_a_measurement_needs_its_model_alone() -> None:
    tasks = tasks_of(STUDY, ["desktop"])
    Schedule([task for _, task in tasks.values()], [], Local(2))
    _, task = tasks["trial-2-rate-0.99-on-coral"]
    assert task.needs == ("trial-2-rate-0.99",)
    assert (task.module, task.lane, task.alone) == (MEASURE, "board:coral", False)
    assert tasks["trial-2-rate-0.99-on-desktop"][1].alone
    assert tasks["trial-2-rate-0-on-coral"][1].needs == ("trial-2-rate-0",)


def test_what_is_taught_can_be_taught_elsewhere() -> None:
    _, task = tasks_of(STUDY, [])["trial-1-rate-0.9"]
    assert (task.module, task.lane, task.needs) == (TEACH, HOST, ("original",))
    assert set(task.reads) == {"study.json", "data", "original.onnx", "original.json"}
    assert task.writes == ("trial-1/rate-0.9.onnx", "trial-1/rate-0.9.json")


def test_a_users_own_model_is_sent_along() -> None:
    own = Study(**{**vars(STUDY), "model": "mine.onnx"})
    assert "model.onnx" in tasks_of(own, [])["original"][1].reads


def test_a_board_may_be_interrupted() -> None:
    _, task = tasks_of(STUDY, [], interrupt=True)["trial-1-rate-0.9-on-coral"]
    assert task.arguments == ("1", "0.9", "coral", "--interrupt")


def test_a_gpu_is_asked_for_where_it_is_used() -> None:
    on_gpu = tasks_of(Study(**{**vars(STUDY), "device": "cuda"}), [])
    assert on_gpu["trial-1-rate-0.9"][1].gpus == 1
    assert on_gpu["trial-1-rate-0.9-on-coral"][1].gpus == 0
