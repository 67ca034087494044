"""What a runtime is: four methods. A new one is one file beside this, with a function `create()`.

Order of calls: open, load, then bind and run any number of times, all on one thread. Timing, signature checks and
memory figures are not a runtime's business (loop.py).
"""

import difflib
from abc import ABC, abstractmethod
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import BadOptionError

Options = Dict[str, Any]


class Tensor(NamedTuple):
    """A model's input or output: numpy's dtype name; a dimension the runtime does not know is None."""

    name: str
    dtype: str
    shape: Tuple[Optional[int], ...]


class Runtime(ABC):
    """Runs one model."""

    option_names: Tuple[str, ...] = ()

    def open(self, options: Options) -> str:
        """Initialises the runtime, runs a tiny model of its own, and returns the runtime's version.

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
