"""The agent's API as methods: HTTP in, contract models or HostError out.

What is done about trouble on the way, so that a night's work does not die of it:

a cut while a file is sent       it goes on where the agent has it; given up after UPLOAD_TRIES cuts without a new byte
a cut while a job runs           the job goes on; asked again for CUT_PATIENCE_S, and longer as soon as one is answered
Ctrl-C, SIGTERM while one runs   it is cancelled, and waited for until the board has put things back
503 with Retry-After             `patiently` asks again for BUSY_PATIENCE_S. A deploy or a bench needs none of it: its
                                 job waits its turn on the board
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from contract.api import (
    ActivateRequest,
    AgentInfo,
    BenchRequest,
    BundleStatus,
    Job,
    ModelInfo,
    ProfileRequest,
    Stats,
    SwitchRequest,
    Telemetry,
    UploadStatus,
)
from contract.base import Contract, Reply
from contract.manifest import FileEntry, Manifest
from contract.results import Environment
from contract.tuning import Preflight, Tuning
from contract.version import API_VERSION, __version__
from host import interrupts
from host.errors import ApiVersionError, BoardError, BusyError, HostError, UnreachableError
from host.transport import CONNECT_TIMEOUT_S, RETRY_S, Transport, as_error, open_http

POLL_S = 10.0
JOB_TIMEOUT_S = POLL_S + CONNECT_TIMEOUT_S  # an agent answers at once, or after POLL_S; Ctrl-C waits no longer for it
TUNE_TIMEOUT_S = 120.0  # three commands, each with a deadline of 30 s at the agent
INFER_TIMEOUT_S = 300.0  # an agent has deadlines of its own: of the body, of each request in the queue, of the run
CANCEL_PATIENCE_S = 5.0
BUSY_PATIENCE_S = 30.0
UPLOAD_TRIES = 5
TENSORS = "application/octet-stream"
JSON = "application/json"
_CHUNK_BYTES = 1 << 18
_SEND_AGAIN = ("upload_conflict", "corrupt_upload")  # the agent is still at the last try, or it arrived damaged

OnJob = Callable[[Job], None]
OnBytes = Callable[[int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Inference:
    """The reply to one request: its body, its media type and its headers."""

    body: bytes
    media_type: str
    headers: dict[str, str]

    def json(self) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self.body)
        return reply


class _Spoken(Reply):
    """Of AgentInfo what every version of the API has."""

    api_version: int
    version: str = "of an unknown version"


class AgentClient:
    """One agent. `http` is an httpx.Client with its address and token: a test passes one that needs no socket.

    Every method: UnreachableError, BoardError and its kin (transport.py).
    """

    def __init__(self, http: httpx.Client, board: str) -> None:
        self._transport = Transport(http, board)
        self.board = board

    @classmethod
    def connect(cls, board: str, address: str, token: str | None) -> Self:
        """A client that checks the agent's version before anything else. InputError, ApiVersionError."""
        client = cls(open_http(board, address, token), board)
        try:
            client.agent()
        except BaseException:
            client._transport.close()
            raise
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def agent(self) -> AgentInfo:
        """Who answers. ApiVersionError names both versions."""
        response = self._transport.request("GET", "/v1/agent")
        spoken = self._transport.parsed(_Spoken, response)
        if spoken.api_version != API_VERSION:
            raise ApiVersionError(
                f"the agent of {self.board!r} (boardfit {spoken.version}) speaks API version {spoken.api_version}, "
                f"this host (boardfit {__version__}) speaks {API_VERSION}",
                "install the same boardfit on both",
            )
        return self._transport.parsed(AgentInfo, response)

    def models(self) -> list[ModelInfo]:
        return self._transport.ask(list[ModelInfo], "GET", "/v1/models")

    def environment(self, model: str) -> Environment:
        """What a row measured from outside was measured on."""
        return self._transport.ask(Environment, "GET", f"/v1/models/{quote(model)}/environment")

    def stats(self) -> Stats:
        return self._transport.ask(Stats, "GET", "/stats")

    def telemetry(self) -> Telemetry:
        """The board now; asked again while it does not answer, for CUT_PATIENCE_S."""
        return self._transport.ask_through_cuts(Telemetry, "GET", "/v1/telemetry")

    def preflight(self) -> Preflight:
        """What a bench would be measured under. BoardError (not_found) where its agent is from before this."""
        return self._transport.ask(Preflight, "GET", "/v1/preflight")

    def tuning(self) -> Tuning:
        """How the board is set for a bench."""
        return self._transport.ask(Tuning, "GET", "/v1/tuning")

    def tune(self) -> Tuning:
        """Sets it, as far as its agent can."""
        return self._transport.ask(Tuning, "POST", "/v1/tuning", timeout=TUNE_TIMEOUT_S)

    def offer(self, manifest: Manifest) -> BundleStatus:
        """Which files of the bundle the agent lacks."""
        return self._say(BundleStatus, "POST", "/v1/bundles", manifest.canonical_json())

    def upload(self, entry: FileEntry, content: bytes, on_bytes: OnBytes) -> None:
        """Sends a file from where the agent has it on, until it has all of it."""
        tries, most = 0, -1
        while not (
            status := self._transport.ask_through_cuts(UploadStatus, "GET", f"/v1/blobs/{entry.sha256}")
        ).complete:
            if status.received_bytes > most:
                tries, most = 0, status.received_bytes
            tries += 1
            if tries > UPLOAD_TRIES:
                raise BoardError(
                    f"{self.board!r} has {most} of {entry.size_bytes} bytes of {entry.sha256}, and takes no more",
                    "look into the agent's log on the board",
                    "upload_stuck",
                )
            try:
                self._send(entry, content, min(status.received_bytes, len(content)), on_bytes)
            except HostError as error:
                if tries == UPLOAD_TRIES or not (isinstance(error, UnreachableError) or error.code in _SEND_AGAIN):
                    raise
                time.sleep(RETRY_S)
        on_bytes(entry.size_bytes, entry.size_bytes)

    def _send(self, entry: FileEntry, content: bytes, offset: int, on_bytes: OnBytes) -> UploadStatus:
        def chunks() -> Iterator[bytes]:
            for start in range(offset, len(content), _CHUNK_BYTES):
                on_bytes(start, entry.size_bytes)
                yield content[start : start + _CHUNK_BYTES]

        return self._transport.ask(
            UploadStatus,
            "PUT",
            f"/v1/blobs/{entry.sha256}",
            params={"size": entry.size_bytes, "offset": offset},
            content=chunks(),
            headers={"Content-Length": str(len(content) - offset), "Content-Type": TENSORS},
        )

    def activate(
        self, model: str, bundle: str, *, temporary: bool = False, stop_others: bool = False, replace: bool = False
    ) -> Job:
        request = ActivateRequest(bundle=bundle, temporary=temporary, stop_others=stop_others, replace=replace)
        return self._start("PUT", f"/v1/models/{quote(model)}", request)

    def rollback(self, model: str, *, stop_others: bool = False, replace: bool = False) -> Job:
        request = SwitchRequest(stop_others=stop_others, replace=replace)
        return self._start("POST", f"/v1/models/{quote(model)}/rollback", request)

    def remove(self, model: str) -> None:
        self._transport.request("DELETE", f"/v1/models/{quote(model)}")

    def bench(self, request: BenchRequest) -> Job:
        return self._start("POST", "/v1/benches", request)

    def profile_layers(self, request: ProfileRequest) -> Job:
        return self._start("POST", "/v1/profiles", request)

    def _start(self, method: str, path: str, request: Contract | None = None) -> Job:
        """An agent refuses a key that it does not know: one that asks for nothing is left out."""
        content = b"" if request is None else request.model_dump_json(exclude_defaults=True).encode()
        return self._say(Job, method, path, content, timeout=JOB_TIMEOUT_S)

    def _say(self, kind: type[T], method: str, path: str, content: bytes, **options: Any) -> T:
        """The reply to JSON. What is wrong with it for the agent is right for us: the agent is of another version."""
        try:
            return self._transport.ask(kind, method, path, content=content, headers={"Content-Type": JSON}, **options)
        except BoardError as error:
            if error.code != "invalid_request":
                raise
            raise BoardError(
                f"the agent of {self.board!r} does not understand this host (boardfit {__version__}): {error.message}",
                "install the same boardfit on both",
                error.code,
            ) from error

    def finish(self, start: Callable[[], Job], on_job: OnJob) -> Job:
        """Starts a job and waits until it is done. Interrupted at any moment, it is cancelled.

        DoesNotRunError where the model does not run on the board.
        """
        job: Job | None = None
        try:
            with interrupts.held_back():
                job = start()
            while not job.is_over:
                on_job(job)
                job = self._later(job, on_job)
        except KeyboardInterrupt:
            if job:
                self._cancel(job, on_job)
            raise
        if job.error:
            raise as_error(job.error)
        if job.activation is None and job.measurement is None and job.layer_profile is None:
            raise BoardError(
                f"the {job.kind} of {job.model!r} was cancelled, on the board or by another command",
                "start it again",
                "cancelled",
            )
        return job

    def wait(self, job: Job, on_job: OnJob) -> Job:
        """As `finish`, of a job that is under way."""
        return self.finish(lambda: job, on_job)

    def _later(self, job: Job, on_job: OnJob) -> Job:
        """The job once it has changed, or after POLL_S."""
        try:
            return self._transport.ask_through_cuts(
                Job,
                "GET",
                f"/v1/jobs/{job.id}",
                on_cut=lambda: on_job(job.model_copy(update={"stage": "does not answer, asking again"})),
                params={"wait_s": POLL_S, "seen": job.revision},
                timeout=JOB_TIMEOUT_S,
            )
        except BoardError as error:
            if error.code != "unknown_job":
                raise
            raise BoardError(
                f"the agent of {self.board!r} was started anew meanwhile: the {job.kind} of {job.model!r} is lost",
                "start it again; the agent's log on the board may say why it ended",
                error.code,
            ) from error

    def _cancel(self, job: Job, on_job: OnJob) -> None:
        """And waits until the board has put things back. A second Ctrl-C leaves at once."""
        on_job(job.model_copy(update={"stage": "cancelled, putting things back", "done": 0, "total": 0}))
        with suppress(HostError):  # who interrupts wants to leave: there is nothing else to do about it
            self._transport.ask_through_cuts(Job, "DELETE", f"/v1/jobs/{job.id}", patience_s=CANCEL_PATIENCE_S)
            while not job.is_over:
                job = self._later(job, on_job)

    def samples_ns(self, job: Job) -> bytes:
        """int64, little-endian, one per run."""
        return self._transport.request_through_cuts("GET", f"/v1/jobs/{job.id}/samples").content

    def infer(
        self,
        model: str,
        body: bytes,
        media_type: str = TENSORS,
        accept: str = "*/*",
        timeout_s: float = INFER_TIMEOUT_S,
    ) -> Inference:
        """One request. BusyError on 503: see `patiently`. UnansweredError after `timeout_s`.

        Threads may call it at once: each has a connection to itself meanwhile.
        """
        response = self._transport.request(
            "POST",
            "/infer",
            params={"model": model},
            content=body,
            headers={"Content-Type": media_type, "Accept": accept},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
        )
        return Inference(response.content, response.headers.get("content-type", ""), dict(response.headers))

    def patiently(self, call: Callable[[], T], on_wait: Callable[[str], None]) -> T:
        """`call`, again whenever the board is busy, as it says, for BUSY_PATIENCE_S. BusyError after that."""
        give_up_at = time.monotonic() + BUSY_PATIENCE_S
        while True:
            try:
                return call()
            except BusyError as error:
                if time.monotonic() + error.retry_after_s > give_up_at:
                    raise
                on_wait(f"{self.board}: {error.message}; waiting")
                time.sleep(error.retry_after_s)
