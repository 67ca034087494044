"""A profile as a table: the layers that take longest first."""

from typing import TYPE_CHECKING

from contract.api import LayerProfile
from host.report.layout import add_row, table, text
from host.report.values import four_digits, percent

if TYPE_CHECKING:
    from rich.console import Group


def layers_table(profile: LayerProfile) -> "Group":
    """One line per layer, with its share of all layers' time."""
    from rich.console import Group

    total_ms = sum(layer.mean_ms for layer in profile.layers)
    shown = table("What", numbers=["Mean ms", "Share"])
    for layer in sorted(profile.layers, key=lambda layer: -layer.mean_ms):
        share = layer.mean_ms / total_ms if total_ms else 0.0
        add_row(shown, layer.name, four_digits(layer.mean_ms), percent(round(share, 4)))
    count = f"{len(profile.layers)} {'layer' if len(profile.layers) == 1 else 'layers'}"
    return Group(
        text(f"{profile.model}: {four_digits(total_ms)} ms in {count}", "bold"),
        text(f"{profile.runtime} {profile.runtime_version}, mean of {profile.runs} runs, which profiling slows down"),
        text(""),
        shown,
    )
