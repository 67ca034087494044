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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from contract.profile import BrokenProfileError, Profile, UnknownProfileError, profile_names, read_profile
from host import disk
from host.errors import BoardsFileError, InputError, TokenFileError, UnknownBoardError

LOCAL = "desktop"
LOCK_TIMEOUT_S = 10.0
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NAMES_ARE = "a name is made of a-z, 0-9, dot, dash and underscore, 64 at most, and starts with a letter or digit"
_ADDRESSES_ARE = "an address is like http://192.168.1.20:8470"
_KEYS = ("profile", "address", "token_file")


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
            hint = f"correct the profile of the board {self.name!r}: host boards add {self.name} --profile P ..."
            raise InputError(str(error), hint, "unknown_profile") from error

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
        for name, entry in self._document().unwrap().items():
            boards[name] = self._board(name, entry)
        return boards

    def get(self, name: str) -> Board:
        """UnknownBoardError names the nearest."""
        boards = self.all()
        if name not in boards:
            command = "host boards add NAME --profile P --address URL"
            if name in profile_names():
                command = f"host boards add {name} --profile {name} --address URL"
            raise UnknownBoardError(
                f"there is no board {name!r}{_did_you_mean(name, boards)}",
                f"there is {', '.join(boards)}; add one: {command}",
            )
        return boards[name]

    def facts(self, name: str) -> Profile:
        """Of the board of this name; where there is none, the profile of it: enough for what needs no board at hand."""
        if name in profile_names() and name not in self.all():
            return read_profile(name)
        try:
            return self.get(name).facts()
        except UnknownBoardError as error:
            hint = f"{error.hint}; a profile's name does, too: {', '.join(profile_names())}"
            raise UnknownBoardError(error.message, hint) from error

    def add(self, board: Board) -> bool:
        """Writes one board; whether it took the place of an entry of the same name.

        InputError for a bad name, profile or address; TokenFileError; BoardsFileError where it cannot be written.
        """
        if not _NAME.fullmatch(board.name):
            raise InputError(f"{board.name!r} is no name for a board", _NAMES_ARE)
        board.facts()
        try:
            address = checked_address(board.address or "")
        except ValueError as error:
            raise InputError(f"{board.address!r} is no address of an agent: {error}", _ADDRESSES_ARE) from error
        board.token()
        with self._changing() as document:
            known = document.get(board.name)
            entry = known if isinstance(known, Table) else tomlkit.table()
            entry["profile"], entry["address"] = board.profile, address
            if board.token_file:
                entry["token_file"] = str(board.token_file.absolute())
            else:
                entry.pop("token_file", None)
            if entry is not known:
                document[board.name] = entry
        return known is not None

    def remove(self, name: str) -> None:
        """UnknownBoardError; InputError for `desktop` where it has no entry."""
        if name not in self._document():
            self.get(name)
            raise InputError(
                f"{name!r} is this machine, which is always there", f"`host boards stop {name}` ends its agent"
            )
        with self._changing() as document:
            document.pop(name, None)

    def _document(self) -> tomlkit.TOMLDocument:
        try:
            return tomlkit.parse(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return tomlkit.document()
        except (TOMLKitError, UnicodeDecodeError, OSError) as error:
            raise BoardsFileError(f"{self._path} cannot be read: {error}", "mend the file, or move it away") from error

    @contextmanager
    def _changing(self) -> Iterator[tomlkit.TOMLDocument]:
        """The document, written back at the end; one command at a time, so that no change is lost."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._path.with_name(f".{self._path.name}.lock"), timeout=LOCK_TIMEOUT_S)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with lock:
                document = self._document()
                yield document
                disk.replace(self._path, tomlkit.dumps(document).encode())
        except Timeout as error:
            raise BoardsFileError(f"another command has held {self._path} for too long", "end it first") from error
        except OSError as error:
            raise BoardsFileError(
                f"{self._path} cannot be written: {error.strerror}", "check its folder, and the room on its disk"
            ) from error

    def _board(self, name: str, entry: object) -> Board:
        if not _NAME.fullmatch(name):
            raise self._wrong(f"{name!r} is no name for a board", _NAMES_ARE)
        if not isinstance(entry, dict):
            raise self._wrong(f"{name!r} stands outside a board", f"write [NAME] above it, and below {_keys()}")
        for key, value in entry.items():
            if key not in _KEYS:
                meant = _did_you_mean(key, _KEYS)
                raise self._wrong(f"[{name}] has an unknown key {key!r}{meant}", f"it has {_keys()}")
            if not isinstance(value, str) or not value:
                raise self._wrong(f"[{name}] {key} is {value!r}, no text", f'write {key} = "..."')
        if "profile" not in entry:
            raise self._wrong(f"[{name}] has no profile", f"it has {_keys()}")
        address, token_file = entry.get("address"), entry.get("token_file")
        try:
            return Board(
                name,
                entry["profile"],
                checked_address(address) if address else None,
                Path(token_file).expanduser() if token_file else None,
            )
        except ValueError as error:
            raise self._wrong(f"[{name}] address is {address!r}: {error}", _ADDRESSES_ARE) from error

    def _wrong(self, what: str, hint: str) -> BoardsFileError:
        return BoardsFileError(f"{self._path}: {what}", hint)


def checked_address(text: str) -> str:
    """The address of an agent, without a slash at its end. ValueError says what is wrong with it."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError("it does not start with http:// or https://")
    if not parts.hostname or not parts.hostname.isprintable() or " " in parts.hostname:
        raise ValueError("it names no host")
    if parts.port == 0:  # reading it also raises, for what is no port
        raise ValueError("it has the port 0")
    if parts.username is not None:
        raise ValueError("it has a user name in it; the token has a file of its own")
    if parts.query or parts.fragment:
        raise ValueError("it goes on after the path")
    return text.rstrip("/")


def read_token(path: Path) -> str:
    """The token in a file that only its owner can read."""
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError as error:
        raise _no_token(path) from error
    except OSError as error:
        raise TokenFileError(
            f"the token file {path} cannot be read: {error.strerror}", "copy the agent's token there, chmod 600"
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TokenFileError(f"the token file {path} can be read by others", f"chmod 600 {path}")
    if not token or not token.isprintable() or " " in token:
        raise _no_token(path)
    return token


def _no_token(path: Path) -> TokenFileError:
    return TokenFileError(f"the token file {path} holds no token", "copy the agent's token there: one word on one line")


def _did_you_mean(word: str, known: "dict[str, Board] | tuple[str, ...]") -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _keys() -> str:
    return ", ".join(_KEYS)
