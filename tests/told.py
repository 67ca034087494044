"""What a flow told of its progress, kept for a test to look at."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from host.progress import Progress


@dataclass
class Told(Progress):
    """`stages` in order, `done` as (done, total), `details` of it, `notes`."""

    stages: list[str] = field(default_factory=list)
    done: list[tuple[int, int]] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def advance(self, done: int, total: int, detail: str = "") -> None:
        self.done.append((done, total))
        self.details += [detail] if detail else []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()
