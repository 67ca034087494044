import io
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from contract.api import ModelInfo, ModelState
from contract.manifest import Score
from contract.results import BenchRow, Interval, Latency, Mean, Memory
from contract.tensors import Signature, TensorSpec
from host.report.tables import bench_table, models_table, results_table

RowMaker = Callable[..., BenchRow]

TENSOR = TensorSpec(name="image", dtype="float32", shape=(1, 3, 8, 8))
WIDTHS = pytest.mark.parametrize("width", [80, 120])


def shown(renderable: RenderableType, width: int = 120, encoding: str = "utf-8") -> str:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding)
    Console(file=file, width=width).print(renderable)
    file.flush()
    text = buffer.getvalue().decode(encoding)
    assert max(map(len, text.splitlines())) <= width
    return text


def words(text: str) -> str:
    """One line, one space between words: what is read, wherever it was folded."""
    return " ".join(text.split())


def fact(text: str, label: str) -> str:
    [value] = re.findall(rf"^{label}  +(.*?) *$", text, re.MULTILINE)
    return str(value)


@pytest.fixture
def make_model() -> Callable[..., ModelInfo]:
    def make(**changes: object) -> ModelInfo:
        model = ModelInfo(
            name="capsules",
            bundle="3fa9" * 16,
            previous=None,
            state=ModelState.READY,
            runtime="ort",
            runtime_version="1.21.0",
            source_name="capsules.onnx",
            precision="fp32",
            weights=1234567,
            signature=Signature(inputs=(TENSOR,), outputs=(TENSOR,)),
            score=Score(threshold=0.0123456),
        )
        return model.model_copy(update=changes)

    return make


# One trial


@WIDTHS
def test_one_trial_starts_with_the_headline(make_row: RowMaker, width: int) -> None:
    text = shown(bench_table([make_row()]), width)
    assert text.startswith("Mean latency 12.25 ms of 999 counted runs; peak memory 310.0 MiB")


@WIDTHS
def test_one_trial_tells_its_interval_and_that_it_is_of_one_run(make_row: RowMaker, width: int) -> None:
    row = make_row(latency_interval_ms=Interval(low=12.21, high=12.29), steady_ms=Mean(mean=12.2))
    text = shown(bench_table([row]), width)
    assert words(text).startswith(
        "Mean latency 12.25 ms (95 % interval within this run 12.21 to 12.29 ms) of 999 counted runs; peak memory"
    )
    assert "One trial: this holds within this run alone" in words(text)
    assert fact(text, "Latency, mean once steady") == "12.20 ms"
    assert "within this run" not in shown(bench_table([row, make_row(2)]), width)


def test_one_trial_that_is_unstable_says_what_to_do(make_row: RowMaker) -> None:
    text = shown(bench_table([make_row(flags=("unstable",), steady_from_run=None)]))
    assert text.startswith("Mean latency 12.25 ms (unstable: use --trials) of 999 counted runs")
    assert fact(text, "Steady") == "n/a (unstable: use --trials)"
    assert fact(text, r"Latency, mean, at least \(95 %\)") == "n/a (unstable: use --trials)"


def test_one_trial_has_every_figure_or_its_reason(make_row: RowMaker) -> None:
    text = shown(bench_table([make_row()]))
    assert fact(text, "Id") == "b0000001"
    assert fact(text, "Latency, p99") == "15.00 ms"
    assert fact(text, "Latency, standard deviation") == "0.3333 ms"
    assert fact(text, "First run, not counted") == "34.50 ms"
    assert fact(text, "Conversion of tensors, mean") == "0.2500 ms"
    assert fact(text, "Peak memory of the model") == "9.00 MiB"
    assert fact(text, "Peak while running") == "n/a (this kernel does not reset VmHWM)"
    assert fact(text, "Weights") == "3,000,000,000"
    assert fact(text, "Compression rate") == "99 %"
    assert fact(text, "Steady") == "after 40 counted runs"
    assert fact(text, "Flags") == "throttled, other load"
    assert fact(text, "Models stopped for it") == "bottle"
    assert fact(text, "Power mode") == "15W"
    assert re.search(r"Not measured .*Energy of an inference", words(text))
    assert "AUC" not in text


def test_the_lines_of_an_edge_tpu_are_for_models_compiled_for_one(make_row: RowMaker) -> None:
    compiled = make_row(on_chip_bytes=5 << 20, streamed_bytes=0, operators_on_cpu=1)
    text = shown(bench_table([compiled]))
    assert fact(text, "Parameters kept on the chip") == "5.00 MiB"
    assert fact(text, "Parameters streamed per run") == "0.00 MiB"
    assert fact(text, "Operators left on the CPU") == "1"
    without = shown(bench_table([make_row(on_chip_bytes=None, streamed_bytes=None, operators_on_cpu=None)]))
    assert "on the chip" not in without
    assert "streamed" not in without


def test_flags_that_could_not_be_judged_are_told(make_row: RowMaker) -> None:
    row = make_row(flags=(), unmet={"flags.clocks_moved": "clocks follow the load"})
    text = shown(bench_table([row]))
    assert fact(text, "Flags") == "none"
    assert fact(text, "Flags not judged") == "clocks moved (clocks follow the load)"
    assert "Flags not judged: clocks moved (clocks follow the load)" in shown(bench_table([row, make_row(2)]))


