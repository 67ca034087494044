"""Who may ask: a bearer token where there is one, a loopback name of the host where there is none."""

import hmac

from starlette.types import Scope

from agent.errors import UnauthorizedError
from agent.settings import Settings, is_loopback

_OPEN = ("/health/live", "/health/ready")


class Guard:
    """Checks a request's headers."""

    def __init__(self, settings: Settings) -> None:
        self._expected = f"Bearer {settings.token}".encode() if settings.token else None

    def check(self, scope: Scope) -> None:
        """Raises UnauthorizedError. Whether the service lives may be asked by anyone."""
        if scope["path"] in _OPEN:
            return
        headers = dict(scope["headers"])
        if self._expected is not None:
            if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
                raise UnauthorizedError(
                    "the token is missing or wrong", "send the header Authorization: Bearer, with the agent's token"
                )
        elif not is_loopback(_host_name(headers.get(b"host", b""))):
            # A web page whose name was made to point here (DNS rebinding) would come with that name.
            raise UnauthorizedError(
                f"this agent has no token and answers to loopback names alone, not to {headers.get(b'host', b'')!r}",
                "ask for http://127.0.0.1:PORT, or start the agent with --token-file",
            )


def _host_name(header: bytes) -> str:
    host = header.decode("latin-1")
    return host.split("]")[0] if host.startswith("[") else host.rsplit(":", 1)[0]
