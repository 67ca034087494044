"""What is told of a model file, whatever its format."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

from converters.anatomy.cache import CacheEstimate
from converters.edge_tpu.package import Packages


@dataclass(frozen=True)
class OperatorFigures:
    """All operators of one kind.

    versions    TFLite's, each once; empty for ONNX, whose opset is the file's
    parameters  elements of their constants, each constant told with the first operator that takes it
    macs        multiply-adds of a run, see onnx_macs.py; None where a size is not known or they are not counted
    """

    name: str
    count: int
    versions: tuple[int, ...]
    parameters: int
    macs: int | None


@dataclass(frozen=True)
class TensorFigures:
    """An input or output. A size that the file leaves open is its symbol, or None; no scale: it is not quantised."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Anatomy:
    """What a file consists of.

    form                   edgetpu: TFLite that the Edge TPU's compiler has gone over
    version                of the format, in words
    operators              by count, the most frequent first
    parameters             elements of all constants that stand for real numbers: no sizes, axes or indices
    parameter_bytes        as they lie in the file
    macs                   multiply-adds of convolutions and matrix products in a run; None where those of one operator
                           are not known
    peak_activation_bytes  see `peak_activations`; None where a size is not known
    packages               of a compiled file alone
    cache                  of an int8 TFLite file that is not compiled
    will_not_map           what an Edge TPU would leave to the CPU, one sentence each
    notes                  what the figures leave out, one sentence each
    """

    form: Literal["onnx", "tflite", "edgetpu"]
    version: str
    file_bytes: int
    operators: tuple[OperatorFigures, ...]
    parameters: int
    parameter_bytes: int
    macs: int | None
    peak_activation_bytes: int | None
    inputs: tuple[TensorFigures, ...]
    outputs: tuple[TensorFigures, ...]
    packages: Packages | None = None
    cache: CacheEstimate | None = None
    will_not_map: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Tally:
    """Adds operators up by their kind."""

    counts: dict[str, int] = field(default_factory=dict)
    versions: dict[str, set[int]] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    macs: dict[str, int | None] = field(default_factory=dict)

    def add(self, name: str, versions: Iterable[int], parameters: int, macs: int | None) -> None:
        """One operator."""
        self.counts[name] = self.counts.get(name, 0) + 1
        self.versions.setdefault(name, set()).update(versions)
        self.parameters[name] = self.parameters.get(name, 0) + parameters
        known = self.macs.get(name, 0)
        self.macs[name] = None if known is None or macs is None else known + macs

    def figures(self) -> tuple[OperatorFigures, ...]:
        names = sorted(self.counts, key=lambda name: (-self.counts[name], name))
        return tuple(
            OperatorFigures(
                name, self.counts[name], tuple(sorted(self.versions[name])), self.parameters[name], self.macs[name]
            )
            for name in names
        )

    @property
    def total_macs(self) -> int | None:
        """None where one operator's are not known."""
        return total(self.macs.values())


def total(figures: Iterable[int | None]) -> int | None:
    """None where one of them is not known."""
    known = 0
    for figure in figures:
        if figure is None:
            return None
        known += figure
    return known


def not_counted(operators: Collection[str]) -> tuple[str, ...]:
    """A note on operators whose multiply-adds nobody counts, by their names."""
    if not operators:
        return ()
    return (f"multiply-adds of {', '.join(sorted(operators))} are not counted, so that the model's are not known",)
