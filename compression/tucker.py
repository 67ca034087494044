"""A kernel as a product of smaller ones: Tucker-2 of a convolution, truncated SVD of a matrix. Pure numpy.

::

    kernel [O, I, *k]  ~  last [O, r_out]  x  core [r_out, r_in, *k]  x  first [r_in, I]

    layer              ~  1x1 layer from I to r_in, then the core from r_in to r_out, then 1x1 layer from r_out to O

Tucker, "Some mathematical notes on three-mode factor analysis" (1966); for convolutions: Kim et al., "Compression of
deep convolutional neural networks for fast and low power mobile applications" (2016). The factors are the leading
eigenvectors of the Gram matrices of the kernel's two unfoldings: the higher-order SVD of De Lathauwer, De Moor and
Vandewalle, "A multilinear singular value decomposition" (2000). A full rank means no factor. A kernel of one position
is a matrix: one factor does there what two would.

>>> weight = np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(np.float32)
>>> factors = decompose(weight, (3, 2), "Conv")
>>> factors.ranks, factors.weight_count, weight.size
((3, 2), 86, 288)
>>> factors.rebuild().shape
(8, 4, 3, 3)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compression.errors import BadRanksError, NanWeightsError

Floats = NDArray[np.floating[Any]]
Kind = Literal["Conv", "ConvTranspose", "Linear", "MatMul"]
"""How a kernel is laid out: Conv [out, in / groups, *k], ConvTranspose [in, out / groups, *k], Linear [out, in] (of a
Gemm with transB = 1), MatMul [in, out] (on the right of a MatMul)."""

_INPUTS_FIRST = ("ConvTranspose", "MatMul")

Ranks = tuple[int, int]
"""Output and input rank, in each group."""


@dataclass(frozen=True)
class Sizes:
    """Of each group: its output and input channels, and the positions of the kernel's window."""

    groups: int
    outputs: int
    inputs: int
    positions: int

    @property
    def full(self) -> Ranks:
        return self.outputs, self.inputs

    @property
    def weights(self) -> int:
        return self.groups * self.outputs * self.inputs * self.positions


@dataclass(frozen=True)
class Price:
    """What one weight of each part costs: 1 where weights are counted, else its bytes or its multiply-adds in a run."""

    first: int = 1
    core: int = 1
    last: int = 1


@dataclass(frozen=True, eq=False)
class Factors:
    """The parts of a kernel, float32, or float64 of a float64 kernel.

    `first` (groups, r_in, I) or None, `core` (groups, positions, r_out, r_in), `last` (groups, O, r_out) or None.
    """

    kind: Kind
    window: tuple[int, ...]
    first: Floats | None
    core: Floats
    last: Floats | None

    @property
    def ranks(self) -> Ranks:
        return self.core.shape[2], self.core.shape[3]

    @property
    def weight_count(self) -> int:
        return self.cost(Price())

    def cost(self, price: Price) -> int:
        """The sum over all weights: with `price` in multiply-adds, those of one run."""
        parts = ((self.first, price.first), (self.core, price.core), (self.last, price.last))
        return sum(part.size * each for part, each in parts if part is not None)

    def rebuild(self) -> Floats:
        """The kernel that the parts stand for together, laid out as `kind` says."""
        blocks = self.core
        if self.last is not None:
            blocks = self.last[:, np.newaxis] @ blocks
        if self.first is not None:
            blocks = blocks @ self.first[:, np.newaxis]
        return from_blocks(blocks, self.kind, self.window)


def decompose(weight: Floats, ranks: Ranks, kind: Kind, groups: int = 1, sweeps: int = 0) -> Factors:
    """`weight`, laid out as `kind` says, at `ranks`. BadRanksError, NanWeightsError.

    The second factor is that of the kernel already cut by the first (Vannieuwenhoven et al., "A new truncation strategy
    for the higher-order singular value decomposition", 2012). Each of `sweeps` improves both in turn (De Lathauwer et
    al., "On the best rank-1 and rank-(R1, ..., RN) approximation", 2000): the error usually falls by some 0.1 %.
    """
    sizes = sizes_of(weight.shape, kind, groups)
    ranks = attainable(ranks, sizes, kind)
    check_finite(weight, "the kernel")
    blocks, scale = scaled(to_blocks(weight, kind, groups))
    if ranks == sizes.full:
        return Factors(kind, weight.shape[2:], None, blocks * scale, None)
    if sizes.positions == 1:
        left, right = leading_products(blocks[:, 0], min(ranks))
        if ranks[0] < sizes.outputs:
            return Factors(kind, weight.shape[2:], None, right[:, np.newaxis] * scale, left)
        return Factors(kind, weight.shape[2:], right, left[:, np.newaxis] * scale, None)
    core, first, last = blocks, None, None
    if ranks[1] < sizes.inputs:
        basis = leading_eigenvectors(in_gram(core), ranks[1])
        core, first = core @ basis[:, np.newaxis], np.ascontiguousarray(basis.swapaxes(1, 2))
    if ranks[0] < sizes.outputs:
        last = leading_eigenvectors(out_gram(core), ranks[0])
        core = last[:, np.newaxis].swapaxes(2, 3) @ core
    if first is not None and last is not None:
        first, core, last = iterate(blocks, first, core, last, sweeps)
    return Factors(kind, weight.shape[2:], first, core * scale, last)


def iterate(blocks: Floats, first: Floats, core: Floats, last: Floats, sweeps: int) -> tuple[Floats, Floats, Floats]:
    """`sweeps` of orthogonal iteration from orthonormal factors and their core.

    Each turns either factor once towards the leading directions of the kernel cut by the other.
    """
    for _ in range(sweeps):
        back = last[:, np.newaxis].swapaxes(2, 3)
        turned = _orthonormal(((back @ blocks).swapaxes(2, 3) @ core).sum(1))
        cut = blocks @ turned[:, np.newaxis]
        last = _orthonormal((cut @ (back @ cut).swapaxes(2, 3)).sum(1))
        core = last[:, np.newaxis].swapaxes(2, 3) @ cut
        first = np.ascontiguousarray(turned.swapaxes(1, 2))
    return first, core, last


