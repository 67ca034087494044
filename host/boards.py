"""The user's boards: a profile, an address and a token each, in boards.toml.

    [line-3]
    profile = "orin-nano"
    address = "http://127.0.0.1:8470"
    token_file = "/home/me/.config/boardfit/line-3.token"

`desktop` needs no entry: without an address the host starts an agent here by itself (local_agent.py).
"""

import difflib
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import tomlkit
from tomlkit.exceptions import TOMLKitError

from contract.profile import BrokenProfileError, Profile, UnknownProfileError, read_profile
from host.errors import BoardsFileError, InputError, TokenFileError, UnknownBoardError

LOCAL = "desktop"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KEYS = {"profile", "address", "token_file"}


@dataclass(frozen=True)
class Board:
    """`address` None: the agent the host starts on this machine."""

    name: str
    profile: str
    address: str | None = None
    token_file: Path | None = None

    def facts(self) -> Profile:
        """The profile's facts. InputError names the nearest profile."""
        try:
            return read_profile(self.profile)
        except (UnknownProfileError, BrokenProfileError) as error:
            raise InputError(str(error), f"look at the profile of the board {self.name!r} in boards.toml") from error

    def token(self) -> str | None:
        """TokenFileError where the file cannot be read, or others can read it."""
        return read_token(self.token_file) if self.token_file else None

    @property
    def is_in_the_clear(self) -> bool:
        """Whether a token would cross a network unencrypted."""
        parts = urlsplit(self.address or "")
        return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")


class Boards:
    """boards.toml, read and written with the user's own comments kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> dict[str, Board]:
        """Every board by name, `desktop` among them. BoardsFileError names file and key."""
        boards = {LOCAL: Board(LOCAL, LOCAL)}
        for name, entry in self._document().items():
            boards[name] = self._board(name, entry)
        return boards

    def get(self, name: str) -> Board:
        """UnknownBoardError names the nearest."""
        boards = self.all()
        if name not in boards:
            near = difflib.get_close_matches(name, boards, n=1)
            raise UnknownBoardError(
                f"there is no board {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
                f"configured are {', '.join(boards)}; add one: host boards add NAME --profile P --address URL",
            )
        return boards[name]

    def add(self, board: Board) -> None:
        """Writes one board, over an entry of the same name. InputError for a bad name, profile or address."""
        if not _NAME.fullmatch(board.name):
            raise InputError(f"{board.name!r} is no name for a board", "take a-z, 0-9, dot, dash, underscore")
        board.facts()
        if urlsplit(board.address or "").scheme not in ("http", "https") or not urlsplit(board.address or "").hostname:
            raise InputError(f"{board.address!r} is no address of an agent", "give one like http://192.168.1.20:8470")
        board.token()
        document = self._document()
        entry = tomlkit.table()
        entry["profile"], entry["address"] = board.profile, board.address
        if board.token_file:
            entry["token_file"] = str(board.token_file.absolute())
        document[board.name] = entry
        self._write(document)

    def remove(self, name: str) -> None:
        document = self._document()
        if name not in document:
            self.get(name)
            raise InputError(f"{name!r} has no entry in boards.toml", "it is always there; `host boards stop` ends it")
        del document[name]
        self._write(document)

    def _document(self) -> tomlkit.TOMLDocument:
        try:
            return tomlkit.parse(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return tomlkit.document()
        except (TOMLKitError, UnicodeDecodeError, OSError) as error:
            raise BoardsFileError(f"{self._path} cannot be read: {error}", "mend the file, or move it away") from error

    def _board(self, name: str, entry: object) -> Board:
        if not isinstance(entry, dict) or not isinstance(entry.get("profile"), str) or entry.keys() - _KEYS:
            odd = sorted(entry.keys() - _KEYS) if isinstance(entry, dict) else []
            raise BoardsFileError(
                f"{self._path}: [{name}] " + (f"has an unknown key {odd[0]!r}" if odd else "has no profile"),
                f"its keys are {', '.join(sorted(_KEYS))}",
            )
        address, token_file = entry.get("address"), entry.get("token_file")
        return Board(
            name,
            str(entry["profile"]),
            str(address).rstrip("/") if address else None,
            Path(str(token_file)).expanduser() if token_file else None,
        )

    def _write(self, document: tomlkit.TOMLDocument) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f".{self._path.name}")
        unfinished.write_text(tomlkit.dumps(document), encoding="utf-8")
        unfinished.replace(self._path)


def read_token(path: Path) -> str:
    """The token in a file that only its owner can read."""
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileError(
            f"the token file {path} cannot be read: {error}", "copy the agent's token there"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TokenFileError(f"the token file {path} can be read by others", f"chmod 600 {path}")
    if not token or not token.isprintable():
        raise TokenFileError(f"the token file {path} holds no token", "copy the agent's token there, one line")
    return token
