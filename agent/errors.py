"""What an agent says instead of an answer. agent/api/errors.py alone knows the HTTP status of each class.

AgentError
    InputError                the request is wrong
        BadTensorError            shape, dtype or byte count does not fit the signature
        BadImageError             not an image we read, broken, or too large
        UnsupportedMediaError     a Content-Type we do not read, or this model does not take
        NotAcceptableError        an Accept we cannot serve
        BodyTimeoutError          the body did not come in time
        MethodError               not the method of this path
        TooLargeError             more bytes than are allowed
        BadQueryError             a parameter that is unknown or malformed
        MalformedRequestError     not HTTP, or not a form of it that is understood
        HeadTooLargeError         more bytes before the body than are allowed
    UnauthorizedError         no token, or a wrong one
    NotFoundError             unknown model, bundle, blob or job: the message names the nearest
    ConflictError             true of the request, but not now
        UploadConflictError       the offset is not where the upload stands
        IncompleteBundleError     files of the bundle are missing
        NothingToRollBackError    there is no version before this one
        ModelBusyError            another change of the same model is under way
        NameTakenError            a temporary model would take the place of one that is to stay
        BuildNeedsBoardError      a build takes all of the board's memory, and other models are served
        RecentTrafficError        the board served requests in the last minute; a bench needs `interrupt`
        AcceleratorTakenError     another model has what one model has at a time; it can be replaced
        AcceleratorHeldError      a process that is none of ours has it
        RootWorkerError           root must not start a worker that takes it
    UnavailableError          try again: carries the seconds after which
        QueueFullError            the model's queue is full
        BoardHeldError            a bench or a build holds the board
        ModelNotReadyError        the model's worker is starting, backing off, failed or stopped
        ConnectionsFullError      as many connections are open as the agent takes
        AgentEndingError          the agent was told to end
    CorruptUploadError        the bytes are not what their sha256 says
    DiskFullError             no space left
    DiskFailedError           it cannot be written: read-only, or broken
    WorkerFailedError         the request reached the worker, and did not come back well
        WorkerCrashedError        it died under the request
        WorkerTimeoutError        it did not answer in time, and was ended
        WorkerRefusedError        it answered with an error of its own (agent/worker/errors.py)
        GoldenMismatchError       a loaded model does not give its golden outputs
    StartError                the agent itself cannot start (port in use, data directory, token)
"""

import difflib
from collections.abc import Iterable


class AgentError(Exception):
    """A message with the offending value, a stable code, and what to do."""

    code = "agent_error"

    def __init__(self, message: str, hint: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.code

    def add(self, more: str) -> None:
        """What was known only after it was raised: what became of the rest."""
        self.message = f"{self.message}; {more}"
        self.args = (self.message,)


class InputError(AgentError):
    code = "bad_input"


class BadTensorError(InputError):
    code = "bad_tensor"


class BadImageError(InputError):
    code = "bad_image"


class UnsupportedMediaError(InputError):
    code = "unsupported_media_type"


class NotAcceptableError(InputError):
    code = "not_acceptable"


class BodyTimeoutError(InputError):
    code = "body_timeout"


class MethodError(InputError):
    code = "method_not_allowed"
    allowed = "POST"


class TooLargeError(InputError):
    code = "too_large"


class BadQueryError(InputError):
    code = "bad_query"


class MalformedRequestError(InputError):
    code = "malformed_request"


class HeadTooLargeError(InputError):
    code = "head_too_large"


class UnauthorizedError(AgentError):
    code = "unauthorized"


class NotFoundError(AgentError):
    code = "not_found"

    @classmethod
    def nearest(cls, kind: str, name: str, known: Iterable[str]) -> "NotFoundError":
        """`kind` is "model", "runtime", ...: it becomes the code ``unknown_<kind>``."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names) or 'none'}"
        return cls(f"there is no {kind} {name!r}", hint, f"unknown_{kind}")


class ConflictError(AgentError):
    code = "conflict"


class UploadConflictError(ConflictError):
    code = "upload_conflict"


class IncompleteBundleError(ConflictError):
    code = "incomplete_bundle"


class NothingToRollBackError(ConflictError):
    code = "nothing_to_roll_back"


class ModelBusyError(ConflictError):
    code = "model_busy"


class NameTakenError(ConflictError):
    code = "name_taken"


class BuildNeedsBoardError(ConflictError):
    code = "build_needs_board"


class RecentTrafficError(ConflictError):
    code = "recent_traffic"


class AcceleratorTakenError(ConflictError):
    code = "accelerator_taken"


class AcceleratorHeldError(ConflictError):
    code = "accelerator_held"


class RootWorkerError(ConflictError):
    code = "root_worker"


class UnavailableError(AgentError):
    code = "unavailable"
    retry_after_s = 1


class QueueFullError(UnavailableError):
    code = "queue_full"


class BoardHeldError(UnavailableError):
    code = "board_held"
    retry_after_s = 5


class ModelNotReadyError(UnavailableError):
    code = "model_not_ready"


class ConnectionsFullError(UnavailableError):
    code = "connections_full"


class AgentEndingError(UnavailableError):
    code = "agent_ending"
    retry_after_s = 5


class CorruptUploadError(AgentError):
    code = "corrupt_upload"


class DiskFullError(AgentError):
    code = "disk_full"


class DiskFailedError(AgentError):
    code = "disk_failed"


class WorkerFailedError(AgentError):
    code = "worker_failed"


class WorkerCrashedError(WorkerFailedError):
    code = "worker_crashed"


class WorkerTimeoutError(WorkerFailedError):
    code = "worker_timeout"


class WorkerRefusedError(WorkerFailedError):
    """Carries the worker's own code, message and hint."""

    def __init__(self, message: str, hint: str, code: str) -> None:
        super().__init__(message, hint, code)


class GoldenMismatchError(WorkerFailedError):
    code = "golden_mismatch"


class StartError(AgentError):
    code = "cannot_start"
