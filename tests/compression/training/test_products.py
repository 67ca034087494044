"""Convolutions as matrix products give what torch's own give, forward and backward."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from compression.training.operators import products

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def walks(draw: st.DrawFn) -> dict[str, tuple[int, int]]:
    stride, dilation, window = draw(PAIRS), draw(PAIRS), draw(PAIRS)
    most = [gap * (size - 1) // 2 for gap, size in zip(dilation, window, strict=True)]
    padding = draw(st.tuples(*(st.integers(0, each) for each in most)))
    longer = draw(st.tuples(*(st.integers(0, max(pair) - 1) for pair in zip(stride, dilation, strict=True))))
    return {"stride": stride, "dilation": dilation, "window": window, "padding": padding, "longer": longer}


def tensors(seed: int, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    noise = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=noise, dtype=torch.float64).requires_grad_() for shape in shapes]


def gradients(made: torch.Tensor, given_to: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    weights = torch.arange(made.numel(), dtype=torch.float64).reshape(made.shape).cos()
    return torch.autograd.grad((made * weights).sum(), given_to)


@given(walk=walks(), sizes=st.tuples(st.integers(7, 9), st.integers(7, 9)), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_convolution(walk: dict[str, tuple[int, int]], sizes: tuple[int, int], seed: int) -> None:
    stride, dilation, padding = walk["stride"], walk["dilation"], walk["padding"]
    taken = tensors(seed, (2, 3, *sizes), (4, 3, *walk["window"]), (4,))
    wanted = F.conv2d(*taken, stride, padding, dilation)
    made = products.convolved(*taken, stride, dilation, padding)
    torch.testing.assert_close(made, wanted)
    for ours, theirs in zip(gradients(made, taken), gradients(wanted, taken), strict=True):
        torch.testing.assert_close(ours, theirs)


@given(walk=walks(), sizes=st.tuples(st.integers(3, 5), st.integers(3, 5)), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_a_transposed_convolution(walk: dict[str, tuple[int, int]], sizes: tuple[int, int], seed: int) -> None:
    stride, dilation, padding, longer = (walk[name] for name in ("stride", "dilation", "padding", "longer"))
    taken = tensors(seed, (2, 4, *sizes), (4, 3, *walk["window"]), (3,))
    wanted = F.conv_transpose2d(*taken, stride, padding, longer, 1, dilation)
    made = products.convolved_transposed(*taken, stride, dilation, padding, longer)
    torch.testing.assert_close(made, wanted)
    for ours, theirs in zip(gradients(made, taken), gradients(wanted, taken), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_without_a_bias() -> None:
    x, kernel = tensors(0, (1, 2, 4, 4), (2, 2, 2, 2))
    torch.testing.assert_close(
        products.convolved(x, kernel, None, (2, 2), (1, 1), (0, 0)), F.conv2d(x, kernel, None, 2)
    )
    made = products.convolved_transposed(x, kernel, None, (2, 2), (1, 1), (0, 0), (0, 0))
    torch.testing.assert_close(made, F.conv_transpose2d(x, kernel, None, 2))


def test_bfloat16_is_added_in_float32() -> None:
    """What 16 windows add to one place would lose half its digits."""
    windows = torch.full((1, 1, 1, 1, 1, 1), 1.0, dtype=torch.bfloat16).expand(1, 1, 300, 1, 300, 1)
    whole = products._scattered(windows, (1, 599), (1, 1), (1, 1))
    assert whole.dtype == torch.bfloat16
    assert float(whole[0, 0, 299, 0]) == 300  # in bfloat16 the sum would stop at 256


@pytest.mark.parametrize(
    ("batch", "places", "kernel", "pays"),
    [
        (16, 16, (1024, 384, 4, 4), True),
        (16, 4, (128, 512, 4, 4), True),
        (16, 64, (256, 128, 4, 4), False),
        (16, 1, (64, 64, 4, 4), False),
        (1, 64, (256, 128, 4, 4), True),
        (16, 16, (1024, 384, 40), False),
    ],
)
def test_where_it_pays(batch: int, places: int, kernel: tuple[int, ...], pays: bool) -> None:
    assert products.pays(torch.empty(batch, 1, 1, 1), torch.empty(kernel, device="meta"), places) is pays
