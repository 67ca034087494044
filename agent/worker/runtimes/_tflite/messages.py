"""What TensorFlow Lite says where it takes no model, and what to do: it raises ValueError and RuntimeError for all."""

import re
from typing import Optional, Tuple

from ...errors import LoadFailedError
from .files import COMPILED

_CUSTOM = "Encountered unresolved custom op: "
_MISMATCH = "the Edge TPU's library and the runtime do not match"
_PAIR = "a board's own pair does: python3-tflite-runtime 2.5.0 and libedgetpu1-std 16.0"
# The first that is found in what it says: the start of the message, and the hint. "" leaves what it says alone.
_KNOWN: Tuple[Tuple[str, str, str], ...] = (
    (  # google-coral/libedgetpu, driver/package_registry.cc
        r"Package requires runtime version",
        "the file needs a newer library of the Edge TPU than this board's",
        "install a newer libedgetpu1-std, or compile the model with `edgetpu_compiler --min_runtime_version N`",
    ),
    (
        re.escape(_CUSTOM + COMPILED.decode()),
        "the file is compiled for the Edge TPU, and the runtime was told to do without",
        "set the runtime option delegate to edgetpu, or deploy for the CPU: --cpu",
    ),
    (re.escape(_CUSTOM), "it has an operator of somebody else's", "convert the model again with `host convert`"),
    (r"Unsupported data type in custom op handler", _MISMATCH, _PAIR),  # google-coral/edgetpu#259
    (r"batches \* single_input_size != input->bytes", _MISMATCH, _PAIR),  # google-coral/edgetpu#71
    (
        r"Didn't find op for builtin opcode '\w+' version",
        "it has an operator that is newer than this runtime",
        "convert the model again with `host convert`: its files keep to the operators of TensorFlow 2.5",
    ),
)


def load_failed(runtime: str, error: Exception) -> LoadFailedError:
    """`runtime`: its name and version."""
    said = " ".join(str(error).split())
    what, hint = _told(said) or ("", "convert the model again, or try another version of the runtime on the board")
    return LoadFailedError("%s refused the model: %s%s" % (runtime, what and what + ": ", said), hint)


def _told(said: str) -> Optional[Tuple[str, str]]:
    return next(((what, hint) for pattern, what, hint in _KNOWN if re.search(pattern, said)), None)
