import io
import sys
import time

import pytest
from rich.console import Console
from rich.progress import Progress as RichProgress
from told import Told

from contract.api import Job, JobState
from host import progress
from host.progress import Bar, Lines, on_job, shown


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time it is."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_line_for_each_stage_and_one_now_and_then_within(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.stage("loading")
    lines.stage("loading")
    lines.advance(0, 0)
    lines.stage("running")
    for done in range(0, 1_000_000, 1000):
        clock[0] += 0.011
        lines.advance(done, 1_000_000)
    lines.note("done with it")
    assert stream.getvalue().splitlines() == [
        "loading ...",
        "running ...",
        "running: 454,000 of 1,000,000",
        "running: 909,000 of 1,000,000",
        "done with it",
    ]


def test_what_there_is_to_say_of_it_stands_behind_the_count(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    bars = RichProgress(console=Console(file=io.StringIO()))
    for told in (lines, Bar(bars)):
        told.stage("training")
        clock[0] += progress.LINE_EVERY_S
        told.advance(7, 10, "error 1.2e-04")
    assert stream.getvalue().splitlines()[-1] == "training: 7 of 10, error 1.2e-04"
    assert bars.tasks[0].fields["count"] == "7 of 10, error 1.2e-04"


def test_where_nothing_is_new_a_line_a_minute_is_a_sign_of_life(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.stage("training")
    for _ in range(190):
        clock[0] += 1
        lines.advance(3, 10, "trial-2")
    assert stream.getvalue().splitlines() == ["training ..."] + 4 * ["training: 3 of 10, trial-2"]  # 5, 65, 125, 185
    clock[0] += progress.LINE_EVERY_S
    lines.advance(4, 10, "trial-2")
    assert stream.getvalue().splitlines()[-1] == "training: 4 of 10, trial-2"


def test_what_has_no_total_is_told_by_what_there_is_to_say_of_it(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    bars = RichProgress(console=Console(file=io.StringIO()))
    bar = Bar(bars)
    drawn = []
    for told in (lines, bar):
        told.stage("building")
        told.advance(0, 0)  # nothing to say
        for number in range(100):
            clock[0] += 0.11
            told.advance(0, 0, f"layer {number}")
            drawn.append(bars.tasks[0].fields["count"])
    assert stream.getvalue().splitlines() == ["building ...", "building: layer 45", "building: layer 91"]
    assert bars.tasks[0].total is None
    assert drawn[-1].startswith("layer 9")
    assert len(set(drawn)) == pytest.approx(11 / progress.BAR_EVERY_S, rel=0.3)


class Terminal(io.StringIO):
    """A terminal to the eye of a program."""

    def isatty(self) -> bool:
        return True


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


def test_a_bar_on_a_terminal_which_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_a_terminal(monkeypatch)
    with shown() as told:
        assert isinstance(told, Bar)
        told.stage("desktop: [red]running")
        told.advance(1000, 1000)
        told.note("trial 1 of 3: stored [bold]")
    text = terminal.getvalue()
    assert "desktop: [red]running" in text  # names are never read as markup
    assert "1,000 of 1,000" in text
    assert "trial 1 of 3: stored [bold]" in text
    assert text.rstrip("\n").endswith("\x1b[2K")  # the line is wiped


def test_a_bar_stands_aside_for_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_a_terminal(monkeypatch)
    with shown() as told:
        told.stage("running")
        with told.aside():
            before = terminal.getvalue()
            assert before.endswith("\x1b[2K")  # the line is wiped
            assert before.rindex("\x1b[?25h") > before.rindex("\x1b[?25l")  # the cursor is there to answer
            time.sleep(2 * progress.BAR_EVERY_S)
            assert terminal.getvalue() == before
        told.advance(1000, 1000)
    assert "1,000 of 1,000" in terminal.getvalue()[len(before) :]
    with Lines(io.StringIO()).aside():
        pass


def test_the_cursor_comes_back_after_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = at_a_terminal(monkeypatch)

    def work() -> None:
        with shown() as told:
            told.stage("running")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def test_a_stage_begins_without_what_the_one_before_had_done(clock: list[float]) -> None:
    bars = RichProgress(console=Console(file=io.StringIO()))
    bar = Bar(bars)
    bar.stage("running")
    bar.advance(7, 10)
    bar.stage("deciding")
    bar.stage("deciding")
    [task] = bars.tasks
    assert (task.description, task.completed, task.total, task.fields["count"]) == ("deciding", 0, None, "")


def test_a_bar_is_drawn_seldom_but_to_its_end(clock: list[float]) -> None:
    bars = RichProgress(console=Console(file=io.StringIO()))
    bar = Bar(bars)
    bar.stage("running")
    seen = []
    for done in range(1, 1001):
        clock[0] += 0.01
        bar.advance(done, 1000)
        seen.append(bars.tasks[0].completed)
    assert seen[-1] == 1000
    assert len(set(seen)) == pytest.approx(10 / progress.BAR_EVERY_S, rel=0.1)


def test_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with shown() as told:
        told.stage("loading")
    assert stream.getvalue() == "loading ...\n"


def test_of_a_job_on_a_board() -> None:
    stream = io.StringIO()
    job = Job(id="1", kind="bench", model="m", state=JobState.RUNNING, revision=1, stage="loading", done=1, total=2)
    on_job("desktop", Lines(stream))(job)
    assert stream.getvalue() == "desktop: loading ...\n"


def test_of_a_job_that_builds_the_last_line_is_told() -> None:
    told = Told()
    job = Job(id="1", kind="activate", model="m", state=JobState.RUNNING, revision=1, stage="building")
    tell = on_job("nano", told)
    tell(job)
    tell(job.model_copy(update={"lines": ("first", "  conv_1: 5 ms " + "x" * 100), "line_count": 9}))
    assert told.stages == ["nano: building"] * 2
    assert told.done == [(0, 0)] * 2
    [detail] = told.details
    assert detail.startswith("conv_1: 5 ms x")
    assert len(detail) == 60


def test_what_a_builder_said_is_over_with_its_stage() -> None:
    told = Told()
    job = Job(id="1", kind="activate", model="m", state=JobState.RUNNING, revision=1, stage="building")
    said = {"lines": ("conv_1", "conv_2"), "line_count": 2}
    tell = on_job("nano", told)
    tell(job)
    tell(job.model_copy(update=said))
    assert told.details == ["conv_2"]
    tell(job.model_copy(update={**said, "stage": "loading"}))
    tell(job.model_copy(update={**said, "stage": "loading", "revision": 2}))
    assert told.stages[-1] == "nano: loading"
    assert told.details == ["conv_2"]
    tell(job.model_copy(update={"lines": ("conv_2", "loaded"), "line_count": 3, "stage": "loading"}))
    assert told.details == ["conv_2", "loaded"]
