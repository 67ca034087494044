"""Who may be served to whom, and what a token is."""

from pathlib import Path

import pytest

from agent.errors import StartError
from agent.settings import MIN_TOKEN_CHARS, Settings, is_loopback, read_token

TOKEN = "0123456789abcdef"


def settings(host: str, token: str | None = None) -> Settings:
    return Settings(host=host, port=0, data_dir=Path("unused"), profile="desktop", token=token)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1.2.3", "localhost", "LOCALHOST", "::1", "[::1]", "0:0:0:0:0:0:0:1"]
)
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert settings(host).token is None


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "[::]", "192.168.1.5", "fe80::1", "board-7", "", "127.1", "localhost.evil.example"]
)
def test_the_network_needs_one(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(StartError, match="there is no token") as caught:
        settings(host)
    assert "--token-file" in caught.value.hint
    assert settings(host, TOKEN).token == TOKEN


class TestTokenFile:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "token"
        path.touch(0o600)
        return path

    @pytest.mark.parametrize("around", ["{}", "{}\n", "{}\r\n", "  {}\n\n"])
    def test_white_space_around_it_is_not_of_it(self, file: Path, around: str) -> None:
        file.write_text(around.format(TOKEN))
        assert len(TOKEN) == MIN_TOKEN_CHARS
        assert read_token(file) == TOKEN

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "has 0 characters of at least 16"),
            (b"\n\n", "has 0 characters of at least 16"),
            (TOKEN[1:].encode(), "has 15 characters of at least 16"),
            (b"two words that are long", "has a space"),
            (TOKEN.encode() + b"\n" + TOKEN.encode(), "not printed"),
            (TOKEN.encode() + b"\0", "not printed"),
            ("ü".encode() * 16, "cannot be read"),
            (b"\xff" * 16, "cannot be read"),
        ],
    )
    def test_no_token(self, file: Path, content: bytes, reason: str) -> None:
        file.write_bytes(content)
        with pytest.raises(StartError, match=reason) as caught:
            read_token(file)
        assert str(file) in caught.value.message
        assert TOKEN not in caught.value.message.replace(str(file), "")  # the token is not told
        assert caught.value.hint == "make one: openssl rand -hex 32"

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
    def test_one_that_others_can_read(self, file: Path, mode: int) -> None:
        file.write_text(TOKEN)
        file.chmod(mode)
        with pytest.raises(StartError, match="can be read by others") as caught:
            read_token(file)
        assert caught.value.hint == f"chmod 600 {file}"

    def test_none(self, tmp_path: Path) -> None:
        for path in (tmp_path / "missing", tmp_path, tmp_path / "token" / "x"):
            with pytest.raises(StartError, match="cannot be read"):
                read_token(path)

    def test_one_behind_a_link(self, file: Path, tmp_path: Path) -> None:
        file.write_text(TOKEN)
        link = tmp_path / "link"
        link.symlink_to(file)
        assert read_token(link) == TOKEN
        file.chmod(0o644)
        with pytest.raises(StartError, match="can be read by others"):
            read_token(link)
