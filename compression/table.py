"""What a compression did to each layer, as it is returned and as it travels with the model."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from onnx import ModelProto, helper

from compression.errors import NotCompressedError
from compression.surgery import Parts
from compression.tucker import Ranks

METADATA_KEY = "boardfit.compression"

Budget = Literal["weights", "macs", "bytes"]
"""What a rate is a share of: weights, as the compression rate is defined, multiply-adds of a run, bytes of kernels."""


@dataclass(frozen=True)
class CompressedLayer:
    """One row. `ranks` and `kernels`, their names in the file, are None where the layer is dense; `obstacle` says why
    it had to stay so. Multiply-adds (macs) of a run are None where a size is not known."""

    name: str
    operator: str
    shape: tuple[int, ...]
    ranks: Ranks | None
    weights_before: int
    weights_after: int
    macs_before: int | None
    macs_after: int | None
    relative_error: float
    """||kernel - rebuilt|| / ||kernel||, before a refit; of a later stage the kernel is that of the stage before."""
    obstacle: str | None
    kernels: Parts | None


@dataclass(frozen=True)
class Table:
    """All layers with a kernel. `rate` counts weights; `budget_rate` is the share of `budget` that is gone, `asked` the
    one that was to be; `note` says why it is another, where it is."""

    asked: float | None
    rate: float
    budget: Budget
    budget_rate: float
    note: str | None
    layers: tuple[CompressedLayer, ...]

    @property
    def weights_before(self) -> int:
        return sum(layer.weights_before for layer in self.layers)

    @property
    def weights_after(self) -> int:
        return sum(layer.weights_after for layer in self.layers)


def write_table(model: ModelProto, table: Table) -> None:
    """Into the model's metadata, beside what is there."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata[METADATA_KEY] = json.dumps(asdict(table), separators=(",", ":"))
    helper.set_model_props(model, metadata)


def is_compressed(model: ModelProto) -> bool:
    """Whether the model says that it has a table."""
    return any(entry.key == METADATA_KEY for entry in model.metadata_props)


def read_table(model: ModelProto) -> Table:
    """The table that `write_table` wrote. NotCompressedError."""
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    if text is None:
        raise NotCompressedError(
            f"the model has no {METADATA_KEY!r} in its metadata", "give a model that boardfit compressed"
        )
    try:
        fields = json.loads(text)
        return Table(**{**fields, "layers": tuple(_layer(row) for row in fields["layers"])})
    except (ValueError, TypeError, KeyError) as error:
        raise NotCompressedError(
            f"the model's {METADATA_KEY!r} is no table of layers: {error}", "compress the original model again"
        ) from error


def _layer(row: dict[str, Any]) -> CompressedLayer:
    ranks, kernels = row["ranks"], row["kernels"]
    changed = {
        "shape": tuple(row["shape"]),
        "ranks": None if ranks is None else tuple(ranks),
        "kernels": None if kernels is None else Parts(**kernels),
    }
    return CompressedLayer(**{**row, **changed})
