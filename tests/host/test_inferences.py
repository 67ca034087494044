import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from host.errors import InputError
from host.inferring import Answer, Failure, OutputSummary
from host.report.inferences import inferences_as_json, inferences_table

WIDTHS = pytest.mark.parametrize("width", [80, 120])


def shown(answers: list[Answer], width: int = 80, encoding: str = "utf-8") -> str:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding)
    Console(file=file, width=width).print(inferences_table(answers))
    file.flush()
    text = buffer.getvalue().decode(encoding)
    assert max((len(line) for line in text.splitlines()), default=0) <= width
    return text


def decided(name: str, score: float = 0.003847, decision: str = "good", threshold: float | None = 0.02364) -> Answer:
    return Answer(Path(f"/data/line 3/{name}"), 6.259, 27.92, score, threshold, decision)


def output(name: str = "reconstruction", shape: tuple[int, ...] = (1, 3, 256, 256)) -> OutputSummary:
    return OutputSummary(name, "float32", shape, 0.09931, 0.6438, 0.9912)


@WIDTHS
def test_decisions(width: int) -> None:
    text = shown([decided("good/000.png"), decided("bad/1.png", 0.1717, "defective")], width)
    first, second = (next(line for line in text.splitlines() if name in line).split() for name in ("000.png", "1.png"))
    assert first == ["good/000.png", "good", "0.003847", "6.259", "27.92"]
    assert second == ["bad/1.png", "defective", "0.1717", "6.259", "27.92"]
    assert "2 files: 1 good, 1 defective (defective above 0.02364)" in text
    assert "On average 6.259 ms in the model, 27.92 ms in the agent" in text
    assert "/data/line 3" not in text  # what they have in common is left out


def test_one_file() -> None:
    text = shown([decided("good/000.png")])
    assert text.splitlines()[2].startswith("000.png")
    assert text.splitlines()[-1].strip() == "1 file: 1 good (defective above 0.02364)"


def test_without_a_threshold() -> None:
    text = shown([decided("0.png", decision="uncalibrated", threshold=None)] * 2)
    assert "2 files: 2 uncalibrated (no threshold has been set yet)" in text


@WIDTHS
def test_a_long_name_is_folded_and_no_figure_cut(width: int) -> None:
    name = "station-4-camera-2-2025-11-24T07-30-00-" * 3 + ".png"
    text = shown([decided(name), decided("0.png")], width)
    assert "…" not in text
    assert "0.003847" in text
    assert name in "".join(line.split("  ")[0].strip() for line in text.splitlines()[2:6])


@WIDTHS
def test_outputs(width: int) -> None:
    answers = [
        Answer(Path("/data/a.npy"), 1.0, 2.0, outputs=(output(), output("scores", (1, 10)))),
        Answer(Path("/data/b.npy"), 3.0, 4.0, outputs=(output("scalar", ()),)),
    ]
    text = shown(answers, width)
    assert "…" not in text
    lines = [line.split() for line in text.splitlines()[2:5]]
    assert lines[0][:1] + lines[0][-5:] == ["a.npy", "float32", "1x3x256x256", "0.09931", "0.6438", "0.9912"]
    assert lines[1] == ["scores", "float32", "1x10", "0.09931", "0.6438", "0.9912"]
    assert "float32 scalar" in text
    assert "On average 2.000 ms in the model, 3.000 ms in the agent" in text


def test_decisions_and_outputs() -> None:
    both = Answer(Path("/data/a.png"), 1.0, 2.0, 0.1, 0.2, "good", (output(),))
    text = shown([both])
    assert "1 file: 1 good" in text
    assert "reconstruction" in text


def test_what_is_not_finite() -> None:
    odd = OutputSummary("x", "float32", (1,), None, None, 3.0)
    assert shown([Answer(Path("a.npy"), 1.0, 2.0, outputs=(odd,))]).split("\n")[2].split()[-3:] == ["n/a", "n/a", "3"]


def test_the_time_of_a_conversion_is_told_where_there_is_one() -> None:
    answers = [Answer(Path(name), 1.0, 4.0, convert_ms=0.5) for name in ("a.png", "b.png")]
    told = "On average 1.000 ms in the model, 0.5000 ms converting its tensors, 4.000 ms in the agent in all"
    assert told in " ".join(shown(answers).split())
    assert "converting" not in shown([Answer(Path(name), 1.0, 4.0) for name in ("a.png", "b.png")])


def test_no_answer() -> None:
    assert shown([]).strip() == ""


def test_in_ascii_and_never_as_markup() -> None:
    text = shown([decided("[red]0.png"), decided("b/1.png")], encoding="ascii")
    assert "[red]0.png" in text


def test_as_json() -> None:
    odd = OutputSummary("x", "float32", (1,), None, None, 3.0)
    answers: list[Answer | Failure] = [
        decided("a.png"),
        Answer(Path("b.npy"), 1.0, 2.0, outputs=(odd,)),
        Failure(Path("c.txt"), InputError("c.txt is no image", "convert it")),
    ]
    told = json.loads(inferences_as_json(answers))
    assert told[0] == {
        "file": "/data/line 3/a.png",
        "run_ms": 6.259,
        "total_ms": 27.92,
        "convert_ms": None,
        "score": 0.003847,
        "threshold": 0.02364,
        "decision": "good",
        "outputs": [],
    }
    assert told[1]["outputs"] == [
        {"name": "x", "dtype": "float32", "shape": [1], "least": None, "mean": None, "greatest": 3.0}
    ]
    assert told[2] == {"file": "c.txt", "error": "c.txt is no image", "code": "bad_input", "hint": "convert it"}
