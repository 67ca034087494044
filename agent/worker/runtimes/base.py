"""What a runtime is: four methods. A new one is one file beside this, with a function `create()`.

Order of calls: open, load, then bind and run any number of times, all on one thread. Timing, signature checks and
memory figures are not a runtime's business (loop.py). A runtime that makes what it loads out of a model, on the board,
has `architecture`, `parse` and `build` too: open, then these, in a worker of their own that is gone afterwards.
"""

import difflib
from abc import ABC, abstractmethod
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import BadOptionError, UnsupportedError, WorkerError

Options = Dict[str, Any]
Quantisation = Optional[Tuple[float, int]]
"""Scale and zero point of a whole tensor, ``real = scale * (integer - zero_point)``; None where it has none."""


class Tensor(NamedTuple):
    """A model's input or output: numpy's dtype name; a dimension the runtime does not know is None."""

    name: str
    dtype: str
    shape: Tuple[Optional[int], ...]


class Problem(NamedTuple):
    """A node that the board's own parser refuses; what it does not say is ""."""

    node: str
    operator: str
    reason: str


class Order(NamedTuple):
    """What is to be built. `target` is written whole or not at all; `cache` holds what makes the next build shorter.

    precision        "fp32", "tf32", "fp16" or "int8": what the builder may use
    typed            the precision is in the model itself (TensorRT from 11 on takes no other way)
    workspace_bytes  the most that one layer may take while it runs, and so while it is tried
    """

    source: str
    target: str
    cache: str
    precision: str
    typed: bool
    workspace_bytes: int


class Layer(NamedTuple):
    """The mean time of one layer of a model, as the runtime has fused it, in order."""

    name: str
    mean_ms: float


class Runtime(ABC):
    """Runs one model."""

    option_names: Tuple[str, ...] = ()

    def open(self, options: Options) -> str:
        """Initialises the runtime, runs a tiny model of its own if it can, and returns the runtime's version.

        Raises RuntimeMissingError where it cannot be imported, BadOptionError for an option it does not take.
        """
        for name in options:
            if name not in self.option_names:
                near = difflib.get_close_matches(name, self.option_names, n=1)
                raise BadOptionError(
                    "the runtime takes no option %r" % name,
                    "did you mean %r?" % near[0] if near else "it takes %s" % ", ".join(self.option_names),
                )
        return self._open(options)

    @abstractmethod
    def _open(self, options: Options) -> str:
        """open, once the names of the options are known to be right."""

    @abstractmethod
    def load(self, path: str) -> Tuple[List[Tensor], List[Tensor]]:
        """Loads the model file and returns its inputs and outputs in order. Raises LoadFailedError."""

    @abstractmethod
    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Prepares runs from these numpy arrays into those (C-contiguous, kept alive by the caller)."""

    @abstractmethod
    def run(self, binding: Any) -> Optional[float]:
        """Reads the inputs of `binding`, writes its outputs, and returns the seconds on an accelerator, if known.

        All of the run is inside: copies to and from an accelerator included. Raises RunFailedError.
        """

    def close(self) -> None:  # noqa: B027  # most have nothing to give back: the process ends
        """Gives back what was taken since `open`, also after a failure; nothing is called afterwards."""

    def warm_up(self, path: str) -> None:  # noqa: B027  # most run their tiny model in `open`
        """Runs a tiny model that was built with the one at `path`: the runtime is initialised then. LoadFailedError."""

    def details(self) -> Dict[str, str]:
        """What it decided while loading, by name, to be recorded with what is measured."""
        return {}

    def quantisation(self) -> Optional[Tuple[List[Quantisation], List[Quantisation]]]:
        """Of the loaded model's inputs and outputs, as its own file says; None where the runtime does not tell."""
        return None

    def accelerator_bytes(self) -> Optional[int]:
        """What the loaded model holds of an accelerator's own memory; None where there is none, or it is shared."""
        return None

    def profile(self, binding: Any, runs: int) -> List[Layer]:
        """The layers' times over so many runs, apart from any other measurement: it slows the runs down.

        Raises UnsupportedError where the runtime cannot tell, RunFailedError.
        """
        raise UnsupportedError("the runtime does not tell the times of layers", "measure the whole: host bench")

    def architecture(self) -> str:
        """Of the accelerator, e.g. "sm_87": what is built for one is of no use on another."""
        raise self._builds_nothing()

    def parse(self, source: str) -> List[Problem]:
        """What keeps the model in this file from being built here; nothing where the board's parser takes it."""
        raise self._builds_nothing()

    def build(self, order: Order, say: Callable[[str], None]) -> None:
        """Makes `order.target`; `say` hears, on any thread, what the builder says meanwhile.

        Raises ModelRefusedError (its parser), BuildFailedError, OutOfMemoryError.
        """
        raise self._builds_nothing()

    def _builds_nothing(self) -> WorkerError:
        return UnsupportedError("this runtime builds nothing: it loads the model as it is", "convert the model again")
