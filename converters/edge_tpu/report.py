"""What came of a compilation: which operators run where, and where the parameters are."""

from dataclasses import dataclass

MAPPED = "Mapped to Edge TPU"

_MEANINGS = {
    "More than one subgraph is not supported": "an operator before it does not run there, and after that none does",
    "Operation is otherwise supported, but not mapped due to some unspecified limitation": (
        "the compiler does not say why; often it is too large, or its input is"
    ),
    "Operation version not supported": "another form of it would be: `host inspect` tells which",
    "Operation is working on an unsupported data type": "its tensors are not 8-bit",
    "Tensor has unsupported rank (up to 3 innermost dimensions mapped)": "more than three sizes are above 1",
    "Operation not supported": "the chip has no such operator",
}
"""The statuses that public issues show, and their sense: google-coral/edgetpu#60, #75, #193, #242, #439, #512, #708."""


@dataclass(frozen=True)
class Row:
    """Operators of one kind that one thing happened to."""

    operator: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        return self.status == MAPPED


@dataclass(frozen=True)
class EdgeTpuReport:
    """What the compiler says of a file, or the file of itself.

    operators                of the model as it was, before the compiler made one of many
    on_chip_bytes            parameters that stay on the chip from one inference to the next
    on_chip_remaining_bytes  what is free there beside them; None where the compiler's output is not at hand
    streamed_bytes           parameters that come over the bus at each inference
    min_runtime_version      what the board's libedgetpu must have at least
    rows                     operator, count and what became of them; empty where the compiler's output is not at hand
    """

    compiler_version: str
    operators: int
    operators_on_cpu: int
    subgraphs: int
    on_chip_bytes: int
    on_chip_remaining_bytes: int | None
    streamed_bytes: int
    min_runtime_version: int
    rows: tuple[Row, ...] = ()

    @property
    def notices(self) -> tuple[str, ...]:
        """One sentence each: what runs where, what fits on the chip, why an operator is left to the CPU."""
        mapped = self.operators - self.operators_on_cpu
        graphs = f"{self.subgraphs} {'part' if self.subgraphs == 1 else 'parts'}"
        fit = f"Edge TPU: {size(self.on_chip_bytes)} of parameters stay on the chip"
        if self.streamed_bytes:
            fit += f", {size(self.streamed_bytes)} are streamed at each inference"
        elif self.on_chip_remaining_bytes is not None:
            fit += f", {size(self.on_chip_remaining_bytes)} are free beside them, and none are streamed"
        return (
            f"Edge TPU: {mapped} of {self.operators} operators run there, in {graphs}",
            fit,
            *(f"Edge TPU: {row.count} {row.operator} on the CPU: {_why(row)}" for row in self.rows if not row.mapped),
        )


def size(count_bytes: int) -> str:
    """Bytes as the compiler writes them: 5.90 MiB."""
    for unit, bound in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count_bytes >= bound:
            return f"{count_bytes / bound:.2f} {unit}"
    return f"{count_bytes} B"


def _why(row: Row) -> str:
    meaning = _MEANINGS.get(row.status)
    return f"{row.status[:1].lower()}{row.status[1:]}" + (f" ({meaning})" if meaning else "")
