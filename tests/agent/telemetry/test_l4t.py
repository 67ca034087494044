from pathlib import Path

import pytest
import recorded

from agent.telemetry.l4t import JETPACKS, describe_release, parse_release, read_release

TOLD = {
    "nano-jp46": "L4T R32.7.6 (JetPack 4.6.6)",
    "orin-nano-jp51": "L4T R35.4.1 (JetPack 5.1.2)",
    "orin-nano-jp62": "L4T R36.4.4 (JetPack 6.2.1)",
    "orin-nano-jp72": "L4T R39.2.1 (JetPack 7.2.1)",
}


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_release_of_a_recorded_board(name: str, tmp_path: Path) -> None:
    release = read_release(recorded.build(name, tmp_path).root)
    assert release is not None
    assert describe_release(release) == TOLD[name]


def test_no_jetson_has_none(tmp_path: Path) -> None:
    assert read_release(tmp_path) is None


def test_a_release_we_do_not_know_is_shown_without_a_jetpack() -> None:
    release = parse_release("# R41 (release), REVISION: 1.0, GCID: 1, BOARD: generic\n")
    assert describe_release(release) == "L4T R41.1.0"


@pytest.mark.parametrize("text", ["", "R36.4.4\n", "# R36 (release), GCID: 1\n", "# R36 (release), REVISION: 4\n"])
def test_what_is_no_release(text: str) -> None:
    with pytest.raises(ValueError, match="does not begin with a release"):
        parse_release(text)


def test_the_table_is_of_full_releases_in_order() -> None:
    assert all(release.count(".") == 2 for release in JETPACKS)
    numbers = [tuple(map(int, release.split("."))) for release in JETPACKS]
    assert numbers == sorted(numbers)