def test_a_percentile_says_how_many_runs_it_needs(make_row: RowMaker) -> None:
    latency = Latency(mean=1, median=1, p90=1, p95=1, p99=None, min=1, max=1, std=None)
    text = shown(bench_table([make_row(latency_ms=latency, counted_runs=99)]))
    assert fact(text, "Latency, p99") == "n/a (needs 459 counted runs, has 99)"


@WIDTHS
def test_a_model_that_does_not_run_has_the_reason(failed_row: RowMaker, width: int) -> None:
    text = shown(bench_table([failed_row(weights=1234)]), width)
    assert text.startswith("capsules does not run on desktop: no kernel for ConvTranspose")
    assert fact(text, "Failure") == "build_failed"
    assert fact(text, "Weights") == "1,234"
    assert "Latency" not in text


# Several trials


def trials(make_row: RowMaker) -> list[BenchRow]:
    def latency(mean: float) -> Latency:
        return Latency(mean=mean, median=12, p90=13, p95=14, p99=15, min=11, max=16, std=1)

    def memory(peak_mib: int) -> Memory:
        return Memory.model_validate(dict.fromkeys(Memory.model_fields) | {"peak_memory_bytes": peak_mib * 2**20})

    measured = ((1, 12.0, 310), (2, 13.0, 330), (3, 14.0, 320))
    return [make_row(trial, latency_ms=latency(mean), memory=memory(peak)) for trial, mean, peak in measured]


@WIDTHS
def test_several_trials_have_a_line_each_and_a_summary(make_row: RowMaker, width: int) -> None:
    text = shown(bench_table(trials(make_row)), width)
    assert words(text).startswith(
        "Mean latency 13.00 ms (95 % interval 10.52 to 15.48 ms) over 3 trials of 999 counted runs; "
        "greatest peak memory 330.0 MiB"
    )
    for trial in (1, 2, 3):
        line = rf"^{'_bcd'[trial]}0000001 +{trial} +1{trial + 1}\.00 +12\.00 .* 3[123]0\.0 *$"
        assert re.search(line, text, re.MULTILINE)
    assert re.search(r"^mean +13\.00 ", text, re.MULTILINE)
    assert re.search(r"^std +1\.000 ", text, re.MULTILINE)
    assert re.search(r"^95 % \+/- +2\.484 ", text, re.MULTILINE)  # 4.3027 / sqrt(3)


@WIDTHS
def test_a_trial_that_failed_keeps_its_line(make_row: RowMaker, failed_row: RowMaker, width: int) -> None:
    text = shown(bench_table([*trials(make_row)[:2], failed_row(3)]), width)
    assert "over 2 of 3 trials" in words(text)
    assert re.search(r"^d0000001 +3 +failed \(1\)( +\(1\)){6} *$", text, re.MULTILINE)
    assert "(1) did not run: no kernel for ConvTranspose" in text


def test_one_trial_that_ran_has_no_spread(make_row: RowMaker, failed_row: RowMaker) -> None:
    text = shown(bench_table([make_row(1), failed_row(2)]))
    assert text.startswith("Mean latency 12.25 ms over 1 of 2 trials")
    assert "no spread" in text
    assert "95 %" not in text


def test_a_figure_of_one_trial_or_none_has_no_spread(make_row: RowMaker) -> None:
    first, second, _ = trials(make_row)
    unreadable = second.model_copy(update={"memory": None, "first_run_ms": None})
    text = shown(bench_table([first.model_copy(update={"memory": None}), unreadable]))
    assert "greatest peak memory n/a (not measured)" in words(text)
    assert re.search(r"^std .* n/a \(2\) +n/a \(3\) *$", text, re.MULTILINE)
    assert "(2) only one trial has this figure" in text
    assert "(3) no trial has this figure" in text


@WIDTHS
def test_big_figures_and_missing_ones_still_fit(make_row: RowMaker, failed_row: RowMaker, width: int) -> None:
    latency = Latency(mean=12345, median=12345, p90=None, p95=None, p99=None, min=1, max=23456, std=1)
    memory = Memory.model_validate(dict.fromkeys(Memory.model_fields) | {"peak_memory_bytes": 20000 * 2**20})
    rows = [make_row(trial, latency_ms=latency, memory=memory, counted_runs=30) for trial in (1, 2)]
    text = shown(bench_table([*rows, failed_row(3)]), width)
    line = r"^b0000001 +1 +12,345 +12,345 +n/a \(1\) +n/a \(2\) +23,456 +34\.50 +20,000\.0 *$"
    assert re.search(line, text, re.MULTILINE)
    assert "…" not in text


def test_boards_and_sessions_are_not_mixed(make_row: RowMaker) -> None:
    text = shown(bench_table([make_row(1), make_row(2, board="coral"), make_row(3, session="s2")]))
    assert text.count("Mean latency 12.25 ms of 999 counted runs;") == 3
    assert " over " not in text
    assert text.index("b0000001") < text.index("c0000001") < text.index("d0000001")


