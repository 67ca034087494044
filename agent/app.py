"""The application: /infer goes straight to the data plane, the rest through FastAPI; the guard is before both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from agent.api import errors, management
from agent.api.guard import Guard
from agent.api.infer import Disconnected, Infer
from agent.errors import AgentError, TooLargeError
from agent.service import Service
from contract.version import __version__

MAX_BODY_BYTES = 1 << 20
FILES = "/v1/blobs/"


class Application:
    """ASGI. FastAPI's own routing and validation would cost /infer more than the hop to the worker does."""

    def __init__(self, service: Service) -> None:
        self._guard = Guard(service.settings)
        self._infer = Infer(service.dataplane, service.settings.max_image_bytes)
        self._management = _management(service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._management(scope, receive, send)
            return
        try:
            self._guard.check(scope)
            if scope["path"] == "/infer":
                await self._infer.respond(scope, receive, send)
            else:
                await self._management(scope, _capped(scope, receive), send)
        except AgentError as error:
            await errors.reply(error)(scope, receive, send)
        except Disconnected:
            pass
        except Exception as error:  # the outer edge of a request
            await errors.bug(error)(scope, receive, send)


def _capped(scope: Scope, receive: Receive) -> Receive:
    """Bodies of the management API are small, but for the files, which are counted as they come. TooLargeError."""
    if scope["path"].startswith(FILES):
        return receive
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise TooLargeError(f"the body has more than {MAX_BODY_BYTES} bytes", "send files to /v1/blobs/SHA256")
        return message

    return counted


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
    )
    errors.install(app)
    app.include_router(management.routes(service))
    return app
