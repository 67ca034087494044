"""Every error has a status, and the one form."""

import json
from collections.abc import Iterator

import pytest

from agent import errors
from agent.api.errors import bug, reply, status_of
from contract.api import ErrorReply


def below(root: type[errors.AgentError]) -> Iterator[type[errors.AgentError]]:
    yield root
    for kind in root.__subclasses__():
        yield from below(kind)


KINDS = list(below(errors.AgentError))


def made(kind: type[errors.AgentError], message: str = "what, with the value") -> errors.AgentError:
    if issubclass(kind, errors.WorkerRefusedError):
        return kind(message, "what to do", "worker_refused")
    return kind(message, "what to do")


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_a_status_and_the_form(kind: type[errors.AgentError]) -> None:
    error = made(kind)
    response = reply(error)
    assert 400 <= response.status_code < 600
    assert response.headers["content-type"] == "application/json"
    told = ErrorReply.model_validate_json(bytes(response.body))
    assert told == ErrorReply(error="what, with the value", code=error.code, hint="what to do")
    assert set(json.loads(bytes(response.body))) == {"error", "code", "hint"}


def test_codes_are_stable_words_and_tell_classes_apart() -> None:
    codes = [made(kind).code for kind in KINDS]
    assert all(code.isidentifier() and code == code.lower() for code in codes)
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", KINDS)
def test_the_tree_in_the_docstring_is_the_tree(kind: type[errors.AgentError]) -> None:
    assert errors.__doc__
    lines = {line.split()[0]: len(line) - len(line.lstrip()) for line in errors.__doc__.splitlines() if "Error" in line}
    depth = kind.__mro__.index(errors.AgentError)
    assert lines[kind.__name__] == 4 * depth


@pytest.mark.parametrize(
    ("kind", "status", "header"),
    [
        (errors.BadTensorError, 400, None),
        (errors.UnauthorizedError, 401, ("www-authenticate", "Bearer")),
        (errors.NotFoundError, 404, None),
        (errors.MethodError, 405, ("allow", "POST")),
        (errors.NotAcceptableError, 406, None),
        (errors.BodyTimeoutError, 408, ("connection", "close")),
        (errors.UploadConflictError, 409, None),
        (errors.TooLargeError, 413, None),
        (errors.UnsupportedMediaError, 415, None),
        (errors.CorruptUploadError, 422, None),
        (errors.HeadTooLargeError, 431, None),
        (errors.StartError, 500, None),
        (errors.WorkerCrashedError, 502, None),
        (errors.GoldenMismatchError, 502, None),
        (errors.QueueFullError, 503, ("retry-after", "1")),
        (errors.BoardHeldError, 503, ("retry-after", "5")),
        (errors.WorkerTimeoutError, 504, None),
        (errors.DiskFullError, 507, None),
    ],
)
def test_statuses_and_headers(kind: type[errors.AgentError], status: int, header: tuple[str, str] | None) -> None:
    assert status_of(made(kind)) == status
    headers = dict(reply(made(kind)).headers)
    if header:
        assert headers[header[0]] == header[1]
    assert set(headers) == {"content-type", "content-length"} | ({header[0]} if header else set())


@pytest.mark.parametrize("text", ["ü€😀", "\udcff", "\0", 'a"b\\c', "a\r\nX-Evil: 1"])
def test_whatever_is_in_a_message_is_json(text: str) -> None:
    content = bytes(reply(made(errors.InputError, text)).body)
    assert content.isascii()
    assert json.loads(content)["error"] == text


def test_a_message_has_an_end() -> None:
    assert len(bytes(reply(made(errors.InputError, "x" * 100_000)).body)) < 5000


def test_a_bug_says_what_and_no_traceback() -> None:
    response = bug(ZeroDivisionError("division by zero"))
    assert response.status_code == 500
    told = ErrorReply.model_validate_json(bytes(response.body))
    assert (told.error, told.code) == ("ZeroDivisionError: division by zero", "agent_bug")
