"""What every pair of ranks leaves out of a kernel, from one rotation.

In the eigenbases of both Gram matrices a truncated decomposition keeps the leading rows and columns of the rotated
kernel, and nothing else: their squares, summed up along both sides, are what it keeps.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compression.tucker import (
    Factors,
    Floats,
    Kind,
    Ranks,
    Sizes,
    in_gram,
    iterate,
    leading_eigenvectors,
    leading_products,
    out_gram,
    scaled,
    sizes_of,
    to_blocks,
)

_MANY = 512
"""Channels from which on a full eigendecomposition is what takes the time."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """A kernel in its eigenbases.

    `squared_errors[a, b]` is ||kernel - rebuilt||^2 / ||kernel||^2 at the ranks (out_ranks[a], in_ranks[b]). Both
    begin with 1; of a matrix one side has its full rank alone.
    """

    kind: Kind
    window: tuple[int, ...]
    sizes: Sizes
    out_ranks: NDArray[np.int64]
    in_ranks: NDArray[np.int64]
    squared_errors: NDArray[np.float64]
    energy: float
    """||kernel||^2."""
    out_basis: Floats | None
    """(groups, O, greatest of out_ranks), or None where no output factor is looked at."""
    rotated: Floats
    """(groups, positions, greatest of out_ranks, greatest of in_ranks)."""
    in_basis: Floats | None
    """(groups, I, greatest of in_ranks), or None where no input factor is looked at."""
    blocks: Floats
    """The kernel as `tucker.to_blocks` lays it out, over `scale`."""
    scale: float

    def relative_error(self, ranks: Ranks) -> float:
        """||kernel - rebuilt|| / ||kernel|| at `ranks`, which are of `out_ranks` and `in_ranks`, without sweeps."""
        places = np.searchsorted(self.out_ranks, ranks[0]), np.searchsorted(self.in_ranks, ranks[1])
        return float(np.sqrt(self.squared_errors[places]))

    def truncate(self, ranks: Ranks) -> Factors:
        """The parts at `ranks`, which are of `out_ranks` and `in_ranks`."""
        if ranks[0] not in self.out_ranks or ranks[1] not in self.in_ranks:
            raise ValueError(f"ranks {ranks} are not in this spectrum")
        core, first, last = self.rotated[:, :, : ranks[0], : ranks[1]], None, None
        if self.out_basis is not None and ranks[0] < self.sizes.outputs:
            last = np.ascontiguousarray(self.out_basis[:, :, : ranks[0]])
        elif self.out_basis is not None:  # a full rank needs no factor: turned back
            core = self.out_basis[:, np.newaxis] @ core
        if self.in_basis is not None and ranks[1] < self.sizes.inputs:
            first = _transposed(self.in_basis[:, :, : ranks[1]])
        elif self.in_basis is not None:
            core = core @ self.in_basis[:, np.newaxis].swapaxes(2, 3)
        return Factors(self.kind, self.window, first, np.ascontiguousarray(core), last)

    def swept(self, ranks: Ranks, sweeps: int) -> tuple[Factors, float]:
        """The parts after `sweeps` of `tucker.iterate`, and their relative error."""
        factors = self.truncate(ranks)
        if not sweeps or factors.first is None or factors.last is None:
            return factors, self.relative_error(ranks)
        first, core, last = iterate(
            self.blocks, factors.first, factors.core / factors.core.dtype.type(self.scale), factors.last, sweeps
        )
        kept = float(np.einsum("gpoi,gpoi->o", core, core).sum(dtype=np.float64))
        swept = replace(factors, first=first, core=core * self.scale, last=last)
        return swept, float(np.sqrt(max(0.0, 1 - kept * self.scale**2 / self.energy)))


def spectrum(weight: Floats, kind: Kind, groups: int = 1, limits: Ranks | None = None) -> Spectrum:
    """Of `weight`, finite and laid out as `kind` says.

    With `limits` only pairs up to them are looked at, several times faster: the longer side's basis is then that of
    the kernel already cut on the shorter (see `tucker.decompose`). The errors are exact for the bases used. A matrix
    has pairs (r, all), or (all, r) where it is a transposed convolution, up to the larger limit.
    """
    sizes = sizes_of(weight.shape, kind, groups)
    limits = limits or sizes.full
    blocks, scale = scaled(to_blocks(weight, kind, groups))
    rotate = _rotation if sizes.positions > 1 else _matrix_rotation
    turned = rotate(blocks, limits, kind)
    kept = turned.squares.astype(np.float64).cumsum(0).cumsum(1)
    energy = turned.energy
    if kept.shape == sizes.full or (sizes.positions == 1 and kept.size == min(sizes.full)):
        energy = float(kept[-1, -1])  # full ranks leave out nothing, rounding included
    return Spectrum(
        kind,
        weight.shape[2:],
        sizes,
        _ranks(turned.out_basis, kept.shape[0], sizes.outputs),
        _ranks(turned.in_basis, kept.shape[1], sizes.inputs),
        np.clip(1 - kept / energy, 0, 1) if energy else np.zeros_like(kept),
        energy * float(scale) ** 2,
        turned.out_basis,
        turned.rotated * scale if scale != 1 else turned.rotated,
        turned.in_basis,
        blocks,
        float(scale),
    )


class _Turned(NamedTuple):
    """See `Spectrum`; `squares` is what the rotated kernel has of each pair of directions."""

    out_basis: Floats | None
    rotated: Floats
    in_basis: Floats | None
    squares: Floats
    energy: float


def _rotation(blocks: Floats, limits: Ranks, kind: Kind) -> _Turned:
    """The shorter side first: its basis costs less, and its cut makes the longer one's cost less."""
    if blocks.shape[2] < blocks.shape[3]:
        out_basis, rotated, in_basis, squares, energy = _rotation(blocks.swapaxes(2, 3), limits[::-1], kind)
        return _Turned(in_basis, rotated.swapaxes(2, 3), out_basis, squares.T, energy)
    gram = in_gram(blocks)
    in_basis = _leading(gram, limits[1])
    rotated = blocks @ in_basis[:, np.newaxis]
    out_basis = _leading(out_gram(rotated), limits[0])
    rotated = out_basis.swapaxes(1, 2)[:, np.newaxis] @ rotated
    squares = np.einsum("gpoi,gpoi->oi", rotated, rotated)
    energy = float(np.trace(gram, axis1=1, axis2=2, dtype=np.float64).sum())
    return _Turned(out_basis, rotated, in_basis, squares, energy)


