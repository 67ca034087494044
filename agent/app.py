"""The application: /infer goes straight to the data plane, the rest through FastAPI; the guard is before both."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from agent.api import body, errors, management
from agent.api.guard import Guard
from agent.api.infer import Infer
from agent.api.tensors import JSON
from agent.errors import AgentEndingError, AgentError, UnsupportedMediaError
from agent.service import Service
from contract.version import __version__

MAX_BODY_BYTES = 1 << 20
_FILES = "/v1/blobs/"
_log = logging.getLogger(__name__)


class Application:
    """ASGI. FastAPI's own routing and validation would cost /infer more than the hop to the worker does."""

    def __init__(self, service: Service) -> None:
        self._guard = Guard(service.settings)
        self._infer = Infer(service.dataplane, service.settings)
        self._management = _management(service)
        self._body_deadline_s = service.settings.body_deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._management(scope, receive, send)
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._answer(scope, receive, noting)
        except AgentError as error:
            await errors.reply(error)(scope, receive, send)
        except body.Disconnected:
            pass
        except asyncio.CancelledError:  # the server has waited for its requests long enough
            if not begun:
                ending = AgentEndingError("the agent is ending", "ask again when it is back")
                await errors.reply(ending)(scope, receive, send)
        except Exception as error:  # the outer edge of a request
            _log.exception("%s %r failed", scope["method"], scope["path"])
            if not begun:
                await errors.bug(error)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._guard.check(scope)
        if scope["path"] == "/infer":
            await self._infer.respond(scope, receive, send)
        elif scope["method"] == "PUT" and scope["path"].startswith(_FILES):
            await self._management(scope, receive, send)
        else:
            content = await self._small_body(scope, receive)
            # The server leaves the body of a reply to HEAD out: no route need know it (RFC 9110, 9.3.2).
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            await self._management({**scope, "method": method}, _repeated(content, receive), send)

    async def _small_body(self, scope: Scope, receive: Receive) -> bytes:
        """Read here, as FastAPI makes a 400 of whatever goes wrong while it reads. TooLargeError, BodyTimeoutError."""
        headers = dict(scope["headers"])
        async with body.deadline(self._body_deadline_s):
            content = await body.whole(
                receive, body.announced_bytes(headers), MAX_BODY_BYTES, f"send files to {_FILES}SHA256"
            )
        if content and body.media_type(headers) != JSON:
            # Also what keeps a web page of elsewhere out: it can send other types without being asked for permission.
            raise UnsupportedMediaError(
                f"the Content-Type {body.media_type(headers)!r} is not read here", f"send {JSON}"
            )
        return content


def _repeated(content: bytes, receive: Receive) -> Receive:
    """What has been read already, then the rest: there is nothing but a disconnect."""
    waiting: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def repeat() -> Message:
        return waiting.pop() if waiting else await receive()

    return repeat


def _management(service: Service) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            await service.close()

    app = FastAPI(
        title="boardfit agent",
        version=__version__,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # an unknown path is an error like every other
    )
    routes = management.routes(service)
    errors.install(app, routes.routes)
    app.include_router(routes)
    return app
