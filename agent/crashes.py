"""What a crash means, how long to wait after it, and when to give up."""

import signal
from collections import deque

from agent.errors import WorkerCrashedError
from contract.manifest import RuntimeSpec

CRASHES_ALLOWED = 5
CRASH_WINDOW_S = 60.0
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 10.0


class Crashes:
    """Of one model. Times are those of time.monotonic(), in seconds."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=CRASHES_ALLOWED)
        self._in_a_row = 0

    def add(self, at: float, ready_since: float | None) -> None:
        """One more; `ready_since` None where it died while it was loaded again."""
        if ready_since is not None and at - ready_since >= CRASH_WINDOW_S:
            self._in_a_row = 0
        self._in_a_row += 1
        self._at.append(at)

    @property
    def are_too_many(self) -> bool:
        """Whether the last CRASHES_ALLOWED came within CRASH_WINDOW_S."""
        return len(self._at) == CRASHES_ALLOWED and self._at[-1] - self._at[0] < CRASH_WINDOW_S

    @property
    def backoff_s(self) -> float:
        """Doubles with each crash that no quiet CRASH_WINDOW_S came before: slow loads may never be too many."""
        return min(FIRST_BACKOFF_S * 2.0 ** (self._in_a_row - 1), LONGEST_BACKOFF_S)


def while_loading(error: WorkerCrashedError, runtime: RuntimeSpec) -> WorkerCrashedError:
    """The same, with its cause where that is known.

    The Edge TPU's library is bound to the TensorFlow Lite it was built with: 16.0 works with runtimes up to 2.11.1, and
    crashes with later ones (google-coral/edgetpu#812, google-coral/libedgetpu#53). TensorFlow Lite aborts where a
    kernel's own check fails (TFLITE_ABORT; tensorflow/tensorflow#32725, #35987), and so does the library.
    """
    by_delegate = runtime.key == "tflite" and runtime.options.get("delegate") == "edgetpu"
    if runtime.key == "tflite" and signal.SIGABRT.name in error.message:
        who = "TensorFlow Lite or the Edge TPU's library" if by_delegate else "TensorFlow Lite"
        hanging = "; taking the board's power away for a moment helps a device that hangs" if by_delegate else ""
        return WorkerCrashedError(
            f"{who} found something impossible, and gave up: {error.message} as it loaded the model",
            f"convert the model again with `host convert`, and try `host inspect` on the file{hanging}",
        )
    if not by_delegate or signal.SIGSEGV.name not in error.message:
        return error
    return WorkerCrashedError(
        f"runtime and delegate do not match: {error.message} as it loaded the model for the Edge TPU",
        "use the board's own pair: python3-tflite-runtime 2.5.0 and libedgetpu1-std 16.0 (`agent worker-probe`)",
    )
