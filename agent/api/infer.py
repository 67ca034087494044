"""POST /infer. Plain ASGI, below FastAPI: on this path each byte is copied once in and once out, and nothing else.

Request                     image/png, image/jpeg        decoded and prepared as the manifest says
                            application/octet-stream     all inputs, one after the other
                            application/x-npy            the one input
                            application/json             tensors of the Open Inference Protocol
Query                       model=NAME                   not needed where one model is deployed, temporary ones aside
Reply                       a model with a score         score, threshold, decision (with JSON tensors: as `parameters`)
                            else                         tensors in the form of the request (JSON where that cannot be)
Accept                      any of the tensor forms      tensors in that form
                            image/png                    the anomaly map; score and decision in the headers
Server-Timing               milliseconds: prepare (from the body to the inputs), convert (between them and the file's
                            own tensors, where they differ), run, total
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
from agent.api import body, tensors
from agent.api.negotiation import PNG, VERDICT, reply_form
from agent.api.tensors import JSON, NPY, RAW
from agent.dataplane import Admission, Dataplane
from agent.decision import Verdict
from agent.errors import BadQueryError, MethodError, UnsupportedMediaError
from agent.loading import Deployment
from agent.settings import Settings
from contract.manifest import Manifest
from contract.tensors import ITEM_BYTES

_JSON_BYTES_PER_VALUE = 64  # a float64 has 24 at most; the rest is for indentation, one value to a line
_ENVELOPE_BYTES = 1 << 16


class Request:
    """What of an HTTP request matters here. BadQueryError, UnsupportedMediaError."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        self.media_type = body.media_type(headers)
        self.accept = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")
        self.announced_bytes = body.announced_bytes(headers)
        self.model = _model(scope["query_string"]) if scope["query_string"] else None
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding.lower() != b"identity":
            raise UnsupportedMediaError(f"the Content-Encoding {encoding!r} is not read here", "send it uncompressed")

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Disconnected."""
        return body.chunks(self._receive)

    async def whole(self, limit_bytes: int) -> bytes:
        """For the forms that cannot be read in place. TooLargeError, Disconnected."""
        return await body.whole(self._receive, self.announced_bytes, limit_bytes, "send a smaller one")


class Infer:
    """The endpoint."""

    def __init__(self, dataplane: Dataplane, settings: Settings) -> None:
        self._dataplane = dataplane
        self._max_image_bytes = settings.max_image_bytes
        self._body_deadline_s = settings.body_deadline_s

    async def respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; AgentError and Disconnected come before the answer has begun."""
        if scope["method"] != "POST":
            raise MethodError(f"/infer takes no {scope['method']}", "POST the image or the tensors")
        request = Request(scope, receive)
        served = self._dataplane.pick(request.model)
        deployment = served.supervisor.deployment
        manifest = deployment.manifest
        form = reply_form(request.media_type, request.accept, manifest)
        with self._dataplane.admit(served) as admission:
            began = time.perf_counter()
            request_id = await self._receive(request, admission, manifest)
            ready = time.perf_counter()
            times = await admission.run()
            response = await _answer(form, deployment, admission, request_id)
        converting = "" if times.convert_ns is None else f"convert;dur={times.convert_ns / 1e6:.3f}, "
        response.headers["Server-Timing"] = (
            f"prepare;dur={(ready - began) * 1e3:.3f}, {converting}run;dur={times.run_ns / 1e6:.3f}, "
            f"total;dur={(time.perf_counter() - began) * 1e3:.3f}"
        )
        await response(scope, receive, send)

    async def _receive(self, request: Request, admission: Admission, manifest: Manifest) -> str | None:
        """Fills the slot; the request's id, where it has one."""
        async with body.deadline(self._body_deadline_s):
            if request.media_type == RAW:
                writer = admission.writer()
                async for chunk in request.chunks():
                    writer.write(chunk)
                writer.finish()
                return None
            content = await request.whole(self._limit_bytes(request.media_type, manifest))
        filled, request_id = await asyncio.to_thread(_read, request.media_type, content, manifest)
        for view, tensor in zip(admission.inputs, filled, strict=True):
            view[:] = tensor
        return request_id

    def _limit_bytes(self, media_type: str, manifest: Manifest) -> int:
        inputs = manifest.signature.inputs
        if media_type == NPY:
            return manifest.signature.input_bytes + _ENVELOPE_BYTES
        if media_type == JSON:
            values = sum(spec.size_bytes // ITEM_BYTES[spec.dtype] for spec in inputs)
            return values * _JSON_BYTES_PER_VALUE + _ENVELOPE_BYTES
        return self._max_image_bytes


def _model(query_string: bytes) -> str:
    """Of ``?model=NAME``, the one parameter there is. BadQueryError."""
    given = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
    if list(given) != ["model"] or len(given["model"]) != 1:
        raise BadQueryError(f"the query is {query_string!r:.200}", "ask for /infer?model=NAME, or without a query")
    return given["model"][0]


def _read(media_type: str, content: bytes, manifest: Manifest) -> tuple[list[memoryview], str | None]:
    if media_type == NPY:
        return tensors.read_npy(content, manifest.signature), None
    if media_type == JSON:
        return tensors.read_json(content, manifest.signature)
    return [decision.prepare(manifest, content)], None


async def _answer(form: str, deployment: Deployment, admission: Admission, request_id: str | None) -> Response:
    """The response; it holds copies, as the slot is given back before they are sent."""
    outputs, manifest = admission.outputs, deployment.manifest
    if form == RAW:
        return Response(b"".join(outputs), media_type=RAW)
    if form == NPY:
        return Response(await asyncio.to_thread(tensors.write_npy, outputs, manifest.signature), media_type=NPY)
    verdict = await asyncio.to_thread(decision.judge, deployment, admission.inputs, outputs) if manifest.score else None
    said = {"model": deployment.name, **_said(verdict)}
    if form == VERDICT:
        return Response(json.dumps(said), media_type=JSON)
    if form == PNG and verdict:
        picture = await asyncio.to_thread(verdict.picture)
        headers = {f"Boardfit-{key.title()}": str(value) for key, value in said.items() if value is not None}
        return Response(picture, media_type=PNG, headers=headers)
    content = await asyncio.to_thread(
        tensors.write_json, outputs, manifest.signature, deployment.name, request_id, _said(verdict)
    )
    return Response(content, media_type=JSON)


def _said(verdict: Verdict | None) -> dict[str, Any]:
    if verdict is None:
        return {}
    return {"score": verdict.score, "threshold": verdict.threshold, "decision": verdict.decision}
