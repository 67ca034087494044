"""HTTP to one agent: a reply as a contract model, every trouble as a HostError."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from contract.api import ErrorReply
from contract.results import DOES_NOT_RUN
from host.errors import (
    BoardError,
    BusyError,
    DoesNotRunError,
    InputError,
    NotAnAgentError,
    UnansweredError,
    UnreachableError,
)

CONNECT_TIMEOUT_S = 5.0
TIMEOUT_S = 60.0
CUT_PATIENCE_S = 60.0
RETRY_S = 0.5
_KEPT_ALIVE_S = 2.0  # below uvicorn's 5 s: no request meets a connection that is just being closed

T = TypeVar("T")


def open_http(board: str, address: str, token: str | None) -> httpx.Client:
    """A client for `address` that brings the token. InputError where the address is none."""
    try:
        return httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(keepalive_expiry=_KEPT_ALIVE_S),
            # Never through a proxy of the environment: a board is on the user's own network, the token is for it alone.
            trust_env=False,
        )
    except httpx.InvalidURL as error:
        raise InputError(f"the address {address!r} of {board!r} is none: {error}", "correct it") from error


class Transport:
    """Requests to the agent of `board`. Every method: UnreachableError, BoardError and its kin."""

    def __init__(self, http: httpx.Client, board: str) -> None:
        self._http = http
        self._board = board

    def close(self) -> None:
        self._http.close()

    def ask(self, kind: type[T], method: str, path: str, **options: Any) -> T:
        """The reply as a `kind`."""
        return self.parsed(kind, self.request(method, path, **options))

    def ask_through_cuts(self, kind: type[T], method: str, path: str, **options: Any) -> T:
        """As `ask`, by `request_through_cuts`."""
        return self.parsed(kind, self.request_through_cuts(method, path, **options))

    def request_through_cuts(
        self,
        method: str,
        path: str,
        patience_s: float | None = None,
        on_cut: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> httpx.Response:
        """As `request`, for what may be asked twice: again for CUT_PATIENCE_S while the agent does not answer."""
        give_up_at = time.monotonic() + (CUT_PATIENCE_S if patience_s is None else patience_s)
        while True:
            try:
                return self.request(method, path, **options)
            except UnreachableError:
                if time.monotonic() > give_up_at:
                    raise
                on_cut()
                time.sleep(RETRY_S)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The reply, which is a success."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise _kind(error)(
                f"the agent of {self._board!r} at {self._http.base_url} does not answer: {_reason(error)}",
                "is it running, and is its address right? `host boards` lists both",
            ) from error
        if not response.is_success:
            raise self._refusal(response)
        return response

    def parsed(self, kind: type[T], response: httpx.Response) -> T:
        """The body of a reply as a `kind`. NotAnAgentError."""
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            raise self._not_an_agent(response) from error

    def _refusal(self, response: httpx.Response) -> BoardError:
        try:
            told = ErrorReply.model_validate_json(response.content)
        except ValidationError:
            return self._not_an_agent(response)
        if told.code == "unauthorized":
            hint = f"give {self._board!r} the agent's token: host boards add {self._board} ... --token-file FILE"
            return BoardError(f"the agent of {self._board!r} does not let us in: {told.error}", hint, told.code)
        seconds = response.headers.get("retry-after", "")
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE and seconds.isdecimal():
            return BusyError(told.error, told.hint, told.code, float(seconds))
        return as_error(told)

    def _not_an_agent(self, response: httpx.Response) -> NotAnAgentError:
        what = f"{response.status_code}, {response.headers.get('content-type', 'of no type')}"
        if response.has_redirect_location:
            what = f"{response.status_code}, a redirection to {response.headers['location']}"
        return NotAnAgentError(
            f"{response.request.url.copy_with(query=None)} answers, but not as an agent of boardfit does: {what}",
            f"is the address of {self._board!r} right? `host boards` lists it",
        )


def as_error(told: ErrorReply) -> BoardError:
    """What an agent says went wrong; DoesNotRunError where that says something of the model on this board."""
    kind = DoesNotRunError if told.code in DOES_NOT_RUN else BoardError
    return kind(told.error, told.hint, told.code)


def _kind(error: httpx.HTTPError) -> type[UnreachableError]:
    is_late = isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout)
    return UnansweredError if is_late else UnreachableError


def _reason(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return "connecting takes too long"
    return (
        "the answer takes too long" if isinstance(error, httpx.TimeoutException) else str(error) or type(error).__name__
    )
