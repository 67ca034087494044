"""What an agent is told when it starts."""

import stat
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from agent.errors import StartError

MIN_TOKEN_CHARS = 16
_MAKE_ONE = "make one: openssl rand -hex 32"


@dataclass(frozen=True)
class Settings:
    """`token` None: loopback only, and only by a loopback name (against DNS rebinding).

    `body_deadline_s`: for the whole body of a request; of a file that is sent, for its next bytes.
    `temporary_idle_s`: after which a temporary model that nobody has named is removed (expiry.py).
    """

    host: str
    port: int
    data_dir: Path
    profile: str
    token: str | None = None
    max_file_bytes: int = 2 << 30
    max_image_bytes: int = 64 << 20
    body_deadline_s: float = 30.0
    temporary_idle_s: float = 600.0
    ready_file: Path | None = None

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise StartError(
                f"--host {self.host} can be reached from other machines, and there is no token",
                "give --token-file FILE, or serve on 127.0.0.1 and reach it through an SSH tunnel",
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(path: Path) -> str:
    """The one line of a file that only its owner can read. StartError."""
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:  # not ASCII; a path that is none
        raise StartError(f"the token file {path} cannot be read: {error}", _MAKE_ONE) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StartError(f"the token file {path} can be read by others", f"chmod 600 {path}")
    if len(token) < MIN_TOKEN_CHARS:
        raise StartError(f"the token in {path} has {len(token)} characters of at least {MIN_TOKEN_CHARS}", _MAKE_ONE)
    if not token.isprintable() or " " in token:
        raise StartError(f"the token in {path} has a space, or characters that are not printed", _MAKE_ONE)
    return token
