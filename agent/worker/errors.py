"""What a worker answers instead of a result.

WorkerError
    RuntimeMissingError       this Python does not offer the runtime
    BadOptionError            an option the runtime does not take, or a value it does not
    LoadFailedError           the runtime refused the model
    SignatureMismatchError    the model is not what the manifest says
    RunFailedError            the runtime failed while running

Anything else that is raised is a bug of ours: it goes out with its traceback, under the code `worker_bug`.
"""


class WorkerError(Exception):
    """An answer with a code, a message with the value, and a hint."""

    code = "worker_error"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RuntimeMissingError(WorkerError):
    code = "runtime_missing"


class BadOptionError(WorkerError):
    code = "bad_runtime_option"


class LoadFailedError(WorkerError):
    code = "load_failed"


class SignatureMismatchError(WorkerError):
    code = "signature_mismatch"


class RunFailedError(WorkerError):
    code = "run_failed"
