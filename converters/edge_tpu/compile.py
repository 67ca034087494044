"""An int8 TFLite file -> the same for the Edge TPU: compiled here, in a container, or by the user elsewhere."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.edge_tpu.compiler import COMPILED, MODEL, Compiler, run_from_path
from converters.edge_tpu.container import run_in_container
from converters.edge_tpu.errors import CompiledFileError, EdgeTpuError, OtherModelError
from converters.edge_tpu.output import Summary, not_understood, read_output, rows_of
from converters.edge_tpu.package import CUSTOM_OPERATOR, Packages, packages_of
from converters.edge_tpu.report import EdgeTpuReport
from converters.tflite_file import NotTfliteError, Tensor, TfliteFile, read_tflite

_MOST_BYTES = 2**31
_MOST_LOG_BYTES = 2**24
_NEAR = 1e-6
"""Of two scales that are the same: float32 keeps seven digits."""


@dataclass(frozen=True)
class Compiled:
    """The file for the chip, and what is known of it."""

    content: bytes
    report: EdgeTpuReport


def compile_for_edge_tpu(content: bytes, compiler: Compiler) -> Compiled:
    """`content` is an int8 TFLite file. EdgeTpuError, whose `uncompiled` is that file; NotTfliteError."""
    source = read_tflite(content)
    try:
        if compiler.compiled is not None:
            return _compiled_elsewhere(source, compiler.compiled)
        return _compiled_here(content, source, compiler)
    except EdgeTpuError as error:
        error.uncompiled = content
        raise


def _compiled_here(content: bytes, source: TfliteFile, compiler: Compiler) -> Compiled:
    run = run_in_container if compiler.docker else run_from_path
    with tempfile.TemporaryDirectory(prefix="boardfit-edgetpu-") as name:
        folder = Path(name).resolve()
        (folder / MODEL).write_bytes(content)
        done = run(folder, compiler.timeout_s)
        summary = read_output(done.output, done.exit_code)
        try:
            result = (folder / COMPILED).read_bytes()
        except OSError as error:
            raise not_understood(f"it succeeded without a file {COMPILED}", done.output) from error
    file, packages = _read_compiled(result, "what the compiler wrote")
    _check_same(source, file)
    return Compiled(result, _told(summary, packages))


def _told(summary: Summary, packages: Packages) -> EdgeTpuReport:
    return EdgeTpuReport(
        summary.version,
        summary.operators,
        summary.operators_on_cpu,
        summary.subgraphs,
        summary.on_chip_bytes,
        summary.on_chip_remaining_bytes,
        summary.streamed_bytes,
        packages.min_runtime_version,
        summary.rows,
    )


def _compiled_elsewhere(source: TfliteFile, path: Path) -> Compiled:
    """All from the file itself, but for the reasons: those are in the compiler's log, where that lies beside it."""
    try:
        if not path.is_file():
            raise CompiledFileError(f"{path} is no file", "give the _edgetpu.tflite that the compiler wrote")
        if path.stat().st_size > _MOST_BYTES:
            raise CompiledFileError(f"{path} has more than {_MOST_BYTES:,} bytes", "give what the compiler wrote")
        content = path.read_bytes()
    except OSError as error:
        raise CompiledFileError(f"cannot read {path}: {error.strerror}", "check its permissions") from error
    file, packages = _read_compiled(content, str(path))
    _check_same(source, file)
    rows = rows_of(_log_beside(path))
    if sum(row.count for row in rows) != len(source.operators):
        rows = ()  # of another run, or none at all
    report = EdgeTpuReport(
        packages.compiler_version or "unknown",
        len(source.operators),
        len(file.operators) - packages.parts,
        packages.parts,
        packages.cached_bytes,
        None,
        packages.streamed_bytes + packages.stand_alone_bytes,
        packages.min_runtime_version,
        rows,
    )
    return Compiled(content, report)


def _log_beside(path: Path) -> str:
    """What the compiler wrote beside the file, or nothing."""
    try:
        with path.with_suffix(".log").open(encoding="utf-8", errors="replace") as log:
            return log.read(_MOST_LOG_BYTES)
    except OSError:
        return ""


def _read_compiled(content: bytes, what: str) -> tuple[TfliteFile, Packages]:
    try:
        file = read_tflite(content)
    except NotTfliteError as error:
        raise CompiledFileError(f"{what} is not understood: {error.message}", error.hint) from error
    packages = packages_of(file)
    if packages is None:
        raise CompiledFileError(
            f"{what} is not compiled for the Edge TPU: it has no operator {CUSTOM_OPERATOR}",
            "give the _edgetpu.tflite that the compiler wrote; nothing may have been mapped: see its log",
        )
    return file, packages


def _check_same(source: TfliteFile, compiled: TfliteFile) -> None:
    """Names, sizes and scales of all inputs and outputs: scales come from the images that a model was calibrated with,
    so that two models seldom agree in them. OtherModelError.
    """
    for what, wanted, found in (
        ("inputs", source.inputs, compiled.inputs),
        ("outputs", source.outputs, compiled.outputs),
    ):
        if len(wanted) != len(found) or not all(map(_alike, wanted, found)):
            raise OtherModelError(
                f"the compiled file is of another model: its {what} are {_shown(found)}, the model's {_shown(wanted)}",
                "compile the int8 file that was kept, and convert with the same images as when it was kept",
            )


def _alike(one: Tensor, other: Tensor) -> bool:
    return (
        (one.name, one.dtype, one.shape, one.zero_points) == (other.name, other.dtype, other.shape, other.zero_points)
        and len(one.scales) == len(other.scales)
        and all(abs(left - right) <= _NEAR * abs(left) for left, right in zip(one.scales, other.scales, strict=True))
    )


def _shown(tensors: Sequence[Tensor]) -> str:
    return ", ".join(
        f"{tensor.name!r} {tensor.dtype}{list(tensor.shape)} x {'/'.join(f'{scale:.6g}' for scale in tensor.scales)}"
        for tensor in tensors
    )
