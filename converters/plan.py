"""From what a model is to what a board runs: an ordered list of steps, each done on the host or on the board.

Pure: nothing is read, nothing is run. A host-site step is the file of its name in converters/steps/; a board-site step
is data in the bundle's manifest, and its code is the runtime's `build` on the board.

There is no constant folding for ONNX Runtime: it folds and fuses when it loads a model
(https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html), so a second simplifier on the
host would add risk and change nothing.
"""

from dataclasses import dataclass
from typing import Literal

from converters.errors import UnknownFormatError, UnknownPrecisionError, UnknownRuntimeError, nearest


@dataclass(frozen=True)
class Target:
    """What a board runs: a runtime's key (a file name in agent/worker/runtimes/) and a precision."""

    runtime: str = "ort"
    precision: str = "fp32"


@dataclass(frozen=True)
class Step:
    """One step of a conversion and where it is done."""

    name: str
    site: Literal["host", "board"]


_STATIC_ONNX = (Step("load_onnx", "host"), Step("freeze_onnx", "host"), Step("preflight_onnx", "host"))

_ROUTES: dict[tuple[str, Target], tuple[Step, ...]] = {
    ("onnx", Target("ort", "fp32")): _STATIC_ONNX,
}


def plan(source_format: str, target: Target) -> tuple[Step, ...]:
    """The steps from a model file of this format to `target`, in order.

    Raises UnknownFormatError, UnknownRuntimeError or UnknownPrecisionError, with the nearest that there is.
    """
    if (source_format, target) in _ROUTES:
        return _ROUTES[source_format, target]
    formats = {source for source, _ in _ROUTES}
    if source_format not in formats:
        raise UnknownFormatError(
            f"no conversion starts from a model of format {source_format!r}", nearest(source_format, sorted(formats))
        )
    runtimes = {end.runtime for source, end in _ROUTES if source == source_format}
    if target.runtime not in runtimes:
        raise UnknownRuntimeError(
            f"no conversion leads from {source_format} to the runtime {target.runtime!r}",
            nearest(target.runtime, sorted(runtimes)),
        )
    precisions = {end.precision for source, end in _ROUTES if (source, end.runtime) == (source_format, target.runtime)}
    raise UnknownPrecisionError(
        f"the runtime {target.runtime!r} takes no model of precision {target.precision!r}",
        nearest(target.precision, sorted(precisions)),
    )
