"""An ONNX model with a given share of its weights gone: the whole technique short of retraining.

>>> import numpy as np
>>> from compression.autoencoder import AutoencoderSpec, reference_model
>>> model = reference_model(AutoencoderSpec(size=64), np.zeros((2, 3, 64, 64), np.float32), seed=0)
>>> compressed = compress(model, rate=0.9)
>>> table = compressed.table
>>> round(table.rate, 3), table.weights_before, table.weights_after
(0.9, 1394176, 139392)
>>> [(layer.name, layer.ranks, layer.weights_after) for layer in table.layers if layer.ranks][0]
('encode3', (32, 32), 18432)

`compressed.model` is an `onnx.ModelProto`, to be saved with `onnx.save`. The table travels in its metadata;
`restore.restore_layers` makes its layers dense again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from onnx import ModelProto

from compression.activations import Metric, metrics_of
from compression.choosing import Chosen, choose, decomposed, only_fixed
from compression.errors import (
    BadDataError,
    BadRanksError,
    NoCompressibleLayerError,
    RateOutOfRangeError,
    UnknownLayerError,
    UnknownShapeError,
    UnsupportedLayerError,
    nearest,
)
from compression.feeds import Data
from compression.fold import fold_batch_normalisation
from compression.graph import inlined
from compression.layers import Layer, find_layers
from compression.ranks import Allocation
from compression.refit import refit
from compression.restore import restore_layers
from compression.shapes import infer_shapes, multiply_adds
from compression.surgery import Parts, replace_layers
from compression.table import Budget, CompressedLayer, Table, is_compressed, write_table
from compression.tucker import Factors, Price

TOLERANCE = 2e-4
"""Beyond the rate that was asked for: what is reached within it needs no word."""


@dataclass(frozen=True, eq=False)
class Compressed:
    """A model and what was done to it."""

    model: ModelProto
    table: Table


def compress(
    model: ModelProto,
    rate: float | None = None,
    *,
    allocation: Allocation | Literal["activation"] = "log",
    importance: Mapping[str, float] | None = None,
    budget: Budget = "weights",
    ranks: Mapping[str, Sequence[int]] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    data: Data | None = None,
    sweeps: int = 1,
) -> Compressed:
    """A copy of `model` with the share `rate` of its weights gone, in 0..1; layers that cannot shrink count as well.

    The layers of a model that is compressed already are made whole first (restore.py): the rate is the original's.

    `ranks` sets the output and input rank of layers by name; the others share what is left of the rate, or stay dense
    without one. A `budget` of multiply-adds ("macs") needs every size: `input_shapes` has those that the file leaves
    open. With `data`, images as the model takes them, output factors are refitted to them.

    `allocation`: see `ranks.Allocation`; "activation" is "log" of the errors that the layers' outputs have on `data`,
    with factors that make these small. `importance` multiplies the loss of layers by name. `sweeps` of orthogonal
    iteration improve the factors. Equal arguments give an equal model.

    CompressionError, see errors.py.
    """
    if rate is None and not ranks:
        raise ValueError("neither a rate nor ranks")
    if rate is not None:
        check_rate(rate)
    draft = restore_layers(model) if is_compressed(model) else inlined(model)
    fold_batch_normalisation(draft)
    layers = find_layers(draft)
    _check(layers)
    shapes = infer_shapes(draft, input_shapes)
    macs = {layer: multiply_adds(layer, shapes) for layer in layers}
    prices = {layer: _price(layer, budget, macs[layer]) for layer in layers}
    for name in (*(ranks or ()), *(importance or ())):
        _check_name(name, layers)
    fixed = _fixed(layers, ranks or {}, sweeps)
    metrics = _metrics(draft, layers, data) if allocation == "activation" else {}
    criterion: Allocation = "log" if allocation == "activation" else allocation
    chosen = (
        only_fixed(fixed)
        if rate is None
        else choose(layers, prices, fixed, rate, criterion, importance or {}, metrics, sweeps)
    )
    original = None if data is None else inlined(draft)
    parts = replace_layers(draft, chosen.factors)
    if data is not None and original is not None:
        refit(draft, original, [each.last for each in parts.values() if each.last is not None], data)
    rows = tuple(_row(layer, chosen, macs[layer], parts.get(layer)) for layer in layers)
    table = _table(rows, chosen, prices, rate, budget)
    write_table(draft, table)
    return Compressed(draft, table)


def check_rate(rate: float) -> None:
    """RateOutOfRangeError."""
    if not 0 < rate < 1:
        meant = f"for {rate:g} % give {rate / 100:g}" if 1 < rate < 100 else "above 0 and below 1"
        raise RateOutOfRangeError(f"a rate of {rate:g}", f"give the share of weights to remove: {meant}")


def _metrics(model: ModelProto, layers: Sequence[Layer], data: Data | None) -> dict[Layer, Metric]:
    if data is None:
        raise BadDataError("there are no images for the allocation by activation", "give images, or another allocation")
    return metrics_of(model, layers, data)


def _check(layers: Sequence[Layer]) -> None:
    """NoCompressibleLayerError."""
    if not layers:
        raise NoCompressibleLayerError(
            "the model has no Conv, ConvTranspose, Gemm or MatMul with constant weights",
            "give a model whose weights are in its file",
        )
    if all(layer.obstacle for layer in layers):
        why = Counter(layer.obstacle for layer in layers)
        raise NoCompressibleLayerError(
            f"none of the {len(layers)} layers with weights can be made smaller: "
            + "; ".join(f"{obstacle} ({count})" for obstacle, count in why.most_common()),
            "give a model with wider convolutions or matrices, of floating point",
        )


def _check_name(name: str, layers: Sequence[Layer]) -> None:
    names = [layer.name for layer in layers]
    if name not in names:
        raise UnknownLayerError(f"the model has no layer {name!r}", nearest(name, names))


def _price(layer: Layer, budget: Budget, macs: Price | None) -> Price:
    if budget == "weights":
        return Price()
    if budget == "bytes":
        return Price(*(layer.dtype.itemsize,) * 3)
    if macs is None:
        raise UnknownShapeError(
            f"the multiply-adds of {layer.name!r} cannot be counted: the size of its input or output is not known",
            "give the shape of the model's input, or a budget of weights",
        )
    return macs


def _fixed(layers: Sequence[Layer], ranks: Mapping[str, Sequence[int]], sweeps: int) -> dict[Layer, Factors]:
    """UnsupportedLayerError, BadRanksError."""
    by_name = {layer.name: layer for layer in layers}
    fixed = {}
    for name, pair in ranks.items():
        layer = by_name[name]
        if layer.obstacle is not None:
            raise UnsupportedLayerError(
                f"ranks for {name!r}, which cannot be decomposed: {layer.obstacle}", "leave this layer out"
            )
        if len(pair) != 2 or not all(isinstance(rank, int) for rank in pair):
            raise BadRanksError(f"ranks {pair!r} for {name!r}", "give two whole numbers: output rank, input rank")
        fixed[layer] = decomposed(layer, (pair[0], pair[1]), sweeps)
    return fixed


def _row(layer: Layer, chosen: Chosen, macs: Price | None, parts: Parts | None) -> CompressedLayer:
    factors = chosen.factors.get(layer)
    dense_macs = None if macs is None else layer.weights * macs.core
    return CompressedLayer(
        layer.name,
        layer.operator,
        layer.shape,
        None if factors is None else factors.ranks,
        layer.weights,
        layer.weights if factors is None else factors.weight_count,
        dense_macs,
        dense_macs if macs is None or factors is None else factors.cost(macs),
        chosen.relative_errors.get(layer, 0.0),
        layer.obstacle,
        parts,
    )


def _table(
    rows: tuple[CompressedLayer, ...],
    chosen: Chosen,
    prices: Mapping[Layer, Price],
    rate: float | None,
    budget: Budget,
) -> Table:
    dense = sum(layer.weights * price.core for layer, price in prices.items())
    saved = sum(layer.weights * prices[layer].core - each.cost(prices[layer]) for layer, each in chosen.factors.items())
    reached, note = saved / dense, None
    if rate is not None and chosen.next_step is not None and reached - rate > TOLERANCE:
        step = f"{chosen.next_step:,} {budget}, {chosen.next_step / dense:.2%} of all"
        note = f"{reached:.3%} is the nearest to {rate:.3%}: the next larger form of any layer takes {step}"
    before, after = sum(row.weights_before for row in rows), sum(row.weights_after for row in rows)
    return Table(rate, 1 - after / before, budget, reached, note, rows)
