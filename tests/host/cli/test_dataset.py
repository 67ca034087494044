import signal
from pathlib import Path

from shell import run, spawn

from compression.data import capsule
from compression.data.mvtec import read_dataset

SMALL = ("--train", 3, "--good", 2, "--bad", 6, "--size", 32)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_says_what_it_made_and_what_is_next(tmp_path: Path) -> None:
    done = run("dataset", "capsule", tmp_path / "my set", *SMALL)
    assert done.exit_code == 0
    wrote, following = done.stdout.splitlines()
    assert wrote == (
        f"wrote {tmp_path / 'my set'}: 3 good images to train on; to test with, 2 good ones and 6 defective ones "
        "of 5 kinds, with masks"
    )
    assert following == f"next: host train --data '{tmp_path / 'my set'}' -o model.onnx"
    made = read_dataset(tmp_path / "my set")
    assert (len(made.train), len(made.test), made.has_masks) == (3, 8, True)
    assert f"{tmp_path / 'my set'}: drawing capsules ..." in done.stderr


def test_the_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("dataset", "capsule", tmp_path / name, *SMALL, "--seed", seed)
    first, same, other = (contents(tmp_path / name / "test") for name in "abc")
    assert first == same
    assert first != other


def test_the_variation(tmp_path: Path) -> None:
    for name in ("studio", "line"):
        run("dataset", "capsule", tmp_path / name, *SMALL, "--variation", name)
    run("dataset", "capsule", tmp_path / "default", *SMALL)
    studio, line, default = (contents(tmp_path / name) for name in ("studio", "line", "default"))
    assert default == line
    assert studio.keys() == line.keys()
    assert not {path for path in studio if "train" in path.parts and studio[path] == line[path]}


def test_the_same_command_goes_on_after_an_interrupt(tmp_path: Path) -> None:
    words = ("dataset", "capsule", tmp_path / "set", "--train", 400, "--good", 1, "--bad", 1, "--size", 32)
    command = spawn(*words, home=tmp_path / "home")
    command.until("drawing capsules")
    while not (tmp_path / "set" / "train" / "good" / "001.png").exists():
        assert command.process.poll() is None
    command.process.send_signal(signal.SIGINT)
    exit_code, stdout, stderr = command.end()
    assert (exit_code, stdout) == (130, ""), stderr
    assert f"\n{tmp_path / 'set'} is unfinished: the same command goes on\n" in stderr
    assert stderr.splitlines()[-1] == "interrupted"
    kept = (tmp_path / "set" / "train" / "good" / "001.png").stat().st_mtime_ns
    assert run(*words).exit_code == 0
    assert (tmp_path / "set" / "train" / "good" / "001.png").stat().st_mtime_ns == kept
    capsule.write_dataset(tmp_path / "at once", 0, 400, 1, 1, 32)
    assert contents(tmp_path / "set") == contents(tmp_path / "at once")


def test_a_folder_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = run("dataset", "capsule", tmp_path, *SMALL)
    assert (done.exit_code, done.stdout) == (3, "")
    assert f"{tmp_path} is there and is not empty" in done.stderr
    run("dataset", "capsule", tmp_path / "set", *SMALL)
    done = run("dataset", "capsule", tmp_path / "set", *SMALL, "--seed", 5)
    assert done.exit_code == 3
    assert "holds another data set" in done.stderr
    assert run("dataset", "capsule", tmp_path / "set", *SMALL).exit_code == 0


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run("dataset", "capsule", tmp_path / "file" / "set", *SMALL)
    assert done.exit_code == 3
    assert "cannot be written: Not a directory" in done.stderr


def test_counts_that_make_no_data_set(tmp_path: Path) -> None:
    for option in ("--train", "--good", "--bad"):
        assert run("dataset", "capsule", tmp_path / "set", option, 0).exit_code == 2
    assert not (tmp_path / "set").exists()


def test_another_data_set_is_named() -> None:
    done = run("dataset", "capsul", "x")
    assert done.exit_code == 2
    assert "did you mean 'capsule'?" in done.stderr
