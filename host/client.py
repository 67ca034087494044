"""The agent's API as methods: HTTP in, contract models or HostError out."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from contract.api import (
    ActivateRequest,
    AgentInfo,
    BenchRequest,
    BundleStatus,
    ErrorReply,
    Job,
    ModelInfo,
    Stats,
    UploadStatus,
)
from contract.manifest import FileEntry, Manifest
from contract.results import DOES_NOT_RUN, Environment
from contract.version import API_VERSION
from host.errors import ApiVersionError, BoardError, DoesNotRunError, UnreachableError

TIMEOUT_S = 60.0
POLL_S = 10.0
UPLOAD_TRIES = 5
_CHUNK_BYTES = 1 << 18
TENSORS = "application/octet-stream"
_MODELS = TypeAdapter(list[ModelInfo])

OnJob = Callable[[Job], None]
OnBytes = Callable[[int, int], None]


@dataclass(frozen=True)
class Inference:
    """The reply to one request: its body, its media type and its headers."""

    body: bytes
    media_type: str
    headers: dict[str, str]

    def json(self) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self.body)
        return reply


class AgentClient:
    """One agent. `http` is an httpx.Client with its address and token: a test passes one that needs no socket."""

    def __init__(self, http: httpx.Client, board: str) -> None:
        self._http = http
        self.board = board

    @classmethod
    def connect(cls, board: str, address: str, token: str | None) -> Self:
        """A client that checks the agent's version before anything else. UnreachableError, ApiVersionError."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Never through a proxy of the environment: a board is on the user's own network, and the token is for it alone.
        client = cls(httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_S, trust_env=False), board)
        client.agent()
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def agent(self) -> AgentInfo:
        """Who answers. ApiVersionError names both versions."""
        response = self._request("GET", "/v1/agent")
        found = response.json().get("api_version") if isinstance(response.json(), dict) else None
        if found != API_VERSION:
            raise ApiVersionError(
                f"the agent of {self.board!r} speaks API version {found}, this host {API_VERSION}",
                "install the same boardfit on both",
            )
        return AgentInfo.model_validate_json(response.content)

    def models(self) -> list[ModelInfo]:
        return _MODELS.validate_json(self._request("GET", "/v1/models").content)

    def environment(self, model: str) -> Environment:
        """What a row measured from outside was measured on."""
        return Environment.model_validate_json(self._request("GET", f"/v1/models/{quote(model)}/environment").content)

    def stats(self) -> Stats:
        return Stats.model_validate_json(self._request("GET", "/stats").content)

    def offer(self, manifest: Manifest) -> BundleStatus:
        """Which files of the bundle the agent lacks."""
        response = self._request("POST", "/v1/bundles", content=manifest.canonical_json(), headers=_json_headers())
        return BundleStatus.model_validate_json(response.content)

    def upload(self, entry: FileEntry, content: bytes, on_bytes: OnBytes) -> None:
        """Sends a file from where the agent has it on; taken up again after a cut, UPLOAD_TRIES times in all."""
        for remaining in reversed(range(UPLOAD_TRIES)):
            status = self._upload_status(entry.sha256)
            if status.complete:
                break
            try:
                self._send(entry, content, status.received_bytes, on_bytes)
            except UnreachableError:
                if not remaining:
                    raise
                time.sleep(0.5)
        on_bytes(entry.size_bytes, entry.size_bytes)

    def _upload_status(self, sha256: str) -> UploadStatus:
        return UploadStatus.model_validate_json(self._request("GET", f"/v1/blobs/{sha256}").content)

    def _send(self, entry: FileEntry, content: bytes, offset: int, on_bytes: OnBytes) -> None:
        def chunks() -> Iterator[bytes]:
            for start in range(offset, len(content), _CHUNK_BYTES):
                on_bytes(start, entry.size_bytes)
                yield content[start : start + _CHUNK_BYTES]

        self._request(
            "PUT",
            f"/v1/blobs/{entry.sha256}",
            params={"size": entry.size_bytes, "offset": offset},
            content=chunks(),
            headers={"Content-Length": str(len(content) - offset), "Content-Type": TENSORS},
        )

    def activate(self, model: str, bundle: str) -> Job:
        request = ActivateRequest(bundle=bundle).model_dump()
        return _job(self._request("PUT", f"/v1/models/{quote(model)}", json=request))

    def rollback(self, model: str) -> Job:
        return _job(self._request("POST", f"/v1/models/{quote(model)}/rollback"))

    def remove(self, model: str) -> None:
        self._request("DELETE", f"/v1/models/{quote(model)}")

    def bench(self, request: BenchRequest) -> Job:
        return _job(self._request("POST", "/v1/benches", json=request.model_dump()))

    def wait(self, job: Job, on_job: OnJob) -> Job:
        """The job once it is done. It is cancelled when this is interrupted. BoardError, DoesNotRunError."""
        try:
            while not job.is_over:
                on_job(job)
                params = {"wait_s": POLL_S, "seen": job.revision}
                job = _job(self._request("GET", f"/v1/jobs/{job.id}", params=params))
        except KeyboardInterrupt:
            self._cancel(job)
            raise
        if job.error:
            kind = DoesNotRunError if job.error.code in DOES_NOT_RUN else BoardError
            raise kind(job.error.error, job.error.hint, job.error.code)
        if job.activation is None and job.measurement is None:
            raise BoardError(f"the {job.kind} of {job.model!r} was cancelled", "start it again", "cancelled")
        return job

    def _cancel(self, job: Job) -> None:
        """And waits until the agent has put things back: Ctrl-C leaves it as it was."""
        self._request("DELETE", f"/v1/jobs/{job.id}")
        while not job.is_over:
            params = {"wait_s": POLL_S, "seen": job.revision}
            job = _job(self._request("GET", f"/v1/jobs/{job.id}", params=params))

    def samples_ns(self, job: Job) -> bytes:
        """int64, little-endian, one per run."""
        return self._request("GET", f"/v1/jobs/{job.id}/samples").content

    def infer(self, model: str, body: bytes, media_type: str = TENSORS, accept: str = "*/*") -> Inference:
        headers = {"Content-Type": media_type, "Accept": accept}
        response = self._request("POST", "/infer", params={"model": model}, content=body, headers=headers)
        return Inference(response.content, response.headers.get("content-type", ""), dict(response.headers))

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(
                f"the agent of {self.board!r} at {self._http.base_url} does not answer: {reason}",
                "is it running, and is its address right? `host boards` lists both",
            ) from error
        if response.is_error:
            raise self._refusal(response)
        return response

    def _refusal(self, response: httpx.Response) -> BoardError:
        try:
            told = ErrorReply.model_validate_json(response.content)
        except ValidationError:
            message = f"{self._http.base_url} answered {response.status_code}, and not as an agent does"
            return BoardError(message, "is the address that of a boardfit agent? `host boards` lists it")
        if told.code == "unauthorized":
            hint = f"give {self.board!r} the agent's token: host boards add {self.board} ... --token-file FILE"
            return BoardError(f"the agent of {self.board!r} refuses the token: {told.error}", hint, told.code)
        return BoardError(told.error, told.hint, told.code)


def _job(response: httpx.Response) -> Job:
    return Job.model_validate_json(response.content)


def _json_headers() -> dict[str, str]:
    return {"Content-Type": "application/json"}
