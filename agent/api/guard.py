"""Who may ask: a bearer token where there is one; where there is none, this machine and no web page of elsewhere."""

import hmac
import re

from starlette.types import Scope

from agent.errors import UnauthorizedError
from agent.settings import Settings, is_loopback

_OPEN = ("/health/live", "/health/ready")
_ADDRESS = re.compile(rb"(?:https?://)?(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]/?#@:]+)(?::[0-9]*)?")  # of Host, of Origin


class Guard:
    """Checks a request's headers."""

    def __init__(self, settings: Settings) -> None:
        self._token = None if settings.token is None else settings.token.encode()

    def check(self, scope: Scope) -> None:
        """Raises UnauthorizedError. Whether the service lives may be asked by anyone."""
        if scope["path"] in _OPEN:
            return
        if self._token is not None:
            _check_token(dict(scope["headers"]).get(b"authorization", b""), self._token)
        else:
            _check_names(scope)


def _check_token(header: bytes, expected: bytes) -> None:
    scheme, _, token = header.partition(b" ")
    if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), expected):
        raise UnauthorizedError(
            "the token is missing or wrong", "send the header Authorization: Bearer, with the agent's token"
        )


def _check_names(scope: Scope) -> None:
    """A browser on this machine reaches loopback too, for every page it shows.

    `Host`: a page whose own name was made to point here (DNS rebinding) comes with that name.
    `Origin`: a page of elsewhere may send without being able to read; browsers say where it is from.
    """
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    origins = [value for name, value in scope["headers"] if name == b"origin"]
    if hosts and all(_is_loopback(address) for address in (*hosts, *origins)):
        return
    raise UnauthorizedError(
        f"this agent has no token and answers to loopback names alone, not to {b', '.join((*hosts, *origins))!r:.200}",
        "ask for http://127.0.0.1:PORT, or start the agent with --token-file",
    )


def _is_loopback(address: bytes) -> bool:
    found = _ADDRESS.fullmatch(address)
    return found is not None and is_loopback(found["name"].decode("latin-1"))
