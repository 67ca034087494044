"""An evaluation as pictures: ROC curves, the scores' distribution, error maps."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from host import disk
from host.errors import InputError
from host.evaluating import Evaluation, Example
from host.report import drawing
from host.report.accuracy import SCORES
from host.scoring import METHODS
from inspection.accuracy import GOOD, roc_curve
from inspection.score import Method

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

FILES = ("roc.png", "histogram.png", "maps.png")
_BASELINE_STYLES = ((drawing.ORANGE, "--"), (drawing.GREEN, "-."))
_BINS = 30
_LONGEST_NAME = 28


def claim(folder: Path) -> None:
    """Makes the folder, before there is anything that would be lost. InputError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def write(found: Evaluation, folder: Path) -> tuple[Path, ...]:
    """`FILES` into the folder, replaced where they are there; their paths. InputError where it cannot be written."""
    paths = tuple(folder / name for name in FILES)
    for path, draw in zip(paths, (roc, histogram, maps), strict=True):
        content = draw(found)
        try:
            disk.replace(path, content, durable=False)
        except OSError as error:
            raise _cannot_write(folder, error) from error
    return paths


def roc(found: Evaluation) -> bytes:
    """PNG: the curves of the model and the baselines, by each score."""
    figure, both = _panels("ROC", found)
    defective = found.dataset.defective
    for axes, method in zip(both, METHODS, strict=True):
        styles = zip((found.model, *found.baselines), ((drawing.BLACK, "-"), *_BASELINE_STYLES), strict=True)
        for each, (colour, line) in styles:
            accuracy = each.accuracies[method]
            curve = roc_curve(accuracy.scores, defective)
            label = f"{_shortened(each.name)}: AUC {accuracy.auc.auc:.3f}"
            axes.plot(curve.false_reject_rate, curve.detection_rate, color=colour, linestyle=line, label=label)
        axes.set(title=SCORES[method], xlabel="good images rejected", xlim=(0, 1), ylim=(0, 1.01))
        axes.set_aspect("equal")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize=9)
    both[0].set_ylabel("defective images found")
    return drawing.png(figure)


def histogram(found: Evaluation) -> bytes:
    """PNG: how the scores of good and of defective images are distributed, and where the threshold lies."""
    figure, both = _panels("scores", found)
    defective = found.dataset.defective
    for axes, method in zip(both, METHODS, strict=True):
        accuracy = found.model.accuracies[method]
        bins = _bins(accuracy.scores).tolist()
        for name, colour, hatch in (("good", drawing.BLUE, ""), ("defective", drawing.VERMILLION, "///")):
            part = accuracy.scores[defective == (name == "defective")]
            axes.hist(
                part,
                bins=bins,
                weights=np.full(part.size, 1 / part.size),
                label=f"{part.size:,} {name}",
                alpha=0.55,
                color=colour,
                edgecolor=colour,
                hatch=hatch,
            )
        _draw_thresholds(axes, found, method)
        axes.set(title=f"{SCORES[method]}: AUC {accuracy.auc.auc:.3f}", xlabel="score")
        if accuracy.scores.min() > 0:
            axes.set_xscale("log")
        axes.legend(fontsize=9)
    both[0].set_ylabel("share of the images")
    return drawing.png(figure)


def maps(found: Evaluation) -> bytes:
    """PNG: the `examples`, each with its reconstruction and its error map, the masks outlined."""
    from matplotlib.figure import Figure

    rows: dict[str, list[Example]] = {}
    for example in found.examples:
        rows.setdefault(example.kind, []).append(example)
    upper = _upper(found)
    figure = Figure(figsize=(13, 0.9 + 2.35 * len(rows)), layout="constrained")
    figure.suptitle(
        f"{_shortened(found.model.name)} on {found.place}: {SCORES[found.score.method].lower()}, "
        f"pale yellow at {upper:.3g} and above; outlined: the defect's mask"
    )
    grid = figure.subplots(len(rows), 6, squeeze=False)
    for line, (kind, examples) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.set_axis_off()
        for place, (example, what) in enumerate(zip(examples, ("median", "hardest"), strict=False)):
            _draw_example(line[3 * place : 3 * place + 3], example, f"{kind}, {what}", upper)
    return drawing.png(figure)


def _draw_example(three: "Sequence[Axes]", example: Example, title: str, upper: float) -> None:
    image, reconstruction, error = three
    image.imshow(example.image)
    reconstruction.imshow(example.reconstruction)
    error.imshow(example.map, cmap="inferno", vmin=0, vmax=upper)
    image.set_title(title, fontsize=10)
    reconstruction.set_title("reconstruction", fontsize=10)
    error.set_title(f"score {example.score:.3g}", fontsize=10)
    if example.mask is not None and example.mask.any() and not example.mask.all():
        for axes in (image, error):
            axes.contour(example.mask, levels=[0.5], colors=[drawing.SKY], linewidths=1)


def _upper(found: Evaluation) -> float:
    """Twice the threshold, as in the agent's maps; without one, twice what the median good image has."""
    if found.verdicts:
        return 2 * found.verdicts[-1].threshold
    good = [example.score for example in found.examples if example.kind == GOOD]
    return 2 * good[0]


def _draw_thresholds(axes: "Axes", found: Evaluation, method: Method) -> None:
    if method != found.score.method:
        return
    for verdict, line in zip(found.verdicts, ("-", ":"), strict=False):
        made = verdict.decisions
        label = f"threshold ({verdict.origin}): {made.missed} missed, {made.rejected} rejected"
        axes.axvline(verdict.threshold, color=drawing.BLACK, linestyle=line, label=label)


def _bins(scores: Floats) -> Floats:
    """Edges; scores differ by orders of magnitude, so that they are equally wide on a logarithmic axis."""
    least, greatest = float(scores.min()), float(scores.max())
    if least == greatest:
        return np.array([least - 0.5, least + 0.5]) if least <= 0 else np.array([least / 2, least * 2])
    return np.geomspace(least, greatest, _BINS + 1) if least > 0 else np.linspace(least, greatest, _BINS + 1)


def _panels(what: str, found: Evaluation) -> "tuple[Figure, Sequence[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    auc = found.model.accuracies[METHODS[0]].auc
    figure.suptitle(
        f"{_shortened(found.model.name)} on {found.place}: {what} of {auc.good:,} good and "
        f"{auc.defective:,} defective images"
    )
    return figure, list(figure.subplots(1, len(METHODS), squeeze=False)[0])


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _cannot_write(folder: Path, error: OSError) -> InputError:
    return InputError(f"{folder} cannot be written: {error.strerror}", "name another folder with --pictures")
