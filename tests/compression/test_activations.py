import numpy as np
import pytest
from kernels import chain, falling, images, mixed
from onnx import helper

from compression.activations import metrics_of
from compression.layers import find_layers
from compression.tucker import decompose


@pytest.mark.parametrize(
    ("operator", "shape", "dims", "attributes"),
    [
        ("Conv", (6, 8, 1, 1), (40, 8, 5, 5), {}),
        ("Conv", (6, 4, 1, 1), (40, 8, 5, 5), {"group": 2}),
        ("ConvTranspose", (8, 6, 1, 1), (40, 8, 5, 5), {}),
        ("Gemm", (8, 6), (200, 8), {}),
        ("Gemm", (6, 8), (200, 8), {"transB": 1}),
        ("MatMul", (8, 6), (200, 8), {}),
    ],
)
def test_the_weighed_error_is_that_of_the_output(
    operator: str, shape: tuple[int, ...], dims: tuple[int, ...], attributes: dict[str, int]
) -> None:
    """Exactly so for kernels of one position, and so no other factors of that rank do better on these images."""
    model = chain([helper.make_node(operator, ["x", "w"], ["y"], **attributes)], dims, w=falling(*shape))
    [layer] = find_layers(model)
    x = mixed(*dims, sources=8)
    metric = metrics_of(model, [layer], x)[layer]
    kind, groups, sizes = layer.form.kind, layer.form.groups, layer.sizes
    weighed = metric.weigh(layer)
    ranks = (2, sizes.inputs)
    factors = decompose(weighed, ranks, kind, groups)
    flat = np.moveaxis(x, 1, -1).reshape(-1, groups, sizes.inputs).astype(float)

    def output(kernel: np.ndarray) -> np.ndarray:
        matrix = kernel.reshape(kernel.shape[:2])
        first = kind in ("ConvTranspose", "MatMul")
        return np.einsum(
            "ngi,gio->ngo",
            flat,
            matrix.reshape(groups, sizes.inputs, -1)
            if first
            else matrix.reshape(groups, -1, sizes.inputs).swapaxes(1, 2),
        )

    wanted = output(layer.kernel())
    error = np.linalg.norm(output(metric.unweigh(factors).rebuild()) - wanted) / np.linalg.norm(wanted)
    told = np.linalg.norm(weighed - factors.rebuild()) / np.linalg.norm(weighed)
    assert error == pytest.approx(told, rel=2e-2)
    plain = output(decompose(layer.kernel(), ranks, kind, groups).rebuild())
    assert error < np.linalg.norm(plain - wanted) / np.linalg.norm(wanted)


def test_weighing_and_back_is_the_kernel() -> None:
    model = chain([helper.make_node("Conv", ["x", "w"], ["y"])], ("N", 8, 6, 6), w=falling(6, 8, 3, 3))
    [layer] = find_layers(model)
    metric = metrics_of(model, [layer], images(5, 8, 6, 6))[layer]
    for ranks in ((6, 8), (6, 7)):
        back = metric.unweigh(decompose(metric.weigh(layer), ranks, "Conv"))
        assert back.ranks == ranks
    back = metric.unweigh(decompose(metric.weigh(layer), (6, 8), "Conv"))
    np.testing.assert_allclose(back.rebuild(), layer.kernel(), atol=1e-5)


def test_images_that_show_nothing_do_no_harm() -> None:
    model = chain([helper.make_node("Conv", ["x", "w"], ["y"])], ("N", 8, 6, 6), w=falling(6, 8, 3, 3))
    [layer] = find_layers(model)
    metric = metrics_of(model, [layer], np.zeros((2, 8, 6, 6), np.float32))[layer]
    back = metric.unweigh(decompose(metric.weigh(layer), (3, 8), "Conv"))
    np.testing.assert_allclose(back.rebuild(), decompose(layer.kernel(), (3, 8), "Conv").rebuild(), atol=1e-5)
