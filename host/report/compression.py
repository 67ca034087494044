"""What a compression and a training did, as tables for a person and as records for programs."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from host.report.layout import add_row, table, text
from host.report.values import percent

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

    from compression.calibrate import Calibration
    from compression.table import CompressedLayer, Table
    from compression.training.loop import Trained
    from compression.training.recipe import Epoch, Select


def compression_table(made: "Table") -> "Group":
    """The headline, a line for each layer with a kernel, and why what is not as asked is so."""
    from rich.console import Group

    headline = (
        f"{percent(made.rate)} of the weights removed: {made.weights_after:,} of {made.weights_before:,} are left"
    )
    lines = table("Layer", "Shape", numbers=("Ranks", "Weights", "of", "MACs", "of", "Error"))
    for layer in made.layers:
        add_row(lines, *_cells(layer))
    notes = [made.note] if made.note else []
    notes += [f"{layer.name} stays dense: {layer.obstacle}" for layer in made.layers if layer.obstacle]
    return Group(text(headline, "bold"), text(""), lines, *map(text, notes))


def training_lines(trained: "Trained", select: "Select", stages: int = 1) -> list["Text"]:
    """Which epoch was kept and why, and how good it is."""
    best, auc = trained.best, trained.best.auc
    last = f" of the last of {stages} stages" if stages > 1 else ""
    lines = [f"kept epoch {best.number} of {len(trained.history)}{last}: held-out error {best.held_out_error:.4g}"]
    if auc is not None and select == "test":
        honest = min(trained.history, key=lambda epoch: epoch.held_out_error)
        lines.append(
            f"AUC {auc:.4f}, the highest of all epochs: chosen on the test images, which flatters; "
            f"it is {_auc(honest)} in epoch {honest.number}, of the least held-out error"
        )
    elif auc is not None:
        highest = max(trained.history, key=lambda epoch: epoch.auc or 0)
        lines.append(
            f"AUC {auc:.4f} of the test images, which did not choose the epoch; "
            f"the highest of all epochs is {_auc(highest)}, in epoch {highest.number}"
        )
    return [text(line) for line in lines]


def calibration_line(found: "Calibration | None") -> "Text":
    """How the model decides."""
    if found is None:
        return text("no threshold: there are no good images to find one from")
    return text(f"decides by {found.score.method}: an image above {found.score.threshold:.4g} is defective")


def compression_record(made: "Table") -> dict[str, Any]:
    """Of the table, with `ranks` in the form that --ranks takes."""
    ranks = {layer.name: list(layer.ranks) for layer in made.layers if layer.ranks}
    return {
        "rate": made.rate,
        "asked": made.asked,
        "note": made.note,
        "weights_before": made.weights_before,
        "weights_after": made.weights_after,
        "ranks": ranks,
        "layers": [asdict(layer) for layer in made.layers],
    }


def training_record(trained: "Trained | None") -> dict[str, Any] | None:
    """The kept epoch and all of them; None where nothing was trained."""
    if trained is None:
        return None
    return {"best": asdict(trained.best), "history": [asdict(epoch) for epoch in trained.history]}


def calibration_record(found: "Calibration | None") -> dict[str, Any] | None:
    """The score and its threshold."""
    return None if found is None else asdict(found.score)


def _cells(layer: "CompressedLayer") -> tuple[str, ...]:
    ranks = "dense" if layer.ranks is None else " x ".join(map(str, layer.ranks))
    return (
        layer.name,
        "x".join(map(str, layer.shape)),
        ranks,
        f"{layer.weights_after:,}",
        f"{layer.weights_before:,}",
        *(("", "") if layer.macs_after is None else (_millions(layer.macs_after), _millions(layer.macs_before or 0))),
        "" if layer.ranks is None else f"{layer.relative_error:.3f}",
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}M"


def _auc(epoch: "Epoch") -> str:
    return "unknown" if epoch.auc is None else f"{epoch.auc:.4f}"