def _matrix_rotation(blocks: Floats, limits: Ranks, kind: Kind) -> _Turned:
    matrices = blocks[:, 0]
    left, right = leading_products(matrices, min(*matrices.shape[1:], max(limits)))
    squares = (np.square(left).sum(1) * np.square(right).sum(2)).sum(0)  # one of the two has orthonormal vectors
    energy = float(np.square(matrices).sum(dtype=np.float64))
    if kind == "ConvTranspose":
        return _Turned(None, left[:, np.newaxis], _transposed(right), squares[np.newaxis], energy)
    return _Turned(left, right[:, np.newaxis], None, squares[:, np.newaxis], energy)


def _leading(gram: Floats, count: int) -> Floats:
    """As `leading_eigenvectors`; where few of many are wanted by subspace iteration, in a third of the time.

    Halko, Martinsson and Tropp, "Finding structure with randomness" (2011), algorithm 4.4, then Rayleigh-Ritz. Up to
    three quarters of `count` the error is that of the eigenvectors within 0.6 % for a flat spectrum, 0.05 % for one
    that falls as trained kernels' do.
    """
    size = gram.shape[1]
    if size < _MANY or count * 3 > size:
        return leading_eigenvectors(gram, count)
    start = np.random.default_rng(0).standard_normal((size, count * 3 // 2), dtype=np.float32)
    basis = np.linalg.qr(gram @ start)[0]
    for _ in range(2):
        basis = np.linalg.qr(gram @ basis)[0]
    return basis @ leading_eigenvectors(_transposed(basis) @ gram @ basis, count)


def _transposed(matrices: Floats) -> Floats:
    return np.ascontiguousarray(matrices.swapaxes(1, 2))


def _ranks(basis: Floats | None, count: int, full: int) -> NDArray[np.int64]:
    return np.array([full]) if basis is None else np.arange(1, count + 1)
