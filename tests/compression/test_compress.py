import doctest
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
import zoo
from kernels import autoencoder, chain, classifier, falling, images, layer, mixed, relative_difference, run
from low_pass import build_autoencoder
from onnx import ModelProto, helper, numpy_helper

from compression import compress as module
from compression.compress import compress
from compression.errors import (
    BadDataError,
    BadInputShapeError,
    BadRanksError,
    BelowFloorError,
    CompressionError,
    ExternalWeightsError,
    NanWeightsError,
    NoCompressibleLayerError,
    RateOutOfRangeError,
    UnknownLayerError,
    UnknownShapeError,
    UnsupportedLayerError,
)
from compression.layers import count_weights
from compression.ranks import Allocation
from converters import weights

AUTOENCODER = autoencoder()


def wide(rows: int = 40) -> ModelProto:
    return layer("Conv", falling(48, 40, 3, 3), (1, 40, 12, 12), images(48), pads=[1, 1, 1, 1])


@pytest.mark.parametrize(("size", "rate"), [(256, 0.9), (256, 0.99), (64, 0.3), (64, 0.999 - 2e-4)])
def test_the_example_has_every_rate(size: int, rate: float) -> None:
    compressed = compress(build_autoencoder(size=size), rate)
    assert rate <= compressed.table.rate + 1e-9 <= rate + 2e-4
    assert count_weights(compressed.model) == compressed.table.weights_after
    onnx.checker.check_model(compressed.model, full_check=True)


@pytest.mark.parametrize("allocation", get_args(Allocation))
@pytest.mark.parametrize("rate", [0.3, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995])
def test_an_autoencoder_has_every_rate(rate: float, allocation: Allocation) -> None:
    compressed = compress(AUTOENCODER, rate, allocation=allocation)
    table = compressed.table
    assert rate <= table.rate + 1e-9 <= rate + 2e-4
    assert table.note is None
    assert count_weights(compressed.model) == weights.count_weights(compressed.model) == table.weights_after
    assert table.weights_before == weights.count_weights(AUTOENCODER)
    image = np.full((1, 3, 32, 32), 0.5, np.float32)
    assert run(compressed.model, image=image)[0].shape == image.shape


@pytest.mark.parametrize("rate", [0.3, 0.6, 0.8, 0.9, 0.95])
def test_a_classifier_has_every_rate(rate: float) -> None:
    model = classifier()
    compressed = compress(model, rate)
    assert rate <= compressed.table.rate + 1e-9 <= rate + 2e-4
    assert count_weights(compressed.model) == weights.count_weights(compressed.model) == compressed.table.weights_after
    assert "BatchNormalization" not in {node.op_type for node in compressed.model.graph.node}
    assert run(compressed.model, x=images(2, 3, 32, 32))[0].shape == (2, 50)


def test_little_gone_is_little_difference() -> None:
    model, x = classifier(), images(2, 3, 32, 32)
    little, much = (
        relative_difference(run(compress(model, rate).model, x=x)[0], run(model, x=x)[0]) for rate in (0.02, 0.9)
    )
    assert little < 0.3 * much


def test_a_higher_rate_has_fewer_weights_and_larger_errors() -> None:
    tables = [compress(classifier(), rate).table for rate in np.linspace(0.2, 0.95, 12)]
    assert all(a.weights_after >= b.weights_after for a, b in pairwise(tables))
    assert tables[0].layers[3].relative_error < tables[-1].layers[3].relative_error


def test_the_table_says_what_was_done_to_each_layer() -> None:
    compressed = compress(classifier(), 0.8)
    rows = {row.name: row for row in compressed.table.layers}
    assert list(rows) == ["/features/0/Conv", "/depth/Conv", "/point/Conv", "/block/Conv_0", "/head/Gemm"]
    block, depth = rows["/block/Conv_0"], rows["/depth/Conv"]
    assert "depthwise" in str(depth.obstacle)
    assert (depth.ranks, depth.kernels, depth.weights_after, depth.relative_error) == (None, None, 288, 0)
    assert block.ranks is not None
    assert block.kernels is not None
    r_out, r_in = block.ranks
    assert block.weights_after == 64 * r_out + 64 * r_in + 9 * r_out * r_in
    assert (block.macs_before, block.macs_after) == (2 * 256 * 36864, 2 * 256 * block.weights_after)
    by_name = {tensor.name: numpy_helper.to_array(tensor) for tensor in compressed.model.graph.initializer}
    first, core, last = (by_name[str(name)] for name in (block.kernels.first, block.kernels.core, block.kernels.last))
    rebuilt = np.einsum("oa,abhw,bi->oihw", last[:, :, 0, 0], core, first[:, :, 0, 0])
    kernel = falling(64, 64, 3, 3)
    assert block.relative_error == pytest.approx(np.linalg.norm(kernel - rebuilt) / np.linalg.norm(kernel), abs=1e-5)


