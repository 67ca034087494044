"""From what a model is to what a board runs: an ordered list of steps, each done on the host or on the board.

Pure: nothing is read, nothing is run. A host-site step is the file of its name in converters/steps/; a board-site step
is data in the bundle's manifest, and its code is the runtime's `build` on the board.

There is no constant folding for ONNX Runtime: it folds and fuses when it loads a model
(https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html), so a second simplifier on the
host would add risk and change nothing. TensorRT folds as well, but its parser wants many an input as a constant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from converters.errors import UnknownFormatError, UnknownPrecisionError, UnknownRuntimeError, nearest
from converters.tensorrt import strongly_typed


@dataclass(frozen=True)
class Target:
    """What a board runs.

    runtime          a runtime's key (a file name in agent/worker/runtimes/)
    precision        what the runtime may compute in
    runtime_version  (major, minor, ...); None where the board was not asked
    accelerator      what the runtime hands the model to, where its file is compiled for that
    has_int8         whether the board computes in int8 at all, whatever the precision is
    """

    runtime: str = "ort"
    precision: str = "fp32"
    runtime_version: tuple[int, ...] | None = None
    accelerator: Literal["edgetpu"] | None = None
    has_int8: bool = True

    @property
    def typed(self) -> bool:
        """Whether the precision is written into the model, so that the board's builder is not told it again."""
        return self.runtime == "trt" and strongly_typed(self.runtime_version)


@dataclass(frozen=True)
class Step:
    """One step of a conversion and where it is done.

    alters  what the driver measures afterwards: "form" must leave the outputs as they are, "values" brings them nearer
            to the board's precision; "nothing" is not measured
    """

    name: str
    site: Literal["host", "board"]
    alters: Literal["nothing", "form", "values"] = "nothing"


_READ = (Step("load_onnx", "host"), Step("freeze_onnx", "host"))
_TRIAL = Step("preflight_onnx", "host")
# Lowered first: ONNX Runtime, which simplifies, writes out the bodies of newer operators that it has no kernel for.
_PARSEABLE = (Step("lower_opset_onnx", "host", "form"), Step("simplify_onnx", "host", "form"))
_QUANTISED = Step("quantise_onnx", "host", "values")
_HALVED = Step("half_onnx", "host", "values")
_TFLITE = Step("tflite_from_onnx", "host", "values")
_COMPILED = Step("edgetpu_from_tflite", "host")
_TAKEN = Step("load_tflite", "host")
_ENGINE = (Step("preflight_tensorrt", "host"), Step("build_engine", "board"))

Route = Callable[[Target], tuple[Step, ...]]


def _onnx_runtime(_target: Target) -> tuple[Step, ...]:
    return (*_READ, _TRIAL)


def _tensorrt(target: Target) -> tuple[Step, ...]:
    """Int8 is in the model for every version: no version then needs calibration images on the board."""
    written = {"int8": (_QUANTISED,), "fp16": (_HALVED,) if target.typed else ()}
    return (*_READ, *_PARSEABLE, *written.get(target.precision, ()), _TRIAL, *_ENGINE)


def _tflite(target: Target) -> tuple[Step, ...]:
    """The trial run comes before the file is written: it finds the outputs' shapes."""
    return (*_READ, *_PARSEABLE, _TRIAL, _TFLITE, *_compiled(target))


def _finished_tflite(target: Target) -> tuple[Step, ...]:
    return (_TAKEN, *_compiled(target))


def _compiled(target: Target) -> tuple[Step, ...]:
    return (_COMPILED,) if target.accelerator == "edgetpu" else ()


_ROUTES: dict[tuple[str, str], tuple[tuple[str, ...], Route]] = {
    ("onnx", "ort"): (("fp32",), _onnx_runtime),
    ("onnx", "tflite"): (("int8",), _tflite),
    ("tflite", "tflite"): (("int8",), _finished_tflite),
    ("onnx", "trt"): (("fp32", "tf32", "fp16", "int8"), _tensorrt),
}
"""By source format and runtime: the precisions there are, and the steps."""


def plan(source_format: str, target: Target) -> tuple[Step, ...]:
    """The steps from a model file of this format to `target`, in order.

    Raises UnknownFormatError, UnknownRuntimeError or UnknownPrecisionError, with the nearest that there is.
    """
    if (source_format, target.runtime) not in _ROUTES:
        raise _no_route(source_format, target.runtime)
    precisions, route = _ROUTES[source_format, target.runtime]
    if target.precision not in precisions:
        raise UnknownPrecisionError(
            f"the runtime {target.runtime!r} takes no model of precision {target.precision!r}",
            nearest(target.precision, sorted(precisions)),
        )
    return route(target)


def _no_route(source_format: str, runtime: str) -> UnknownFormatError | UnknownRuntimeError:
    runtimes = [end for source, end in _ROUTES if source == source_format]
    if source_format == "tflite":
        return UnknownRuntimeError(
            f"a .tflite file cannot be made into what the runtime {runtime!r} runs",
            "name the ONNX model that it was made of; as it is, a board with TFLite runs it (coral)",
        )
    if runtimes:
        return UnknownRuntimeError(
            f"no conversion leads from {source_format} to the runtime {runtime!r}", nearest(runtime, sorted(runtimes))
        )
    formats = {source for source, _ in _ROUTES}
    return UnknownFormatError(
        f"no conversion starts from a model of format {source_format!r}", nearest(source_format, sorted(formats))
    )
