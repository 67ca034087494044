"""The most memory that a model's activations take at once."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def peak_activations(
    steps: Sequence[tuple[Iterable[Name], Iterable[Name]]],
    sizes: Mapping[Name, int | None],
    inputs: Iterable[Name],
    outputs: Iterable[Name],
) -> int | None:
    """The largest sum, over the operators in the file's order, of the bytes of the tensors that are alive then.

    A tensor lives from the operator that computes it (an input: from the start) to the last that reads it (an output:
    to the end), each in full: no operator is taken to work in place, and none to need memory of its own. `steps` has
    what each operator reads and writes; a name that is not in `sizes` is no activation. None where a size is not known.
    """
    inputs, ends = list(inputs), dict.fromkeys(outputs, len(steps))
    for index, (reads, writes) in enumerate(steps):
        for name in (*reads, *writes):
            ends[name] = max(ends.get(name, 0), index)
    alive: dict[Name, int] = {}
    total = peak = 0
    dying: dict[int, list[Name]] = {}
    for index, (_, writes) in enumerate([((), inputs), *steps], start=-1):
        for name in writes:
            if name in alive or name not in sizes:
                continue
            size = sizes[name]
            if size is None:
                return None
            alive[name] = size
            total += size
            dying.setdefault(ends.get(name, index), []).append(name)
        peak = max(peak, total)
        total -= sum(alive.pop(name) for name in dying.pop(index, []))
    return peak