def test_a_model_stays_as_it_is() -> None:
    model = classifier()
    before = model.SerializeToString(deterministic=True)
    compress(model, 0.8)
    assert model.SerializeToString(deterministic=True) == before


def test_equal_arguments_give_an_equal_model() -> None:
    x = images(8, 3, 32, 32)
    one, other = (compress(classifier(), 0.9, data=x).model.SerializeToString(deterministic=True) for _ in range(2))
    assert one == other


def test_a_budget_of_bytes_weighs_kernels_of_half_precision_half() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="whole"),
        helper.make_node("Cast", ["h"], ["c"], to=onnx.TensorProto.FLOAT16),
        helper.make_node("MatMul", ["c", "v"], ["d"], name="half"),
        helper.make_node("Cast", ["d"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    model = chain(nodes, (5, 80), w=falling(80, 90), v=falling(90, 80, seed=1).astype(np.float16))
    table = compress(model, 0.6, budget="bytes").table
    kept = [row.weights_after for row in table.layers]
    assert table.budget_rate == pytest.approx(1 - (4 * kept[0] + 2 * kept[1]) / (6 * 7200))
    assert 0.6 <= table.budget_rate < 0.602 + 340 / 43200  # a rank of half precision takes 340 bytes


def test_a_budget_of_multiply_adds() -> None:
    table = compress(classifier(), 0.7, budget="macs").table
    before, after = (
        sum(int(getattr(row, f"macs_{when}") or 0) for row in table.layers) for when in ("before", "after")
    )
    assert table.budget_rate == pytest.approx(1 - after / before)
    assert 0.7 <= table.budget_rate <= 0.7002
    assert table.rate == pytest.approx(1 - table.weights_after / table.weights_before)


def test_multiply_adds_need_sizes() -> None:
    model = wide()
    for place, name in ((2, "H"), (3, "W")):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_param = name
    assert compress(model, 0.5).table.layers[0].macs_before is None
    with pytest.raises(UnknownShapeError, match="'layer'"):
        compress(model, 0.5, budget="macs")
    table = compress(model, 0.5, budget="macs", input_shapes={"x": (1, 40, 10, 10)}).table
    assert table.layers[0].macs_before == 100 * 48 * 40 * 9
    with pytest.raises(BadInputShapeError):
        compress(model, 0.5, input_shapes={"x": (1, 41, 10, 10)})


def test_ranks_can_be_given() -> None:
    table = compress(classifier(), ranks={"/block/Conv_0": [7, 5], "/point/Conv": (64, 32), "/head/Gemm": (9, 9)}).table
    assert [row.ranks for row in table.layers] == [None, None, None, (7, 5), (9, 64)]
    assert (table.asked, table.note) == (None, None)
    rest = compress(classifier(), 0.9, ranks={"/block/Conv_0": [7, 5]}).table
    assert rest.layers[3].ranks == (7, 5)
    assert 0.9 <= rest.rate <= 0.9002


@pytest.mark.parametrize(
    ("ranks", "error", "said"),
    [
        ({"/block/Conv": (2, 2)}, UnknownLayerError, "no layer '/block/Conv'"),
        ({"/depth/Conv": (1, 1)}, UnsupportedLayerError, "depthwise"),
        ({"/block/Conv_0": (65, 2)}, BadRanksError, "output rank 65"),
        ({"/block/Conv_0": (2,)}, BadRanksError, "(2,)"),
        ({"/block/Conv_0": (2.5, 1)}, BadRanksError, "2.5"),
    ],
)
def test_ranks_that_do_not_fit_are_refused(
    ranks: Mapping[str, Sequence[int]], error: type[CompressionError], said: str
) -> None:
    with pytest.raises(error) as caught:
        compress(classifier(), ranks=ranks)
    assert said in str(caught.value)
    assert caught.value.hint


def test_an_important_layer_keeps_more() -> None:
    usual, weighed = (compress(classifier(), 0.8, importance=each).table for each in ({}, {"/head/Gemm": 20.0}))
    assert weighed.layers[4].weights_after > usual.layers[4].weights_after
    with pytest.raises(UnknownLayerError, match="no layer"):
        compress(classifier(), 0.8, importance={"/head/Gem": 2.0})


def test_sweeps_lower_the_errors() -> None:
    usual, swept = compress(wide(), 0.8).table, compress(wide(), 0.8, sweeps=2).table
    assert swept.layers[0].ranks == usual.layers[0].ranks
    assert swept.layers[0].relative_error < usual.layers[0].relative_error


def test_images_bring_the_output_closer() -> None:
    model, seen, unseen = wide(), mixed(12, 40, 12, 12), mixed(4, 40, 12, 12, seed=1)
    errors = []
    for more in ({}, {"data": seen}, {"data": seen, "allocation": "activation"}):
        made = compress(model, 0.9, **more).model
        errors.append(float(np.mean([(run(made, x=x[None])[0] - run(model, x=x[None])[0]) ** 2 for x in unseen])))
    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.1 * errors[1]
    with pytest.raises(BadDataError, match="allocation by activation"):
        compress(model, 0.9, allocation="activation")


@pytest.mark.parametrize("rate", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_a_rate_out_of_range(rate: float) -> None:
    with pytest.raises(RateOutOfRangeError):
        compress(AUTOENCODER, rate)


def test_a_rate_beyond_the_floor_names_it() -> None:
    with pytest.raises(BelowFloorError) as caught:
        compress(AUTOENCODER, 0.9999)
    floor = caught.value.floor
    assert f"{floor:.6g}" in caught.value.message
    table = compress(AUTOENCODER, floor - 1e-6).table
    assert max(max(row.ranks) for row in table.layers if row.ranks is not None) <= 3
    unreachable = layer("Conv", falling(64, 1, 3, 3), (1, 64, 9, 9), group=64)
    with pytest.raises(NoCompressibleLayerError):
        compress(unreachable, 0.5)


def test_what_is_nearest_is_said_with_the_reason() -> None:
    table = compress(layer("Conv", falling(6, 5, 3, 3), (1, 5, 8, 8)), 0.5).table
    assert table.rate > 0.5002
    assert table.note is not None
    assert "is the nearest to 50.000%" in table.note
    assert "weights" in table.note


def test_a_model_without_layers_to_compress() -> None:
    with pytest.raises(NoCompressibleLayerError, match="no Conv"):
        compress(zoo.identity(), 0.5)
    with pytest.raises(NoCompressibleLayerError, match="depthwise") as caught:
        compress(layer("Conv", falling(8, 1, 3, 3), (1, 8, 9, 9), group=8), 0.5)
    assert caught.value.hint


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_name_their_layer(value: float) -> None:
    kernel = falling(48, 40, 3, 3)
    kernel[1, 2, 0, 0] = value
    with pytest.raises(NanWeightsError, match="1 of the 17280 weights of the layer 'layer'"):
        compress(layer("Conv", kernel, (1, 40, 8, 8)), 0.5)


def test_weights_in_another_file(tmp_path: Path) -> None:
    path = zoo.save_external(wide(), tmp_path)
    assert compress(onnx.load(path), 0.8).table == compress(wide(), 0.8).table
    with pytest.raises(ExternalWeightsError):
        compress(onnx.load(path, load_external_data=False), 0.8)


def test_neither_rate_nor_ranks_is_a_bug() -> None:
    with pytest.raises(ValueError, match="neither"):
        compress(AUTOENCODER)


def test_the_example_in_the_docstring() -> None:
    result = doctest.testmod(module)
    assert (result.failed, result.attempted) == (0, 7)