# Results


@WIDTHS
def test_results_one_line_each_in_order(make_row: RowMaker, failed_row: RowMaker, width: int) -> None:
    rows = [make_row(2, auc=0.98765, flags=()), make_row(1), failed_row(3, board="coral", rate=None)]
    text = shown(results_table(rows), width)
    when = rows[0].measured_at.astimezone().strftime("%Y-%m-%d %H:%M")
    assert re.search(rf"^c0000001 +{when} +capsules .* 12\.25 +310\.0 +99 % +0\.9877 *$", text, re.MULTILINE)
    assert re.search(r"^b0000001 .* 12\.25 \(2\) +310\.0 +99 % +n/a \(1\) *$", text, re.MULTILINE)
    assert re.search(r"^d0000001 .* failed \(3\) +\(3\) +\(3\) +\(3\) *$", text, re.MULTILINE)
    for note in ("(1) not measured", "(2) throttled, other load", "(3) did not run: no kernel for ConvTranspose"):
        assert note in text
    assert text.index("c0000001") < text.index("b0000001") < text.index("d0000001")


def test_a_figure_that_no_row_has_gets_a_line_not_a_column(make_row: RowMaker) -> None:
    text = shown(results_table([make_row(rate=None)]))
    assert "Rate" not in text
    assert "n/a (no row here has them): Compression rate, AUC" in text


def test_failures_alone_still_say_that_they_failed(failed_row: RowMaker) -> None:
    text = shown(results_table([failed_row()]))
    assert "failed (1)" in text
    assert "(1) did not run: no kernel" in text


def test_no_results() -> None:
    assert shown(results_table([])) == "No results.\n"


@WIDTHS
def test_long_names_fold_and_nothing_is_cut(make_row: RowMaker, width: int) -> None:
    name = "a-very-long-model-name-for-the-inspection-of-capsules-" * 3
    text = shown(results_table([make_row(model=name, board="line-3-station-12", auc=0.5)]), width)
    column = slice(text.index("What"), text.index("Mean ms") - 2)
    assert f"{name} fp32" in "".join(line[column].rstrip().ljust(1) for line in text.splitlines()[2:])
    assert re.search(r"^b0000001 .* 310\.0 +99 % +0\.5000 *$", text, re.MULTILINE)


# Models


@WIDTHS
def test_models(make_model: Callable[..., ModelInfo], width: int) -> None:
    dead = make_model(
        name="bottle",
        state=ModelState.FAILED,
        reason="killed by signal 9",
        runtime_version=None,
        weights=None,
        score=None,
    )
    text = shown(models_table([make_model(), dead, make_model(name="nut", score=Score(threshold=None))]), width)
    assert re.search(r"^capsules +ready +3fa93fa93fa9 .* 0\.01235 +1,234,567 *$", text, re.MULTILINE)
    assert re.search(r"^bottle +failed \(\d\) +3fa93fa93fa9 .* n/a \(\d\) +n/a \(\d\) *$", text, re.MULTILINE)
    for note in ("killed by signal 9", "the model is not loaded", "no score", "uncalibrated", "not counted"):
        assert re.search(rf"^\(\d\) .*{note}", text, re.MULTILINE)


@WIDTHS
def test_rates_and_temporary_models(make_model: Callable[..., ModelInfo], width: int) -> None:
    lent = make_model(name="temporary-0123456789ab", rate=0.995, temporary=True)
    text = shown(models_table([make_model(), lent]), width)
    assert re.search(r"^Model .* Threshold +Weights +Rate *$", text, re.MULTILINE)
    assert re.search(r"^capsules .* 0\.01235 +1,234,567 +n/a \(\d\) *$", text, re.MULTILINE)
    assert re.search(r" 0\.01235 +1,234,567 +99\.5 % *$", text, re.MULTILINE)
    for note in ("temporary: asked only by its name", "tells of no compression"):
        assert re.search(rf"^\(\d\) .*{note}", text, re.MULTILINE)


def test_no_rates_no_column(make_model: Callable[..., ModelInfo]) -> None:
    text = shown(models_table([make_model()]))
    assert "Rate" not in text
    assert "temporary" not in text


def test_no_models() -> None:
    assert shown(models_table([])) == "No models.\n"


# Text of others


def test_a_boards_text_is_neither_markup_nor_terminal_codes(failed_row: RowMaker) -> None:
    reason = "[bold]no[/bold] kernel [/] \x1b[31mConvTranspose\x1b[0m"
    for table in (bench_table, results_table):
        text = shown(table([failed_row(failure=reason)]))
        assert "[bold]no[/bold] kernel [/] ConvTranspose" in text
        assert "\x1b" not in text


@pytest.mark.parametrize("table", [bench_table, results_table])
def test_a_terminal_without_unicode(make_row: RowMaker, table: Callable[[list[BenchRow]], RenderableType]) -> None:
    assert "b0000001" in shown(table([make_row(1), make_row(2)]), encoding="ascii")


def test_rich_is_imported_only_to_make_a_table() -> None:
    code = "import sys, host.report.tables; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
