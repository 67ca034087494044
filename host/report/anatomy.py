"""What a model file consists of, as tables or as JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from converters.anatomy.anatomy import Anatomy, TensorFigures
from converters.anatomy.cache import CACHE_BYTES, LEAST_CACHE_BYTES
from host.report.layout import add_row, apart, table, text
from host.report.values import BYTES_PER_MIB

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

UNKNOWN = "not known"
_BYTES_PER_KIB = 2**10


def anatomy_table(found: Anatomy, name: str) -> "Group":
    """Totals, inputs and outputs, operators; below them what an Edge TPU would make of the file."""
    from rich.console import Group

    compiled = ", compiled for the Edge TPU" if found.packages else ""
    parts: list[RenderableType] = [
        Group(text(f"{name}: {found.version}{compiled}", "bold"), text(""), _totals(found)),
        _tensors(found),
        _operators(found),
    ]
    if found.will_not_map:
        parts.append(Group(*map(text, found.will_not_map)))
    if notes := [*found.notes, *_of_estimates(found)]:
        parts.append(Group(*(text(f"note: {note}") for note in notes)))
    return Group(*apart(parts))


def anatomy_as_json(found: Anatomy) -> dict[str, Any]:
    """All figures by their names in converters/anatomy/anatomy.py; those of `cache` are estimates."""
    return asdict(found)


def _totals(found: Anatomy) -> "Table":
    shown = table("What", "Value")
    add_row(shown, "File", _bytes(found.file_bytes))
    add_row(shown, "Parameters", f"{found.parameters:,} in {_bytes(found.parameter_bytes)}")
    add_row(shown, "Multiply-adds of a run", UNKNOWN if found.macs is None else f"{found.macs:,}")
    add_row(shown, "Activations, most at once", _bytes(found.peak_activation_bytes))
    if found.packages:
        streamed = found.packages.streamed_bytes + found.packages.stand_alone_bytes
        add_row(shown, "Parameters kept on the Edge TPU", _bytes(found.packages.cached_bytes))
        add_row(shown, "Parameters streamed at each inference", _bytes(streamed))
        add_row(shown, "Parts on the Edge TPU", str(found.packages.parts))
        add_row(shown, "Runtime needed, at least", str(found.packages.min_runtime_version))
        add_row(shown, "Compiler", found.packages.compiler_version)
    if found.cache:
        add_row(shown, "Would stay on an Edge TPU (estimate)", _bytes(found.cache.on_chip_bytes))
        add_row(shown, "Would be streamed (estimate)", _bytes(found.cache.streamed_bytes))
    return shown


def _tensors(found: Anatomy) -> "Table":
    shown = table("", "File", "Type", "Shape", "Scale", "Zero point")
    for direction, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            add_row(shown, direction, tensor.name, tensor.dtype, _shape(tensor), *_quantisation(tensor))
    shown.columns[1].header = "Name"
    return shown


def _operators(found: Anatomy) -> "Table":
    versions = found.form != "onnx"
    shown = table("Model", *(["Version"] if versions else []), numbers=["Count", "Parameters", "Multiply-adds"])
    shown.columns[0].header = "Operator"
    for operator in found.operators:
        macs = UNKNOWN if operator.macs is None else f"{operator.macs:,}"
        version = [", ".join(map(str, operator.versions))] if versions else []
        add_row(shown, operator.name, *version, str(operator.count), f"{operator.parameters:,}", macs)
    return shown


def _of_estimates(found: Anatomy) -> list[str]:
    if not found.cache:
        return []
    usual, least = (f"{size / BYTES_PER_MIB:.0f} MiB" for size in (CACHE_BYTES, LEAST_CACHE_BYTES))
    return [
        (
            f"the estimates take {usual} on the chip for parameters, as the compiler's published outputs have it where "
            f"feature maps are small; large ones leave as little as {least}"
        )
    ]


def _shape(tensor: TensorFigures) -> str:
    if tensor.shape is None:
        return UNKNOWN
    return "x".join("?" if size is None else str(size) for size in tensor.shape) or "a single number"


def _quantisation(tensor: TensorFigures) -> tuple[str, str]:
    if tensor.scale is None:
        return "", ""
    return f"{tensor.scale:.6g}", str(tensor.zero_point or 0)


def _bytes(count: int | None) -> str:
    if count is None:
        return UNKNOWN
    if count >= BYTES_PER_MIB:
        return f"{count / BYTES_PER_MIB:,.2f} MiB"
    return f"{count / _BYTES_PER_KIB:,.2f} KiB" if count >= _BYTES_PER_KIB else f"{count} bytes"
