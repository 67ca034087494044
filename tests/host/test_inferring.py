import io
from pathlib import Path
from typing import Any

import bundles
import live
import numpy as np
import pytest
from photos import photo
from told import Told

from contract.api import ModelState
from contract.tensors import TensorSpec
from host import client as client_module
from host.client import AgentClient
from host.errors import BoardError, HostError, InputError, UnreachableError
from host.inferring import Answer, Failure, OutputSummary, Request, infer_all


def spec(name: str, dtype: str, *shape: int) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


MODELS = {
    "inspector": bundles.inspector(),
    "uncalibrated": bundles.inspector(threshold=None),
    "echo": bundles.null(spec("x", "float32", 1, 4)),
    "images": bundles.null(spec("image", "float32", 1, 3, 8, 8), preprocessing=bundles.IMAGE),
    "several": bundles.null(spec("a", "float32", 1, 4), spec("b/2", "int64", 1, 2)),
}


@pytest.fixture(autouse=True)
def deployed(agent: live.Agent) -> None:
    """Every model of MODELS."""
    for name, bundle in MODELS.items():
        if name not in agent.service.dataplane.models:
            agent.activate(bundle, name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """good/0.png, good/1.jpg, bad/2.png, a.npy"""
    for number, name in enumerate(("good/0.png", "good/1.jpg", "bad/2.png")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo("JPEG" if name.endswith("jpg") else "PNG", seed=number))
    np.save(tmp_path / "a.npy", np.array([[1, 2, 3, 4]], np.float32))
    return tmp_path


def infer(client: AgentClient, model: str, *files: Path, **where: Any) -> list[Answer | Failure]:
    return infer_all(client, Request(model, files, **where), Told())


def answer(client: AgentClient, model: str, file: Path, **where: Any) -> Answer:
    [only] = infer(client, model, file, **where)
    assert isinstance(only, Answer), only
    return only


def failure(client: AgentClient, model: str, file: Path, **where: Any) -> HostError:
    [only] = infer(client, model, file, **where)
    assert isinstance(only, Failure)
    return only.error


def test_a_decision_for_each_file_in_their_order(client: AgentClient, folder: Path) -> None:
    files = [folder / "good" / "1.jpg", folder / "bad" / "2.png", folder / "good" / "0.png"]
    told = Told()
    answers = infer_all(client, Request("inspector", files), told)
    assert [only.file for only in answers] == files
    for only in answers:
        assert isinstance(only, Answer)
        assert (only.score, only.threshold, only.decision, only.outputs) == (0.0, 0.5, "good", ())
        assert 0 < only.run_ms < only.total_ms
    assert told.stages == ["board: asking inspector"] * 3
    assert told.done == [(0, 3), (1, 3), (2, 3)]


def test_without_a_threshold_it_is_uncalibrated(client: AgentClient, folder: Path) -> None:
    for where in ({}, {"maps": folder / "maps"}):
        only = answer(client, "uncalibrated", folder / "good" / "0.png", **where)
        assert (only.score, only.threshold, only.decision) == (0.0, None, "uncalibrated")


def test_tensors_where_there_is_no_decision(client: AgentClient, folder: Path) -> None:
    only = answer(client, "echo", folder / "a.npy")
    assert only.decision is None
    assert only.outputs == (OutputSummary("x_out", "float32", (1, 4), 1.0, 2.5, 4.0),)


def test_an_image_to_a_model_that_does_not_decide(client: AgentClient, folder: Path) -> None:
    only = answer(client, "images", folder / "good" / "0.png")
    assert only.decision is None
    assert only.outputs[0].shape == (1, 3, 8, 8)


def test_a_suffix_that_lies_does_no_harm(client: AgentClient, folder: Path) -> None:
    (folder / "lie.png").write_bytes(photo("JPEG"))
    (folder / "tensor.jpg").write_bytes((folder / "a.npy").read_bytes())
    assert answer(client, "inspector", folder / "lie.png").decision == "good"
    assert answer(client, "echo", folder / "tensor.jpg").outputs[0].mean == 2.5


def test_what_is_not_finite_has_no_figure(client: AgentClient, folder: Path) -> None:
    np.save(folder / "nan.npy", np.array([[np.nan, 1, 2, 3]], np.float32))
    np.save(folder / "inf.npy", np.array([[-np.inf, 1, 2, 3]], np.float32))
    for name, greatest in (("nan.npy", None), ("inf.npy", 3.0)):
        [output] = answer(client, "echo", folder / name).outputs
        assert (output.least, output.mean, output.greatest) == (None, None, greatest)


class TestWhatIsWritten:
    """--maps and -o."""

    def test_maps(self, client: AgentClient, folder: Path) -> None:
        files = [folder / "good" / "0.png", folder / "good" / "1.jpg"]
        answers = infer(client, "inspector", *files, maps=folder / "maps")
        assert sorted(path.name for path in (folder / "maps").iterdir()) == ["0.png", "1.png"]
        assert (folder / "maps" / "0.png").read_bytes().startswith(b"\x89PNG")
        assert [only.decision for only in answers if isinstance(only, Answer)] == ["good", "good"]

    def test_outputs(self, client: AgentClient, folder: Path) -> None:
        answer(client, "echo", folder / "a.npy", output=folder / "out")
        np.testing.assert_array_equal(np.load(folder / "out" / "a.x_out.npy"), [[1, 2, 3, 4]])

    def test_outputs_of_a_model_that_decides_beside_its_decision(self, client: AgentClient, folder: Path) -> None:
        where = {"maps": folder / "maps", "output": folder / "out"}
        only = answer(client, "inspector", folder / "good" / "0.png", **where)
        assert (only.decision, len(only.outputs)) == ("good", 1)
        assert np.load(folder / "out" / "0.image_out.npy").shape == (1, 3, 8, 8)
        assert (folder / "maps" / "0.png").exists()

    def test_an_output_whose_name_is_no_file_name(self, client: AgentClient, folder: Path, agent: live.Agent) -> None:
        content = np.array([1, 2, 3, 4], np.float32).tobytes() + np.array([5, 6], np.int64).tobytes()
        reply = client.infer("several", content)
        assert reply.body == content
        error = failure(client, "several", folder / "a.npy", output=folder / "out")
        assert "2 inputs" in error.message  # one .npy is one tensor
        assert not (folder / "out").exists()

    def test_files_of_one_name_do_not_write_over_each_other(self, client: AgentClient, folder: Path) -> None:
        (folder / "bad" / "0.png").write_bytes(photo(seed=7))
        infer(client, "inspector", folder / "good" / "0.png", folder / "bad" / "0.png", maps=folder / "maps")
        assert (folder / "maps" / "good" / "0.png").exists()
        assert (folder / "maps" / "bad" / "0.png").exists()

    def test_the_same_file_twice_is_no_clash(self, client: AgentClient, folder: Path) -> None:
        file = folder / "good" / "0.png"
        assert len(infer(client, "inspector", file, file, maps=folder / "maps")) == 2

    def test_two_that_cannot_be_told_apart(self, client: AgentClient, folder: Path) -> None:
        (folder / "good" / "0.jpg").write_bytes(photo("JPEG"))
        with pytest.raises(InputError, match=r"good/0\.png and .*good/0\.jpg would both be written to .*0\.png"):
            infer(client, "inspector", folder / "good" / "0.png", folder / "good" / "0.jpg", maps=folder / "maps")
        assert not (folder / "maps").exists()

    def test_never_over_a_file_that_is_read(self, client: AgentClient, folder: Path) -> None:
        file = folder / "good" / "0.png"
        before = file.read_bytes()
        with pytest.raises(InputError, match="is one of the files to read: it would be lost"):
            infer(client, "inspector", file, maps=folder / "good")
        link = folder / "link"
        link.symlink_to(folder / "good")
        with pytest.raises(InputError, match="is one of the files to read"):
            infer(client, "inspector", file, maps=link)
        assert file.read_bytes() == before

    def test_a_place_that_cannot_be_written(self, client: AgentClient, folder: Path) -> None:
        error = failure(client, "inspector", folder / "good" / "0.png", maps=folder / "a.npy")
        assert "a.npy/0.png cannot be written" in error.message

    def test_maps_of_a_model_that_does_not_decide(self, client: AgentClient, folder: Path) -> None:
        with pytest.raises(InputError, match="--maps: 'echo' has no score"):
            infer(client, "echo", folder / "a.npy", maps=folder / "maps")


class TestFilesThatFail:
    """Each is named, and keeps none of the others from its answer."""

    @pytest.mark.parametrize(
        ("name", "content", "code", "what"),
        [
            ("notes.txt", b"hello", "bad_input", "is neither a PNG or JPEG image nor a .npy file"),
            ("empty.png", b"", "bad_input", "is neither a PNG or JPEG image nor a .npy file"),
            ("gone.png", None, "bad_input", "cannot be read: No such file"),
            ("broken.png", photo()[:60], "broken_image", "broken"),
        ],
    )
    def test_files(
        self, client: AgentClient, folder: Path, name: str, content: bytes | None, code: str, what: str
    ) -> None:
        if content is not None:
            (folder / name).write_bytes(content)
        before, failed, after = infer(
            client, "inspector", folder / "good" / "0.png", folder / name, folder / "bad" / "2.png"
        )
        assert isinstance(before, Answer)
        assert isinstance(after, Answer)
        assert isinstance(failed, Failure)
        assert failed.file == folder / name
        assert failed.error.code == code
        assert str(folder / name) in failed.error.message
        assert what in failed.error.message

    def test_a_tensor_of_another_shape(self, client: AgentClient, folder: Path) -> None:
        np.save(folder / "b.npy", np.zeros((1, 5), np.float32))
        error = failure(client, "echo", folder / "b.npy")
        assert error.code == "bad_tensor"
        assert error.message.startswith(f"{folder / 'b.npy'}: ")

    def test_a_pickle_is_not_read(self, client: AgentClient, folder: Path) -> None:
        file = io.BytesIO()
        np.save(file, np.array([object()]), allow_pickle=True)
        (folder / "evil.npy").write_bytes(file.getvalue())
        assert isinstance(failure(client, "echo", folder / "evil.npy"), BoardError)

    def test_an_image_to_a_model_that_takes_tensors(self, client: AgentClient, folder: Path) -> None:
        assert failure(client, "echo", folder / "good" / "0.png").code == "unsupported_media_type"

    def test_after_a_cut_the_others_are_not_tried(
        self, client: AgentClient, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[object] = []

        def gone(*arguments: object) -> None:
            asked.append(arguments)
            raise UnreachableError("the agent does not answer", "-")

        first, *others = (folder / "good" / "0.png", folder / "good" / "1.jpg", folder / "bad" / "2.png")
        assert answer(client, "inspector", first).decision == "good"
        monkeypatch.setattr(client, "infer", gone)
        answers = infer(client, "inspector", *others)
        assert [type(only) for only in answers] == [Failure, Failure]
        assert len(asked) == 1

    def test_a_board_that_stays_busy_is_a_cut(
        self, client: AgentClient, agent: live.Agent, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "BUSY_PATIENCE_S", 0)
        agent.service.dataplane.board.held_by = "a bench of 'x'"
        try:
            answers = infer(client, "inspector", folder / "good" / "0.png", folder / "good" / "1.jpg")
        finally:
            agent.service.dataplane.board.held_by = None
        for only in answers:
            assert isinstance(only, Failure)
            assert only.error.code == "board_held"


def test_an_unknown_model_and_the_nearest(client: AgentClient, folder: Path) -> None:
    with pytest.raises(InputError, match=r"no model 'inspektor'; did you mean 'inspector'\?"):
        infer(client, "inspektor", folder / "good" / "0.png")


def test_a_model_that_has_failed_for_good(client: AgentClient, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = [model.model_copy(update={"state": ModelState.FAILED, "reason": "it died"}) for model in client.models()]
    monkeypatch.setattr(client, "models", lambda: failed)
    with pytest.raises(BoardError, match="'echo' has failed on 'board': it died") as raised:
        infer(client, "echo", folder / "a.npy")
    assert raised.value.code == "model_failed"


def test_a_model_that_is_changed_meanwhile(client: AgentClient, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = client.models()
    other = MODELS["several"].manifest.signature
    stale = [model.model_copy(update={"signature": other}) if model.name == "echo" else model for model in models]
    monkeypatch.setattr(client, "models", lambda: stale)
    assert failure(client, "echo", folder / "a.npy").code == "model_changed"
