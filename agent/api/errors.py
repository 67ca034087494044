"""Error class -> HTTP status, here and nowhere else; every error has the form of contract.api.ErrorReply."""

import json
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from agent import errors

_MAX_CHARS = 4000  # of a message: it may hold what was sent, and a runtime's own may have no end

# The nearest class of an error's ancestry counts.
_STATUS: dict[type[errors.AgentError], HTTPStatus] = {
    errors.AgentError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InputError: HTTPStatus.BAD_REQUEST,
    errors.UnsupportedMediaError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NotAcceptableError: HTTPStatus.NOT_ACCEPTABLE,
    errors.TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.HeadTooLargeError: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.BodyTimeoutError: HTTPStatus.REQUEST_TIMEOUT,
    errors.MethodError: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CorruptUploadError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DiskFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.DiskFailedError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.WorkerFailedError: HTTPStatus.BAD_GATEWAY,
    errors.WorkerTimeoutError: HTTPStatus.GATEWAY_TIMEOUT,
}


def status_of(error: errors.AgentError) -> HTTPStatus:
    """The HTTP status of an error, by the nearest class above it that has one."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def reply(error: errors.AgentError) -> Response:
    """The response to a request that failed with `error`."""
    headers = {}
    if isinstance(error, errors.UnavailableError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.MethodError):
        headers["Allow"] = error.allowed
    if isinstance(error, errors.BodyTimeoutError):
        headers["Connection"] = "close"  # what is still to come of the body is not waited for (RFC 9110, 15.5.9)
    return _response(status_of(error), error.message, error.code, error.hint, headers)


def bug(error: Exception) -> Response:
    """The response to a request that met a fault of ours; the traceback is for the log alone."""
    return _response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"{type(error).__name__}: {error}",
        "agent_bug",
        "this is a fault of boardfit: the agent's log has the traceback, please report it",
    )


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Gives every error of a FastAPI application with these routes the one form. A bug is raised again, for the log."""
    app.add_exception_handler(errors.AgentError, _agent_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, partial(_http_error, routes))
    app.add_exception_handler(Exception, _bug)


async def _agent_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.AgentError)
    return reply(error)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first, *others = error.errors()
    where = ".".join(str(part) for part in first["loc"])
    because = first.get("ctx", {}).get("error", "") if first["type"] == "json_invalid" else ""
    value = "" if first["type"] in ("missing", "json_invalid") else f", not {first['input']!r:.200}"
    more = f"; and {len(others)} more" if others else ""
    return _response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{where}: {first['msg']}{because and f': {because}'}{value}{more}",
        "invalid_request",
        "the request's form is described at /v1/openapi.json",
    )


async def _http_error(routes: Sequence[BaseRoute], request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(routes, request)
    return _response(
        status,
        f"{request.scope['method']} {request.scope['path']:.200}: {error.detail}",
        status.phrase.lower().replace(" ", "_"),
        "the API is described at /v1/openapi.json",
        headers,
    )


def _allowed(routes: Sequence[BaseRoute], request: Request) -> str:
    """The methods of a path: Starlette names those of its first route alone."""
    methods: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def _bug(_request: Request, error: Exception) -> Response:
    return bug(error)


def _response(status: int, message: str, code: str, hint: str, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps({"error": message[:_MAX_CHARS], "code": code, "hint": hint}).encode()
    return Response(body, status, headers, "application/json")
