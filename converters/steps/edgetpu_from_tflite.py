"""Have the finished int8 file compiled for the Edge TPU: what the chip can run becomes one operator."""

from typing import Protocol

from converters.edge_tpu.compile import compile_for_edge_tpu
from converters.edge_tpu.compiler import Compiler
from converters.edge_tpu.report import EdgeTpuReport


class Compilable(Protocol):
    """What of a draft this step reads and changes."""

    content: bytes | None
    compiler: Compiler
    edge_tpu: EdgeTpuReport | None
    notices: list[str]


def apply(draft: Compilable) -> None:
    """Replace ``draft.content``, the TFLite file; what runs where and what fits on the chip goes into the notices.

    EdgeTpuError, whose `uncompiled` is the file as it was.
    """
    assert draft.content is not None  # the step before wrote it
    compiled = compile_for_edge_tpu(draft.content, draft.compiler)
    draft.content = compiled.content
    draft.edge_tpu = compiled.report
    draft.notices += compiled.report.notices
