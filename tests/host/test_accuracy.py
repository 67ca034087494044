import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from told import Told

from host.evaluating import Evaluation, Request, Verdict, evaluate
from host.report.accuracy import accuracy_as_json, accuracy_table
from host.scoring import METHODS
from inspection.accuracy import Decisions
from inspection.score import Score

SMOOTHED, NORMALISED = METHODS
DECISIONS = Decisions(missed=3, defective=10, rejected=1, good=4)


@pytest.fixture(scope="module")
def found(untrained: Path, capsules: Path) -> Evaluation:
    return evaluate(Request(untrained, capsules), None, None, Told())


def shown(found: Evaluation, width: int = 80) -> str:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(accuracy_table(found))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def test_all_figures_fit_80_columns(found: Evaluation) -> None:
    table = shown(found)
    assert max(map(len, table.splitlines())) <= 80
    auc = found.model.accuracies[SMOOTHED].auc
    assert table.startswith(
        f"AUC {auc.auc:.3f} (95 % interval {auc.low:.3f} to {auc.high:.3f}) on 4 good and 10 defective images\n"
    )
    for contender in (found.model, *found.baselines):
        estimates = [contender.accuracies[method].auc for method in METHODS]
        cells = [f"{each.auc:.3f} ({each.low:.3f} to {each.high:.3f})" for each in estimates]
        assert re.search(rf"{contender.name} +{contender.weights:,} +{re.escape('  '.join(cells))}", table)
    for kind, each in found.model.accuracies[NORMALISED].by_kind.items():
        assert re.search(rf"{kind} +2 .* {each.auc:.3f} \({each.low:.3f} to {each.high:.3f}\)\n", table)
    pixels = [found.pixels[method] for method in METHODS]
    assert re.search(rf"Pixel AUROC +{pixels[0].auroc:.3f} +{pixels[1].auroc:.3f}\n", table)
    assert re.search(rf"AUPRO up to 30 % false positives +{pixels[0].aupro:.3f} +{pixels[1].aupro:.3f}\n", table)
    assert "from 8 training" in table


def test_what_a_threshold_does(found: Evaluation) -> None:
    judged = replace(
        found,
        score=Score(method=NORMALISED, threshold=9.5),
        verdicts=(Verdict("model", 9.5, DECISIONS), Verdict("board", 9.25, replace(DECISIONS, missed=2))),
    )
    table = shown(judged)
    assert re.search(r"Threshold stored in the model +n/a \(1\) +9.5\n", table)
    by_artifact = shown(replace(judged, verdicts=(Verdict("artifact", 6.599, DECISIONS),)))
    assert re.search(r"Threshold of this artifact +n/a \(1\) +6.599\n", by_artifact)
    assert re.search(r"  defective images missed +n/a \(1\) +3 of 10 \(30.0 %\)\n", table)
    assert re.search(r"  good images rejected +n/a \(1\) +1 of 4 \(25.0 %\)\n", table)
    assert re.search(r"Threshold found on the board +n/a \(1\) +9.25\n", table)
    assert "2 of 10 (20.0 %)" in table
    assert "(1) the model decides by the other score\n" in table
    assert "by the normalised error" in table


def test_what_is_not_known_says_why(found: Evaluation) -> None:
    blind = replace(found, verdicts=(), pixels={}, model=replace(found.model, weights=None))
    table = shown(blind)
    assert re.search(r"Pixel AUROC +n/a \((\d)\) +n/a \(\1\)\n", table)
    assert re.search(r"Threshold +n/a \((\d)\) +n/a \(\1\)\n", table)
    assert {"weights not counted", "the data set has no masks", "the model has no threshold"} == set(
        re.findall(r"^\(\d\) (.*)$", table, re.MULTILINE)
    )


def test_the_rate_of_a_compressed_model(found: Evaluation) -> None:
    assert "removed" not in shown(found)
    assert "99 % of its weights removed" in shown(replace(found, rate=0.99))


def test_a_name_is_never_read_as_markup(found: Evaluation) -> None:
    assert "[red]m.onnx" in shown(replace(found, model=replace(found.model, name="[red]m.onnx")))


def test_for_programs(found: Evaluation) -> None:
    told = json.loads(accuracy_as_json(found))
    assert told["model"]["name"] == "capsules.onnx"
    assert (told["model"]["weights"], told["model"]["rate"]) == (1_394_176, None)
    assert told["model"]["accuracy"][SMOOTHED]["auc"] == {
        "auc": found.model.accuracies[SMOOTHED].auc.auc,
        "low": found.model.accuracies[SMOOTHED].auc.low,
        "high": found.model.accuracies[SMOOTHED].auc.high,
        "good": 4,
        "defective": 10,
    }
    assert set(told["model"]["accuracy"][NORMALISED]["auc_by_kind"]) == set(found.dataset.kinds) - {"good"}
    assert [each["name"] for each in told["baselines"]] == [each.name for each in found.baselines]
    [verdict] = told["verdicts"]
    assert (verdict["threshold_from"], verdict["threshold"]) == ("model", 0.01)
    assert verdict["miss_rate"] == verdict["missed"] / 10
    assert told["pixels"][SMOOTHED]["regions"] >= 10
    assert (told["train_images"], told["training_error_from"]) == (8, "training images")
    assert told["images"][4]["file"] == "test/crack/000.png"
    assert told["images"][4]["kind"] == "crack"
    assert [each["scores"][NORMALISED] for each in told["images"]] == list(found.model.accuracies[NORMALISED].scores)


def test_for_programs_what_is_not_known_is_null_or_empty(found: Evaluation) -> None:
    told = json.loads(accuracy_as_json(replace(found, pixels={}, verdicts=())))
    assert (told["pixels"], told["verdicts"]) == (None, [])
