"""POST /infer. Plain ASGI, below FastAPI: on this path each byte is copied once in and once out, and nothing else.

Request                     image/png, image/jpeg        decoded and prepared as the manifest says
                            application/octet-stream     all inputs, one after the other
                            application/x-npy            the one input
                            application/json             tensors of the Open Inference Protocol
Query                       model=NAME                   not needed where one model is deployed
Reply                       a model with a score         score, threshold, decision (with JSON tensors: as `parameters`)
                            else                         tensors in the form of the request (of an image: JSON)
Accept                      any of the tensor forms      tensors in that form
                            image/png                    the anomaly map; score and decision in the headers
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent import decision
from agent.api import tensors
from agent.api.tensors import JSON, NPY, RAW
from agent.dataplane import Admission, Dataplane, Served
from agent.decision import Verdict
from agent.errors import BodyTimeoutError, MethodError, NotAcceptableError, TooLargeError, UnsupportedMediaError
from contract.manifest import Manifest

BODY_DEADLINE_S = 30.0
PNG = "image/png"
_IMAGES = (PNG, "image/jpeg")
_TENSORS = (RAW, NPY, JSON)
VERDICT = "verdict"
_JSON_BYTES_PER_BYTE = 32  # an int8 as "-128, " indented; a float64 needs far less per byte
_ENVELOPE_BYTES = 1 << 16


class Disconnected(Exception):  # noqa: N818  # not an error: the client left while it was still sending
    """There is nobody to answer."""


class Request:
    """What of an HTTP request matters here."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        self.media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
        self.accept = headers.get(b"accept", b"").decode("latin-1")
        self.announced_bytes = int(headers.get(b"content-length", b"0"))  # the server has checked it
        models = parse_qs(scope["query_string"].decode("latin-1")).get("model") if scope["query_string"] else None
        self.model = models[0] if models else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Disconnected."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            yield message.get("body", b"")
            more = message.get("more_body", False)

    async def body(self, limit_bytes: int) -> bytes:
        """The whole body, for the forms that cannot be read in place. TooLargeError."""
        if self.announced_bytes > limit_bytes:
            raise _too_large(self.announced_bytes, limit_bytes)
        received = bytearray()
        async for chunk in self.chunks():
            received += chunk
            if len(received) > limit_bytes:
                raise _too_large(len(received), limit_bytes)
        return bytes(received)


class Infer:
    """The endpoint."""

    def __init__(self, dataplane: Dataplane, max_image_bytes: int) -> None:
        self._dataplane = dataplane
        self._max_image_bytes = max_image_bytes

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; AgentError and Disconnected come before the answer has begun."""
        if scope["method"] != "POST":
            raise MethodError(f"{scope['method']} /infer", "POST the image or the tensors")
        request = Request(scope, receive)
        served = self._dataplane.pick(request.model)
        manifest = served.supervisor.deployment.manifest
        form = reply_form(request.media_type, request.accept, manifest)
        with self._dataplane.admit(served) as admission:
            began = time.perf_counter()
            request_id = await self._receive(request, admission, manifest)
            ready = time.perf_counter()
            times = await admission.run()
            response = await _answer(form, served, manifest, admission, request_id)
        response.headers["Server-Timing"] = (
            f"prepare;dur={(ready - began) * 1e3:.3f}, run;dur={times.run_ns / 1e6:.3f}, "
            f"total;dur={(time.perf_counter() - began) * 1e3:.3f}"
        )
        await response(scope, receive, send)

    async def _receive(self, request: Request, admission: Admission, manifest: Manifest) -> str | None:
        """Fills the slot; the request's id, where it has one."""
        try:
            async with asyncio.timeout(BODY_DEADLINE_S):
                if request.media_type == RAW:
                    writer = admission.writer()
                    async for chunk in request.chunks():
                        writer.write(chunk)
                    writer.finish()
                    return None
                body = await request.body(self._limit_bytes(request.media_type, manifest))
        except TimeoutError:
            raise BodyTimeoutError(f"the body did not come within {BODY_DEADLINE_S:g} s", "send it faster") from None
        filled, request_id = await asyncio.to_thread(_read, request.media_type, body, manifest)
        for view, content in zip(admission.inputs, filled, strict=True):
            view[:] = content
        return request_id

    def _limit_bytes(self, media_type: str, manifest: Manifest) -> int:
        if media_type == NPY:
            return manifest.signature.input_bytes + _ENVELOPE_BYTES
        if media_type == JSON:
            return manifest.signature.input_bytes * _JSON_BYTES_PER_BYTE + _ENVELOPE_BYTES
        return self._max_image_bytes


def reply_form(media_type: str, accept: str, manifest: Manifest) -> str:
    """VERDICT, PNG (the anomaly map), or tensors as RAW, NPY or JSON. UnsupportedMediaError, NotAcceptableError."""
    if media_type not in _IMAGES and media_type not in _TENSORS:
        raise UnsupportedMediaError(
            f"the Content-Type {media_type!r} is not read here", f"send one of {', '.join((*_IMAGES, *_TENSORS))}"
        )
    wanted = [media.partition(";")[0].strip().lower() for media in accept.split(",")]
    chosen = next((media for media in wanted if media in (*_TENSORS, PNG)), None)
    if chosen is None and accept and not any(media in ("*/*", "application/*") for media in wanted):
        raise NotAcceptableError(f"none of {accept!r} is written here", f"accept one of {', '.join((*_TENSORS, PNG))}")
    if chosen == PNG and manifest.score is None:
        raise NotAcceptableError("this model has no score, so there is no anomaly map", f"accept {', '.join(_TENSORS)}")
    if manifest.score and chosen in (None, JSON) and media_type != JSON:
        return VERDICT
    return chosen or (media_type if media_type in _TENSORS else JSON)


def _read(media_type: str, body: bytes, manifest: Manifest) -> tuple[list[memoryview], str | None]:
    if media_type == NPY:
        return tensors.read_npy(body, manifest.signature), None
    if media_type == JSON:
        return tensors.read_json(body, manifest.signature)
    return [decision.prepare(manifest, body)], None


async def _answer(
    form: str, served: Served, manifest: Manifest, admission: Admission, request_id: str | None
) -> Response:
    """The response; it holds copies, as the slot is given back before they are sent."""
    outputs = admission.outputs
    if form == RAW:
        return Response(b"".join(outputs), media_type=RAW)
    if form == NPY:
        return Response(await asyncio.to_thread(tensors.write_npy, outputs, manifest.signature), media_type=NPY)
    verdict = await asyncio.to_thread(decision.judge, manifest, admission.inputs, outputs)
    said = {"model": served.name, **_said(verdict)}
    if form == PNG and verdict:
        picture = await asyncio.to_thread(verdict.picture)
        return Response(picture, media_type=PNG, headers={f"Boardfit-{key.title()}": str(said[key]) for key in said})
    if form == VERDICT:
        return Response(json.dumps(said), media_type=JSON)
    body = await asyncio.to_thread(
        tensors.write_json, outputs, manifest.signature, served.name, request_id, _said(verdict)
    )
    return Response(body, media_type=JSON)


def _said(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {}
    return {"score": verdict.score, "threshold": verdict.threshold, "decision": verdict.decision}


def _too_large(size_bytes: int, limit_bytes: int) -> TooLargeError:
    return TooLargeError(f"the body has {size_bytes} bytes, at most {limit_bytes} are taken", "send a smaller one")
