import os
import threading
from pathlib import Path

import pytest

from host.boards import Board, Boards, checked_address, read_token
from host.errors import BoardsFileError, HostError, InputError, TokenFileError, UnknownBoardError

ADDRESS = "http://192.168.1.20:8470"
LINE_3 = Board("line-3", "desktop", ADDRESS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "boards.toml"


@pytest.fixture
def boards(path: Path) -> Boards:
    return Boards(path)


def written(path: Path, text: str) -> Boards:
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return Boards(path)


def token_file(folder: Path, content: bytes = b"a-token-of-some-length\n", mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_desktop_is_always_there(boards: Boards) -> None:
    assert boards.all() == {"desktop": Board("desktop", "desktop")}
    assert boards.get("desktop").facts().runtime == "ort"
    assert boards.get("desktop").token() is None


def test_an_added_board_is_found_again(boards: Boards, tmp_path: Path) -> None:
    board = Board("line-3", "desktop", ADDRESS, token_file(tmp_path))
    assert not boards.add(board)
    assert boards.get("line-3") == board
    assert list(boards.all()) == ["desktop", "line-3"]
    assert boards.get("line-3").token() == "a-token-of-some-length"


def test_adding_again_takes_its_place(boards: Boards, tmp_path: Path) -> None:
    boards.add(Board("line-3", "desktop", ADDRESS, token_file(tmp_path)))
    assert boards.add(Board("line-3", "desktop", "http://10.0.0.1:1/"))
    assert boards.get("line-3") == Board("line-3", "desktop", "http://10.0.0.1:1")


def test_a_relative_token_file_is_kept_as_a_whole_path(
    boards: Boards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    boards.add(Board("line-3", "desktop", ADDRESS, Path("token")))
    monkeypatch.chdir("/")
    assert boards.get("line-3").token_file == tmp_path / "token"


def test_comments_and_order_stay(path: Path) -> None:
    text = (
        '# the lines of hall 2\n\n[line-1]  # the old one\nprofile = "desktop"\naddress = "http://a:1"\n\n'
        "# do not touch\n[line-2]\nprofile = 'desktop'\naddress = 'http://b:1'  # by the door\n"
    )
    boards = written(path, text)
    boards.add(Board("line-1", "desktop", "http://c:1"))
    boards.add(LINE_3)
    boards.remove("line-3")
    assert path.read_text().rstrip() == text.replace("http://a:1", "http://c:1").rstrip()
    boards.remove("line-2")
    assert path.read_text().startswith("# the lines of hall 2\n\n[line-1]  # the old one\n")
    assert list(boards.all()) == ["desktop", "line-1"]


def test_a_removed_board_is_gone(boards: Boards) -> None:
    boards.add(LINE_3)
    boards.remove("line-3")
    with pytest.raises(UnknownBoardError):
        boards.get("line-3")


def test_desktop_cannot_be_removed_but_be_somewhere_else(boards: Boards) -> None:
    with pytest.raises(InputError, match="'desktop' is this machine, which is always there") as raised:
        boards.remove("desktop")
    assert "host boards stop desktop" in raised.value.hint
    boards.add(Board("desktop", "desktop", ADDRESS))
    assert boards.get("desktop").address == ADDRESS
    boards.remove("desktop")
    assert boards.get("desktop").address is None


def test_an_unknown_board_and_the_nearest(boards: Boards) -> None:
    boards.add(LINE_3)
    with pytest.raises(UnknownBoardError, match=r"there is no board 'lien-3'; did you mean 'line-3'\?") as raised:
        boards.get("lien-3")
    assert raised.value.hint.startswith("there is desktop, line-3; add one: host boards add")
    with pytest.raises(UnknownBoardError, match="'desctop'; did you mean 'desktop'"):
        boards.remove("desctop")


def test_a_profile_s_name_does_for_what_needs_no_board_at_hand(boards: Boards) -> None:
    assert boards.facts("orin-nano").name == "orin-nano"
    with pytest.raises(UnknownBoardError) as raised:
        boards.get("orin-nano")
    assert "add one: host boards add orin-nano --profile orin-nano --address URL" in raised.value.hint
    boards.add(Board("orin-nano", "desktop", ADDRESS))
    assert boards.facts("orin-nano").name == "desktop"
    with pytest.raises(UnknownBoardError, match="no board 'line-3'") as raised:
        boards.facts("line-3")
    assert "a profile's name does, too: coral, " in raised.value.hint


@pytest.mark.parametrize("name", ["", "A", "-x", ".x", "a b", "a/b", "../x", "x" * 65, "ä", "a\n"])
def test_no_name_for_a_board(boards: Boards, path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no name for a board"):
        boards.add(Board(name, "desktop", ADDRESS))
    assert not path.exists()


@pytest.mark.parametrize("name", ["a", "3", "line.3", "line_3", "x" * 64])
def test_names_for_a_board(boards: Boards, name: str) -> None:
    boards.add(Board(name, "desktop", ADDRESS))
    assert boards.get(name).address == ADDRESS


def test_an_unknown_profile_and_the_nearest(boards: Boards, path: Path) -> None:
    with pytest.raises(InputError, match="'desktp'; did you mean 'desktop'") as raised:
        boards.add(Board("line-3", "desktp", ADDRESS))
    assert raised.value.code == "unknown_profile"
    assert not path.exists()


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("", "does not start with http"),
        ("192.168.1.20:8470", "does not start with http"),
        ("ftp://a", "does not start with http"),
        ("http://", "names no host"),
        ("http://:8470", "names no host"),
        ("http://a b:1", "names no host"),
        ("http://a:0", "port 0"),
        ("http://a:99999", "[Pp]ort"),
        ("http://a:x", "[Pp]ort"),
        ("http://[::1", "IPv6"),
        ("http://me:secret@a:1", "user name"),
        ("http://a:1/?x=1", "goes on after the path"),
        ("http://a:1/#x", "goes on after the path"),
    ],
)
def test_no_address(boards: Boards, path: Path, address: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        checked_address(address)
    with pytest.raises(InputError, match="is no address of an agent"):
        boards.add(Board("line-3", "desktop", address))
    assert not path.exists()


@pytest.mark.parametrize("address", ["http://a", "https://a.example:8470", "http://[::1]:8470", "https://gate/line-3"])
def test_addresses(address: str) -> None:
    assert checked_address(f"{address}/") == checked_address(address) == address


@pytest.mark.parametrize(
    ("address", "in_the_clear"),
    [
        ("http://192.168.1.20:1", True),
        ("https://192.168.1.20:1", False),
        ("http://127.0.0.1:1", False),
        ("http://localhost:1", False),
        ("http://[::1]:1", False),
        (None, False),
    ],
)
def test_what_crosses_a_network_unencrypted(address: str | None, in_the_clear: bool) -> None:
    assert Board("x", "desktop", address).is_in_the_clear is in_the_clear


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[line-3", "cannot be read", "mend the file"),
        ("[a]\nprofile='desktop'\n[a]\n", "cannot be read", "mend the file"),
        ("profile = 'desktop'", "'profile' stands outside a board", r"write \[NAME\] above it"),
        ("[line-3]\n", r"\[line-3\] has no profile", "profile, address, token_file"),
        ("[line-3]\nprofile='desktop'\nadress='http://a'", "unknown key 'adress'; did you mean 'address'?", "it has"),
        ("[line-3]\nprofile='desktop'\nzzz=1", r"unknown key 'zzz'$", "it has"),
        ("[line-3]\nprofile=3", r"\[line-3\] profile is 3, no text", 'write profile = "..."'),
        ("[line-3]\nprofile='desktop'\naddress=true", "address is True, no text", "address"),
        ("[line-3]\nprofile='desktop'\ntoken_file=''", "token_file is '', no text", "token_file"),
        (
            "[line-3]\nprofile='desktop'\naddress='a:1'",
            "address is 'a:1': it does not start with",
            "an address is like",
        ),
        ("['../x']\nprofile='desktop'", "'../x' is no name for a board", "a name is made of"),
        ("[Line]\nprofile='desktop'", "'Line' is no name for a board", "a name is made of"),
    ],
)
def test_a_bad_file_is_told_with_its_key(path: Path, text: str, what: str, hint: str) -> None:
    boards = written(path, text)
    with pytest.raises(BoardsFileError, match=what) as raised:
        boards.all()
    assert str(path) in raised.value.message
    assert hint.replace("\\", "") in raised.value.hint
    assert path.read_text() == text


def test_a_bad_file_is_not_written_over(path: Path) -> None:
    boards = written(path, "[line-3")
    for change in (lambda: boards.add(LINE_3), lambda: boards.remove("line-3")):
        with pytest.raises(BoardsFileError):
            change()
    assert path.read_text() == "[line-3"


def test_a_file_that_is_no_text(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BoardsFileError, match="cannot be read"):
        Boards(path).all()


def test_a_folder_in_its_place(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(BoardsFileError, match="cannot be read"):
        Boards(path).all()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file")
    with pytest.raises(BoardsFileError, match=r"boards.toml cannot be (read|written)"):
        Boards(tmp_path / "config" / "boards.toml").add(LINE_3)


def test_a_write_that_fails_leaves_the_old_file(boards: Boards, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boards.add(LINE_3)
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BoardsFileError, match=r"boards\.toml cannot be written: No space left on device"):
        boards.add(Board("line-4", "desktop", ADDRESS))
    assert path.read_bytes() == before


def test_two_at_once_lose_nothing(path: Path) -> None:
    names = [f"line-{number}" for number in range(12)]
    threads = [threading.Thread(target=Boards(path).add, args=(Board(name, "desktop", ADDRESS),)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Boards(path).all()) == sorted(["desktop", *names])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700 | 0o010])
def test_a_token_that_others_can_read(tmp_path: Path, boards: Boards, mode: int) -> None:
    path = token_file(tmp_path, mode=mode)
    with pytest.raises(TokenFileError, match="can be read by others") as raised:
        boards.add(Board("line-3", "desktop", ADDRESS, path))
    assert raised.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"two words", b"two\nlines", b"bell\x07"])
def test_no_token_in_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TokenFileError, match="holds no token"):
        read_token(token_file(tmp_path, content))


def test_no_token_file(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="cannot be read: No such file"):
        read_token(tmp_path / "none")
    with pytest.raises(TokenFileError, match="cannot be read: Is a directory"):
        read_token(tmp_path)


def test_a_tilde_in_the_file_is_the_users_home(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    token_file(tmp_path)
    boards = written(path, f"[line-3]\nprofile = 'desktop'\naddress = '{ADDRESS}'\ntoken_file = '~/token'\n")
    assert boards.get("line-3").token() == "a-token-of-some-length"


def test_every_trouble_here_is_the_users() -> None:
    for kind in (BoardsFileError, TokenFileError, UnknownBoardError):
        assert issubclass(kind, HostError)
        assert kind.exit_code == 3
