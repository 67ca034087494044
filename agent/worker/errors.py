"""What a worker answers instead of a result.

WorkerError
    RuntimeMissingError       this Python does not offer the runtime
        AcceleratorError          its accelerator does not work: no permission, no driver, none there
    BadOptionError            an option the runtime does not take, or a value it does not
    UnsupportedError          not something this runtime does
    LoadFailedError           the runtime refused the model
        EngineMismatchError       it was built by another version, or for another device
    ModelRefusedError         the board's parser does not take the model
    BuildFailedError          the parser took it, and nothing could be built
    OutOfMemoryError          the board, or its accelerator, has too little memory for it
    DiskError                 what was built cannot be written: no fault of the model
    SignatureMismatchError    the model is not what the manifest says
    RunFailedError            the runtime failed while running
        AcceleratorLostError      and nothing runs in this process any more: the worker ends

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


class UnsupportedError(WorkerError):
    code = "unsupported"


class LoadFailedError(WorkerError):
    code = "load_failed"


class EngineMismatchError(LoadFailedError):
    code = "engine_mismatch"


class ModelRefusedError(WorkerError):
    code = "model_refused"


class BuildFailedError(WorkerError):
    code = "build_failed"


class OutOfMemoryError(WorkerError):
    code = "out_of_memory"


class DiskError(WorkerError):
    code = "disk_failed"


class AcceleratorError(RuntimeMissingError):
    code = "accelerator_failed"


class SignatureMismatchError(WorkerError):
    code = "signature_mismatch"


class RunFailedError(WorkerError):
    code = "run_failed"


class AcceleratorLostError(RunFailedError):
    code = "accelerator_lost"
