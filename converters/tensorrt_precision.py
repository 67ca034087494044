"""What a builder has to be told of a model's types before TensorRT 11: it takes int8 and float16 with a flag alone."""

from collections.abc import Iterator

from onnx import ModelProto, TensorProto

from converters.plan import Target
from converters.tensorrt_operators.sites import Site, sites
from converters.tensorrt_operators.verdicts import Finding

_QUANTISING = ("QuantizeLinear", "DequantizeLinear")


def untold(model: ModelProto, target: Target) -> tuple[list[Finding], str]:
    """The nodes that are in a type which the builder is not told of at this precision, and what to do about it.

    Such a model parses, and the builder ends with "int8 precision has been set for a layer or layer output, but int8 is
    not configured in the builder", or the same of fp16 (https://github.com/NVIDIA/TensorRT/issues/2348).
    """
    if target.typed or target.precision == "int8":  # which has both flags
        return [], ""
    nodes = sites(model)
    quantised = [_refused(site, "int8") for site in nodes if not site.domain and site.operator in _QUANTISING]
    if quantised and target.has_int8:
        return quantised, "the model is quantised: name --precision int8"
    if quantised:
        return quantised, "export the float model: this GPU has no int8"
    if target.precision == "fp16":
        return [], ""
    return [_refused(site, "fp16") for site in nodes if TensorProto.FLOAT16 in _elements(site)], (
        "the model is in half precision: name --precision fp16, or export it in float32"
    )


def _refused(site: Site, kind: str) -> Finding:
    return Finding(
        site.operator, site.name, "refused", f"its builder takes {kind} with --precision {kind}", site.domain
    )


def _elements(site: Site) -> Iterator[int | None]:
    return (site.facts.element(name) for name in (*site.node.input, *site.node.output))