def _orthonormal(columns: Floats) -> Floats:
    return np.linalg.qr(columns)[0].astype(columns.dtype)


def attainable(ranks: Ranks, sizes: Sizes, kind: Kind) -> Ranks:
    """The same ranks; of a matrix those of its one factor, which has the smaller of them. BadRanksError.

    Of a transposed convolution it is the input's: it multiplies less before the image grows.
    """
    for rank, full, side in zip(ranks, sizes.full, ("output", "input"), strict=True):
        if not 1 <= rank <= full:
            raise BadRanksError(f"{side} rank {rank} of a layer with {full} {side} channels", f"give 1 to {full}")
    if sizes.positions > 1:
        return ranks
    rank = min(ranks)
    if rank == min(sizes.full):
        return sizes.full
    return (sizes.outputs, rank) if kind == "ConvTranspose" else (rank, sizes.inputs)


def check_finite(weight: Floats, what: str) -> None:
    """NanWeightsError."""
    if np.isfinite(_largest(weight)):
        return
    wrong = weight.size - np.count_nonzero(np.isfinite(weight))
    raise NanWeightsError(
        f"{wrong} of the {weight.size} weights of {what} are NaN or infinite",
        "train the model again from a sound state",
    )


def scaled(blocks: Floats) -> tuple[Floats, Any]:
    """The blocks and a factor to multiply them by: the squares of what weight decay leaves do not fit float32."""
    largest = _largest(blocks)
    if largest == 0 or 1e-6 < largest < 1e6:
        return blocks, blocks.dtype.type(1)
    return blocks / largest, largest


def _largest(values: Floats) -> Any:
    """Of the absolute values, without an array of them; NaN where there is one."""
    return np.maximum(values.max(initial=0), -values.min(initial=0))


def in_gram(blocks: Floats) -> Floats:
    """(groups, I, I): inner products of the kernel's slices along its input channels."""
    # numpy sees a matrix times itself, and does half the work
    groups, positions, outputs, inputs = blocks.shape
    if blocks.strides[3] == blocks.itemsize:
        columns = blocks.reshape(groups, -1, inputs)
        return columns.swapaxes(1, 2) @ columns
    if inputs > outputs:
        rows = blocks.transpose(0, 3, 1, 2).reshape(groups, inputs, -1)
        return rows @ rows.swapaxes(1, 2)
    total = np.zeros((groups, inputs, inputs), blocks.dtype)  # a sum of them costs less than one copy of the kernel
    for position in range(positions):
        total += blocks[:, position].swapaxes(1, 2) @ blocks[:, position]
    return total


def out_gram(blocks: Floats) -> Floats:
    """(groups, O, O): inner products of the kernel's slices along its output channels."""
    return in_gram(blocks.swapaxes(2, 3))


def leading_eigenvectors(gram: Floats, count: int) -> Floats:
    """(groups, n, count) columns, of the greatest eigenvalue first."""
    # numpy computes in float64 whatever it is given; a Gram matrix squares the condition and deserves it
    vectors = np.linalg.eigh(gram.astype(np.float64))[1]
    return np.ascontiguousarray(vectors[:, :, ::-1][:, :, :count]).astype(gram.dtype)


def leading_products(matrices: Floats, count: int) -> tuple[Floats, Floats]:
    """Of (groups, O, I) the (groups, O, count) and (groups, count, I) whose products are the best of that rank.

    Ordered by singular value: a shorter product is a slice. The shorter side has orthonormal vectors.
    """
    if matrices.shape[1] <= matrices.shape[2]:
        left = leading_eigenvectors(matrices @ matrices.swapaxes(1, 2), count)
        return left, left.swapaxes(1, 2) @ matrices
    right = leading_eigenvectors(matrices.swapaxes(1, 2) @ matrices, count)
    return matrices @ right, np.ascontiguousarray(right.swapaxes(1, 2))


def sizes_of(shape: Sequence[int], kind: Kind, groups: int = 1) -> Sizes:
    """ValueError where `shape` is not of that kind."""
    if len(shape) < 2 or (kind in ("Linear", "MatMul") and (len(shape) != 2 or groups != 1)) or shape[0] % groups:
        raise ValueError(f"{tuple(shape)} in {groups} groups is no kernel of kind {kind}")
    per_group, others = shape[0] // groups, shape[1]
    outputs, inputs = (others, per_group) if kind in _INPUTS_FIRST else (per_group, others)
    return Sizes(groups, outputs, inputs, math.prod(shape[2:]))


def to_blocks(weight: Floats, kind: Kind, groups: int = 1) -> Floats:
    """(groups, positions, O, I), at least float32: a product over either channel is one of matrices.

    The last two axes may lie the other way round in memory: BLAS takes both, and to copy costs less along rows.
    """
    sizes = sizes_of(weight.shape, kind, groups)
    split = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], sizes.positions)
    blocks = np.ascontiguousarray(split.transpose(0, 3, 1, 2), np.result_type(weight, np.float32))
    return blocks.swapaxes(2, 3) if kind in _INPUTS_FIRST else blocks


def from_blocks(blocks: Floats, kind: Kind, window: tuple[int, ...]) -> Floats:
    """The inverse of `to_blocks`; `window` is empty for a matrix."""
    split = (blocks.swapaxes(2, 3) if kind in _INPUTS_FIRST else blocks).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(split.reshape(-1, split.shape[2], *window))
