"""Error class -> HTTP status, here and nowhere else; every error has the form of contract.api.ErrorReply."""

import json
import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import errors

_log = logging.getLogger(__name__)

# The nearest class of an error's ancestry counts.
_STATUS: dict[type[errors.AgentError], HTTPStatus] = {
    errors.InputError: HTTPStatus.BAD_REQUEST,
    errors.UnsupportedMediaError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NotAcceptableError: HTTPStatus.NOT_ACCEPTABLE,
    errors.TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.BodyTimeoutError: HTTPStatus.REQUEST_TIMEOUT,
    errors.MethodError: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.CorruptUploadError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DiskFullError: HTTPStatus.INSUFFICIENT_STORAGE,
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
    return _response(status_of(error), error.message, error.code, error.hint, headers)


def bug(error: Exception) -> Response:
    """The response to a request that met a fault of ours; the traceback goes to the log."""
    _log.error("a request failed", exc_info=error)
    return _response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"{type(error).__name__}: {error}",
        "agent_bug",
        "this is a fault of boardfit: the agent's log has the traceback, please report it",
    )


def install(app: FastAPI) -> None:
    """Gives every error of a FastAPI application, its own included, the one form."""
    app.add_exception_handler(errors.AgentError, _agent_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)


async def _agent_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.AgentError)
    return reply(error)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _response(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{where}: {first['msg']}",
        "invalid_request",
        "the request's form is described at /v1/openapi.json",
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    return _response(
        error.status_code,
        f"{request.method} {request.url.path}: {error.detail}",
        phrase.lower().replace(" ", "_").replace("-", "_"),
        "the API is described at /v1/openapi.json",
        dict(error.headers or {}),
    )


async def _bug(_request: Request, error: Exception) -> Response:
    return bug(error)


def _response(status: int, message: str, code: str, hint: str, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps({"error": message, "code": code, "hint": hint}).encode()
    return Response(body, status, headers, "application/json")
