"""A user's way to a Coral board, from the model file to the row: real TFLite in the worker, a stand-in for the chip.

The stand-in's operator copies inputs to outputs, so what goes through it here is a model that does the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import edge_tpu_files
import live
import numpy as np
import owning
import pytest
import tflite_models
import tflite_stand_in
import zoo
from onnx import helper
from photos import photo
from told import Told

from compression.example import write_example
from contract.api import Activation
from contract.profile import read_profile
from converters.tflite_file import read_tflite
from host.accelerator import Use
from host.benching import Request as BenchRequest
from host.benching import bench
from host.bundle import Bundle
from host.client import AgentClient
from host.converting import GOLDEN_INPUTS, Request, make
from host.deploying import deploy
from host.errors import BoardError, DoesNotRunError, HostError, InputError, ModelFileError, ProgramError
from host.evaluating import Request as EvaluationRequest
from host.evaluating import evaluate
from host.profiling import profile_layers
from host.reconstructing import read_subject
from host.store import Store
from host.verifying import verify

CORAL = read_profile("coral")
RECORDED = Path(__file__).parents[1] / "converters" / "edge_tpu" / "recorded"
ON_CPU = Use(cpu=True)
SPECIMENS = ("transposed", "resized", "classifier")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example")
    write_example(folder)
    return folder


@pytest.fixture
def relu(tmp_path: Path) -> Path:
    """It computes nothing of images, which have no pixel below 0."""
    dims = (1, 3, 16, 16)
    made = zoo.model([helper.make_node("Relu", ["x"], ["y"])], [zoo.tensor("x", dims)], [zoo.tensor("y", dims)])
    return zoo.save(made, tmp_path, "relu.onnx")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for seed in range(8):
        (tmp_path / "images" / f"{seed}.png").write_bytes(photo(size=(16, 16), seed=seed))
    return tmp_path / "images"


@pytest.fixture
def two_inputs(tmp_path: Path) -> Path:
    """Of 4 channels, and of no axes but a batch: neither is an image."""
    dims = {"map": (1, 4, 8, 8), "facts": (1, 6)}
    nodes = [helper.make_node("Relu", [name], [f"{name}_out"]) for name in dims]
    tensors = ([zoo.tensor(f"{name}{end}", of) for name, of in dims.items()] for end in ("", "_out"))
    return zoo.save(zoo.model(nodes, *tensors), tmp_path, "two_inputs.onnx")


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    """For these: not in their order, one without its batch, one in double precision."""
    (tmp_path / "tensors").mkdir()
    random = np.random.default_rng(0)
    for number in range(9):
        facts, of_map = random.random(6), random.random((1, 4, 8, 8), np.float32)
        np.savez_compressed(tmp_path / "tensors" / f"{number}.npz", facts=facts, map=of_map)
    return tmp_path / "tensors"


@dataclass(frozen=True)
class Board:
    """A running one, with what this host knows of it."""

    agent: live.Agent
    client: AgentClient
    store: Store

    def deploy(self, bundle: Bundle, name: str = "m") -> Activation:
        return deploy(self.client, name, bundle, Told(), lambda: self.store)


@contextmanager
def running(folder: Path, monkeypatch: pytest.MonkeyPatch, fail: str = "") -> Iterator[Board]:
    owning.as_user(monkeypatch)
    (folder / "chip").mkdir(parents=True)
    try:
        variables = tflite_stand_in.place(folder / "chip", tflite_stand_in.Apex(folder / "apex"), fail)
    except tflite_stand_in.NoCompilerError as error:
        pytest.skip(str(error))
    facts = {"pythons": ("agent",), "worker_environment": variables, "sensors": ("procfs",), "probed": True}
    with (
        live.listening(folder / "data", profile="coral", token=live.TOKEN, **facts) as agent,
        AgentClient.connect("board", f"http://127.0.0.1:{agent.port}", live.TOKEN) as client,
    ):
        yield Board(agent, client, Store.open(folder / "results.sqlite"))


def converted(model: Path, calibrate: Path | None = None, **asked: object) -> Bundle:
    return make(Request(model, {}, calibrate=calibrate, **asked), CORAL, lambda step: None)  # type: ignore[arg-type]  # any


def compiled(model: Path, images: Path, folder: Path) -> Bundle:
    """As with a compiler, which maps all of it."""
    plain = converted(model, images, use=ON_CPU)
    made = folder / "relu_edgetpu.tflite"
    made.write_bytes(edge_tpu_files.compiled(plain.files["model.tflite"], cached=5000))
    return converted(model, images, use=Use(compiled=made))


class TestTheBundle:
    def test_of_a_trained_autoencoder(self, example: Path) -> None:
        bundle = converted(example / "autoencoder-95.onnx", example / "good", use=ON_CPU)
        manifest = bundle.manifest
        assert (manifest.runtime.key, manifest.runtime.file) == ("tflite", "model.tflite")
        assert manifest.runtime.options == {"delegate": "none"}
        assert manifest.artifact is not None
        [taken], [given] = manifest.artifact.inputs, manifest.artifact.outputs
        assert (taken.dtype, taken.shape, taken.order) == ("int8", (1, 128, 128, 3), (0, 2, 3, 1))
        assert given.quantisation is not None
        assert manifest.signature.inputs[0].shape == (1, 3, 128, 128)
        assert manifest.signature.inputs[0].dtype == "float32"
        assert (manifest.edge_tpu, manifest.provenance.precision) == (None, "int8")
        assert manifest.rate == pytest.approx(0.95, abs=0.0002)
        assert manifest.weights == 95_904
        assert any("dB (SQNR) from the original" in notice for notice in bundle.notices)
        again = converted(example / "autoencoder-95.onnx", example / "good", use=ON_CPU)
        assert again.manifest.bundle_id == manifest.bundle_id

    def test_a_models_own_good_images_do_for_the_ranges(self, example: Path) -> None:
        bundle = converted(example / "autoencoder-95.onnx", use=ON_CPU)
        assert "calibrated with the 22 good images in the model" in bundle.notices[0]
        assert bundle.manifest.golden.source == "images"

    def test_a_model_without_any_needs_the_users(self, relu: Path) -> None:
        with pytest.raises(ModelFileError, match="int8 needs images") as raised:
            converted(relu, use=ON_CPU)
        assert "--calibrate" in raised.value.hint

    def test_what_cannot_be_written_is_said_before_images_are_asked_for(self, tmp_path: Path) -> None:
        nodes = [helper.make_node("Erf", ["x"], ["y"])]
        made = zoo.model(nodes, [zoo.tensor("x", (1, 3, 4, 4))], [zoo.tensor("y", (1, 3, 4, 4))])
        with pytest.raises(ModelFileError, match="the operator Erf"):
            converted(zoo.save(made, tmp_path), use=ON_CPU)

    def test_a_model_of_tensors_takes_tensors(self, images: Path, tmp_path: Path) -> None:
        made = zoo.model([helper.make_node("Relu", ["x"], ["y"])], [zoo.tensor("x", (1, 8))], [zoo.tensor("y", (1, 8))])
        model = zoo.save(made, tmp_path)
        with pytest.raises(InputError, match=r"images in it, but the model takes tensors: 'x' float32 \[1, 8\]"):
            converted(model, images, use=ON_CPU)
        (tmp_path / "tensors").mkdir()
        for number in range(3):
            np.save(tmp_path / "tensors" / f"{number}.npy", np.arange(8) - number)
        bundle = converted(model, tmp_path / "tensors", use=ON_CPU)
        assert bundle.notices[0] == f"int8: calibrated with 3 tensor files in {tmp_path / 'tensors'}"
        assert (bundle.manifest.golden.source, bundle.manifest.golden.count) == ("tensors", 3)
        assert bundle.files[GOLDEN_INPUTS][:32] == np.arange(8, dtype="<f4").tobytes()

    def test_the_options_reach_the_conversion(self, example: Path) -> None:
        usual = converted(example / "autoencoder-95.onnx", use=ON_CPU).files["model.tflite"]
        others = [
            converted(example / "autoencoder-95.onnx", use=ON_CPU, **{name: value}).files["model.tflite"]
            for name, value in (("ranges", "percentile"), ("bias_correction", True), ("io", "uint8"))
        ]
        assert len({usual, *others}) == 4
        assert read_tflite(others[2]).inputs[0].dtype == "uint8"

    @pytest.mark.parametrize(
        "option", [{"ranges": "minmax"}, {"bias_correction": True}, {"io": "int8"}, {"use": ON_CPU}]
    )
    def test_options_of_tflite_are_for_tflite(self, relu: Path, option: dict[str, object]) -> None:
        with pytest.raises(InputError, match=r"Desktop or server with ONNX Runtime"):
            make(Request(relu, {}, **option), read_profile("desktop"), lambda step: None)  # type: ignore[arg-type]  # any

    def test_one_way_to_the_accelerator(self, relu: Path, images: Path) -> None:
        with pytest.raises(InputError, match="--cpu leaves nothing for --docker to do"):
            converted(relu, images, use=Use(cpu=True, docker=True))

    def test_float_is_refused_with_the_reason(self, relu: Path) -> None:
        with pytest.raises(InputError, match="computes with 8-bit integers alone") as raised:
            converted(relu, precision="fp32")
        assert raised.value.code == "refused_precision"


class TestTheCompiler:
    @pytest.fixture
    def compiler(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> edge_tpu_files.Compiler:
        (tmp_path / "compiler").mkdir()
        return edge_tpu_files.Compiler(tmp_path / "compiler", monkeypatch)

    def test_what_it_says_is_in_the_manifest(self, relu: Path, images: Path, compiler: edge_tpu_files.Compiler) -> None:
        plain = converted(relu, images, use=ON_CPU)
        compiler.says((RECORDED / "all_mapped.txt").read_text())
        compiler.makes(edge_tpu_files.compiled(plain.files["model.tflite"]))
        bundle = converted(relu, images)
        assert bundle.manifest.edge_tpu is not None
        assert bundle.manifest.edge_tpu.operators > 0
        assert bundle.manifest.runtime.options == {"delegate": "edgetpu"}
        assert any(notice.startswith("Edge TPU: ") for notice in bundle.notices)

    def test_without_it_the_file_is_kept(
        self, relu: Path, images: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(ProgramError, match="not on PATH; the int8 file is ") as raised:
            converted(relu, images)
        kept = home / "data" / "uncompiled" / "relu.tflite"
        assert str(kept) in raised.value.message
        assert kept.read_bytes() == converted(relu, images, use=ON_CPU).files["model.tflite"]
        for way in ("--docker", "--compiled", "--cpu", "edgetpu-compiler"):
            assert way in raised.value.hint
        assert raised.value.exit_code == 1

    @pytest.mark.parametrize(
        ("output", "exit_code", "code", "ends_with"),
        [
            ("Compilation timeout", 1, "edge_tpu_timeout", 1),
            ("Segmentation fault", 1, "edge_tpu_crashed", 1),
            ("Invalid model", 1, "edge_tpu_model_refused", 3),
        ],
    )
    def test_whose_fault_it_is_gives_the_exit_code(
        self,
        relu: Path,
        images: Path,
        compiler: edge_tpu_files.Compiler,
        output: str,
        exit_code: int,
        code: str,
        ends_with: int,
    ) -> None:
        compiler.says(f"{output}\n# exit: {exit_code}\n")
        with pytest.raises(HostError) as raised:
            converted(relu, images)
        assert (raised.value.code, raised.value.exit_code) == (code, ends_with)

    def test_where_it_cannot_be_kept_that_is_said(
        self, relu: Path, images: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        home.mkdir(exist_ok=True)
        (home / "data").write_text("a file")
        with pytest.raises(ProgramError, match="the int8 file could not be kept: "):
            converted(relu, images)


class TestTheBoard:
    def test_on_its_cpu(self, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with running(tmp_path, monkeypatch) as board:
            activation = board.deploy(converted(example / "autoencoder-95.onnx", use=ON_CPU))
            assert activation.sqnr_db > 40 > activation.tolerance_db == 25
            assert activation.threshold_board not in (None, activation.threshold_model)
            [row] = bench(board.client, board.store, BenchRequest("m", runs=20, interrupt=True), Told())
            assert row.convert_ms.mean is not None
            assert row.latency_ms is not None
            assert row.on_chip_bytes is None
            assert row.stopped_models == ("m",)
            with pytest.raises(BoardError, match="does not tell the times of layers"):
                profile_layers(board.client, "m", 5, True, Told())

    def test_on_the_chip(self, relu: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        bundle = compiled(relu, images, tmp_path)
        with running(tmp_path / "board", monkeypatch) as board:
            board.deploy(bundle)
            [row] = bench(board.client, board.store, BenchRequest("m", runs=20, interrupt=True), Told())
            assert (row.on_chip_bytes, row.streamed_bytes, row.operators_on_cpu) == (5000, 0, 0)
            assert row.environment is not None
            assert "Edge TPU" in row.environment.runtime_version
            assert board.store.rows() == [row]
            reply = board.client.infer(
                "m", (images / "0.png").read_bytes(), "image/png", accept="application/octet-stream"
            )
            assert np.frombuffer(reply.body, "<f4").max() == pytest.approx(1, abs=0.02)
            with pytest.raises(BoardError, match="'m' has it"):
                board.deploy(bundle, "second")

    @pytest.mark.parametrize("on_chip", [False, True])
    def test_of_several_inputs(
        self, two_inputs: Path, tensors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_chip: bool
    ) -> None:
        bundle = compiled(two_inputs, tensors, tmp_path) if on_chip else converted(two_inputs, tensors, use=ON_CPU)
        with running(tmp_path / "board", monkeypatch) as board:
            activation = board.deploy(bundle)
            assert (activation.golden_count, activation.golden_source) == (8, "tensors")
            assert activation.sqnr_db is not None
            assert activation.sqnr_db > 40 > activation.tolerance_db
            [row] = bench(board.client, board.store, BenchRequest("m", runs=20, interrupt=True), Told())
            assert row.latency_ms is not None

    def test_a_model_that_makes_the_worker_crash_is_a_result(
        self, relu: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle = compiled(relu, images, tmp_path)
        with running(tmp_path / "board", monkeypatch, fail="crash") as board:
            with pytest.raises(DoesNotRunError, match="runtime and delegate do not match"):
                board.deploy(bundle)
            [row] = board.store.rows()
            assert row.failure_code == "worker_crashed"

    def test_the_whole_chain_is_verified(self, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with running(tmp_path, monkeypatch) as board:
            checks = verify(board.client, CORAL, Told())
        failed = {(check.subject, check.failure.code) for check in checks if check.failure}
        assert failed == {(f"{name} on the edgetpu", "edge_tpu_compiler_absent") for name in SPECIMENS}
        assert len(checks) == 2 + len(SPECIMENS) * 4
        [hint] = {check.failure.hint for check in checks if check.failure}
        assert hint.endswith(
            "; of these options `host verify` has --docker alone, and it tries the board's CPU by itself"
        )

    def test_the_chain_may_compile_in_a_container(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with running(tmp_path, monkeypatch) as board:
            checks = verify(board.client, CORAL, Told(), docker=True)
        assert {check.failure.code for check in checks if check.failure} == {"edge_tpu_container"}


class TestTheDesktop:
    """Int8 is judged without a board."""

    def test_the_same_figures_by_the_folder_and_by_the_file(
        self, untrained: Path, capsules: Path, tmp_path: Path
    ) -> None:
        converted(untrained, capsules / "train", use=ON_CPU).write(tmp_path / "c")
        by_folder = evaluate(EvaluationRequest(tmp_path / "c", capsules), None, None, Told())
        by_file = evaluate(EvaluationRequest(tmp_path / "c" / "model.tflite", capsules), None, None, Told())
        whole = evaluate(EvaluationRequest(untrained, capsules), None, None, Told())
        scores = [found.model.accuracies["max_smoothed_squared_error"].scores for found in (by_folder, by_file, whole)]
        np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)
        np.testing.assert_allclose(scores[0], scores[2], rtol=0.1)
        assert not np.array_equal(scores[0], scores[2])
        assert (by_file.model.weights, by_file.preprocessing.layout) == (None, "NHWC")

    def test_a_compiled_file_is_for_a_board(self, relu: Path, images: Path, tmp_path: Path) -> None:
        compiled(relu, images, tmp_path)
        with pytest.raises(ModelFileError, match="compiled for the Edge TPU") as raised:
            read_subject(Request(tmp_path / "relu_edgetpu.tflite", {}), None, Told())
        assert "--compiled" in raised.value.hint

    def test_a_float_file_is_refused(self, tmp_path: Path) -> None:
        content = tflite_models.make(
            [tflite_models.T("x", "float32", (1, 4)), tflite_models.T("y", "float32", (1, 4))], [], [0], [1]
        )
        (tmp_path / "f.tflite").write_bytes(content)
        with pytest.raises(ModelFileError, match="'x' is float32, not of 8-bit integers with one scale"):
            read_subject(Request(tmp_path / "f.tflite", {}), None, Told())

    def test_what_is_called_tflite_and_is_not(self, tmp_path: Path) -> None:
        (tmp_path / "f.tflite").write_text("hello")
        with pytest.raises(ModelFileError) as raised:
            read_subject(Request(tmp_path / "f.tflite", {}), None, Told())
        assert raised.value.code == "not_tflite"


def test_a_finished_tflite_file_is_deployed_as_it_is(
    relu: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's, as good as: nothing of ours is with it."""
    content = converted(relu, images, use=ON_CPU).files["model.tflite"]
    (tmp_path / "theirs.tflite").write_bytes(content)
    bundle = converted(tmp_path / "theirs.tflite", use=ON_CPU)
    assert bundle.files["model.tflite"] == content
    assert bundle.manifest.signature.inputs[0].shape == (1, 16, 16, 3)
    with running(tmp_path / "board", monkeypatch) as board:
        activation = board.deploy(bundle)
        assert activation.sqnr_db is None or activation.sqnr_db > 25
    with pytest.raises(InputError, match=r"--io comes too late: theirs\.tflite is int8 already"):
        converted(tmp_path / "theirs.tflite", use=ON_CPU, io="uint8")
    with pytest.raises(
        ModelFileError, match=r"a \.tflite file cannot be made into what the runtime 'ort' runs"
    ) as told:
        make(Request(tmp_path / "theirs.tflite", {}), read_profile("desktop"), lambda step: None)
    assert "name the ONNX model" in told.value.hint


def test_a_file_out_of_a_bundles_folder_is_taken_by_itself_and_told(relu: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    converted(relu, images, use=ON_CPU).write(out)
    told = f"model.tflite is taken by itself: the folder {out} has how its images are prepared and judged, too"
    assert converted(out / "model.tflite", use=ON_CPU).notices[0].startswith(told)
    assert not any("by itself" in notice for notice in converted(relu, images, use=ON_CPU).notices)


def test_multiply_adds_are_those_of_the_model_as_it_came(relu: Path, images: Path, tmp_path: Path) -> None:
    bundle = converted(relu, images, use=ON_CPU)
    assert bundle.manifest.macs == 0  # a Relu alone, and Transposes around it
    (tmp_path / "theirs.tflite").write_bytes(bundle.files["model.tflite"])
    assert converted(tmp_path / "theirs.tflite", use=ON_CPU).manifest.macs == 0
