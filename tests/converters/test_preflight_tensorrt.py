import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
import pytest
import zoo
from onnx import ModelProto, TensorProto, helper, numpy_helper
from tensorrt_stand_in.models import quantised

from converters.draft import Draft
from converters.plan import Target
from converters.steps.preflight_tensorrt import BoardRefusesError, apply, weigh
from converters.tensorrt_operators import rtx, rtx_child
from converters.tensorrt_operators.sites import serialise_named
from converters.tensorrt_operators.tables import Version
from converters.tensorrt_operators.verdicts import Finding, judge

RTX, WHY_NOT = rtx_child.find_library()
needs_rtx = pytest.mark.skipif(RTX is None, reason=f"TensorRT-RTX is not there ({WHY_NOT or 'not installed'})")

TAKES = {"version": "1.7", "parsed": True, "built": True, "refusals": [], "log": []}
"""What the child answers of a model that it takes."""

LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"

Answering = Callable[..., None]


def refusing(operator: str = "Relu", node: str = "relu", *, lacks: bool = False) -> dict[str, Any]:
    said = {"operator": operator, "node": node, "lacks": lacks, "text": "not this one"}
    return TAKES | {"parsed": False, "built": False, "refusals": [said]}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """``program(source)``: what runs in the place of the child."""

    def put(source: str) -> None:
        script = tmp_path / "child.py"
        script.write_text(source, encoding="utf-8")
        monkeypatch.setattr(rtx, "COMMAND", (sys.executable, "-P", str(script)))

    return put


@pytest.fixture
def answering(program: Callable[[str], None]) -> Answering:
    """``answering(*answers)``: the child reads the model and answers these."""

    def put(*answers: Any) -> None:
        lines = "\n".join(json.dumps(answer) for answer in answers)
        program(f"import sys\nsys.stdin.buffer.read()\nprint({lines!r})\n")

    return put


@pytest.fixture
def absent(answering: Answering) -> None:
    answering({"absent": ""})


def preflight(
    model: ModelProto,
    version: Version | None = (8, 2, 1),
    precision: str = "fp16",
    *,
    has_int8: bool = True,
    **rest: Any,
) -> list[str]:
    """The notices."""
    target = Target("trt", precision, version, has_int8=has_int8)
    draft = Draft(Path("model.onnx"), {}, model, target=target, **rest)
    apply(draft)
    return draft.notices


def branching() -> ModelProto:
    """x or -x: NVIDIA restricts If in words that nobody can judge here."""
    branches = {
        "then_branch": zoo.graph("then", [helper.make_node("Abs", ["x"], ["a"])], [zoo.tensor("a", (4,))]),
        "else_branch": zoo.graph("else", [helper.make_node("Neg", ["x"], ["b"])], [zoo.tensor("b", (4,))]),
    }
    node = helper.make_node("If", ["flag"], ["y"], name="branch", **branches)
    return zoo.model([node], [zoo.tensor("x", (4,)), zoo.tensor("flag", (), 9)], [zoo.tensor("y", (4,))])


def determinant(*names: str) -> ModelProto:
    nodes = [helper.make_node("Det", ["x"], [f"y{index}"], name=name) for index, name in enumerate(names)]
    outputs = [zoo.tensor(f"y{index}", (1,)) for index in range(len(names))]
    return zoo.model([*nodes, helper.make_node("Abs", ["x"], ["z"])], [zoo.tensor("x", (1, 2, 2))], outputs)


# --- what it says -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("absent")
def test_without_tensorrt_rtx_the_table_speaks_alone() -> None:
    heard, said = preflight(zoo.autoencoder())
    assert heard == (
        "checked by the table of operators of TensorRT 8.2 (TensorRT-RTX is not installed: "
        "pip install 'boardfit[preflight]'): the board's own parser decides"
    )
    assert said == "TensorRT is expected to take all 4 nodes"


def test_with_tensorrt_rtx_both_are_named(answering: Answering) -> None:
    answering(TAKES)
    heard, said = preflight(zoo.convolution(), (10, 7, 0))
    assert heard == (
        "checked by the table of operators of TensorRT 10.6 (the nearest to 10.7.0) and by TensorRT-RTX 1.7's parser "
        "and builder, which take it: the board's own parser decides"
    )
    assert said == "TensorRT is expected to take all 2 nodes"


@pytest.mark.usefixtures("absent")
def test_of_one_node() -> None:
    assert preflight(zoo.identity(), (8, 6))[1] == "TensorRT is expected to take 1 of 1 node"


@pytest.mark.usefixtures("absent")
def test_doubts_are_named_with_their_nodes() -> None:
    _, said = preflight(branching(), (8, 6))
    assert said.startswith(
        "TensorRT is expected to take 2 of 3 nodes; not sure of: If (node 'branch'): NVIDIA restricts it: "
    )


def test_a_version_that_is_not_known(answering: Answering) -> None:
    answering(TAKES)
    heard, said = preflight(zoo.convolution(), None)
    assert heard.startswith("checked by TensorRT-RTX 1.7's parser and builder, which take it")
    assert said == (
        "TensorRT is expected to take 0 of 2 nodes; not sure of: Conv (node 'conv'), Relu (node 'relu'): "
        "which TensorRT the board has is not known"
    )


@pytest.mark.usefixtures("absent")
def test_nobody_to_ask() -> None:
    heard, _ = preflight(zoo.convolution(), (8, 0, 1))
    assert heard.startswith("checked by nothing (TensorRT-RTX is not installed")


@pytest.mark.usefixtures("absent")
def test_the_model_is_left_alone() -> None:
    made = zoo.classifier()
    made.graph.node[0].ClearField("name")
    before = made.SerializeToString(deterministic=True)
    preflight(made)
    assert made.SerializeToString(deterministic=True) == before


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_what_the_table_refuses_stops_before_the_slower_witness(program: Callable[[str], None], tmp_path: Path) -> None:
    program(f"open({str(tmp_path / 'asked')!r}, 'w')")
    with pytest.raises(BoardRefusesError) as caught:
        preflight(determinant("first", "second"))
    error = caught.value
    assert error.code == "board_refuses"
    assert error.message == (
        "TensorRT 8.2.1 refuses 2 of 3 nodes: Det (node 'first'), Det (node 'second'): TensorRT 8.2 lacks the operator"
    )
    assert "another opset" in error.hint
    assert [(one.operator, one.node, one.verdict) for one in error.findings] == [
        ("Det", "first", "refused"),
        ("Det", "second", "refused"),
    ]
    assert not (tmp_path / "asked").exists()


def test_many_refusals_are_shortened() -> None:
    with pytest.raises(BoardRefusesError, match=r"\(node 'c'\) and 2 more: TensorRT 8.2 lacks the operator$"):
        preflight(determinant("a", "b", "c", "d", "e"))


def test_an_open_shape_is_refused_for_the_model() -> None:
    with pytest.raises(
        BoardRefusesError, match=r"^TensorRT 8\.2\.1 refuses the model: the input 'image' has no static"
    ):
        preflight(zoo.dynamic_batch())


# --- types that the builder is not told of ----------------------------------------------------------------------------


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize("version", [(8, 2, 1), (8, 6), (10, 3), None])
@pytest.mark.parametrize("precision", ["fp16", "fp32", "tf32"])
def test_a_quantised_model_needs_int8(version: Version | None, precision: str) -> None:
    """TensorRT's words for it are in tests/tensorrt_stand_in: int8 is not configured in the builder."""
    with pytest.raises(BoardRefusesError) as caught:
        preflight(quantised(), version, precision)
    assert caught.value.message.endswith(
        " refuses 2 of 3 nodes: QuantizeLinear (node 'quantise'), DequantizeLinear (node 'dequantise'): "
        "its builder takes int8 with --precision int8"
    )
    assert caught.value.hint == "the model is quantised: name --precision int8"


def test_a_quantised_model_for_a_gpu_without_int8() -> None:
    with pytest.raises(BoardRefusesError) as caught:
        preflight(quantised(), has_int8=False)
    assert caught.value.hint == "export the float model: this GPU has no int8"


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize(("version", "precision"), [((8, 2), "int8"), ((10, 3), "int8"), ((11, 0), "fp32")])
def test_a_quantised_model_whose_builder_knows(version: Version, precision: str) -> None:
    assert "all 3 nodes" in preflight(quantised(), version, precision)[1]


def test_zero_points_count_before_the_precision() -> None:
    with pytest.raises(BoardRefusesError, match="symmetric"):
        preflight(quantised(zero_point=3))


@pytest.mark.usefixtures("absent")
def test_a_model_in_half_precision_needs_fp16() -> None:
    made = zoo.identity(element=TensorProto.FLOAT16)
    for precision in ("fp32", "tf32"):
        with pytest.raises(BoardRefusesError, match=r"1 of 1 node: .* its builder takes fp16 with") as caught:
            preflight(made, (10, 3), precision)
        assert "--precision fp16" in caught.value.hint
    for precision in ("fp16", "int8"):
        preflight(made, (10, 3), precision)
    preflight(made, (11, 0), "fp32")


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize(
    ("version", "precision", "told"), [((8, 2), "fp16", True), ((8, 2), "fp32", False), ((11, 0), "fp16", False)]
)
def test_constants_that_fp16_does_not_hold(version: Version, precision: str, told: bool) -> None:
    """From 11 on the step that writes float16 has told it."""
    made = zoo.convolution()
    made.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.full(4, 1e6, np.float32), "bias"))
    said = "constants beyond float16's range: 'bias'; --precision fp32 keeps them"
    assert (said in preflight(made, version, precision)) == told


# --- the rule ---------------------------------------------------------------------------------------------------------

NODE = Finding("Relu", "relu", "parses")
DOUBTED = Finding("Relu", "relu", "unknown", "a restriction")
SAID = rtx.read_answer(refusing())


@pytest.mark.parametrize(
    ("one", "version", "verdict", "reason"),
    [
        (NODE, (8, 2), "unknown", "the table lists it; TensorRT-RTX 1.7 refuses it: not this one"),
        (NODE, (10, 3), "unknown", "the table lists it; TensorRT-RTX 1.7 refuses it: not this one"),
        (DOUBTED, (10, 16), "unknown", "a restriction; TensorRT-RTX 1.7 refuses it: not this one"),
        (DOUBTED, None, "unknown", "a restriction; TensorRT-RTX 1.7 refuses it: not this one"),
        (NODE, (11, 0), "refused", "TensorRT-RTX 1.7: not this one"),
        (DOUBTED, (11, 4), "refused", "TensorRT-RTX 1.7: not this one"),
        (Finding("Relu", "relu", "refused", "known"), (10, 3), "refused", "known"),
    ],
)
def test_what_tensorrt_rtx_refuses(one: Finding, version: Version | None, verdict: str, reason: str) -> None:
    assert isinstance(SAID, rtx.Answer)
    (weighed,) = weigh([one], SAID, version)
    assert (weighed.operator, weighed.node, weighed.verdict, weighed.reason) == ("Relu", "relu", verdict, reason)


@pytest.mark.parametrize(
    ("one", "version", "verdict"),
    [
        (DOUBTED, (10, 3), "unknown"),  # evidence alone
        (DOUBTED, None, "unknown"),
        (DOUBTED, (11, 0), "parses"),
        (Finding("Relu", "relu", "refused", "known"), (11, 0), "refused"),
        (Finding("", "", "unknown", "the opset"), (11, 0), "unknown"),  # about the model: nothing it was asked
    ],
)
def test_what_tensorrt_rtx_takes(one: Finding, version: Version | None, verdict: str) -> None:
    taken = rtx.read_answer(TAKES)
    assert isinstance(taken, rtx.Answer)
    (weighed,) = weigh([one], taken, version)
    assert weighed.verdict == verdict


@pytest.mark.parametrize(
    ("operator", "domain", "version", "verdict"),
    [
        ("DeformConv", "", (11, 0), "unknown"),  # listed for 11
        ("DeformConv", "com.acme", (11, 0), "unknown"),  # a plugin's
        ("Det", "", (11, 4), "refused"),  # not listed
    ],
)
def test_what_tensorrt_rtx_lacks(operator: str, domain: str, version: Version, verdict: str) -> None:
    answer = rtx.read_answer(refusing(operator, "deform", lacks=True))
    assert isinstance(answer, rtx.Answer)
    (weighed,) = weigh([Finding(operator, "deform", "parses", "", domain)], answer, version)
    assert weighed.verdict == verdict


@pytest.mark.parametrize(("version", "verdict"), [((10, 3), "unknown"), ((11, 0), "refused")])
def test_a_refusal_about_no_node(version: Version, verdict: str) -> None:
    answer = rtx.read_answer(refusing("", ""))
    assert isinstance(answer, rtx.Answer)
    assert weigh([NODE], answer, version) == [NODE, Finding("", "", verdict, "TensorRT-RTX 1.7: not this one")]  # type: ignore[arg-type]  # one of the three


@pytest.mark.parametrize(("version", "verdict"), [((10, 3), "unknown"), ((11, 0), "refused")])
@pytest.mark.parametrize(("log", "why"), [(["first", "no room"], "no room"), ([], "it gave no reason")])
def test_a_model_that_parses_and_is_not_built(version: Version, verdict: str, log: list[str], why: str) -> None:
    answer = rtx.read_answer(TAKES | {"built": False, "log": log})
    assert isinstance(answer, rtx.Answer)
    _, model = weigh([NODE], answer, version)
    assert (model.operator, model.verdict, model.reason) == ("", verdict, f"the builder of TensorRT-RTX 1.7: {why}")


def test_a_refusal_by_tensorrt_rtx_is_an_error_from_11_on(answering: Answering) -> None:
    answering(refusing())
    with pytest.raises(BoardRefusesError, match=r"Relu \(node 'relu'\): TensorRT-RTX 1\.7: not this one"):
        preflight(zoo.convolution(), (11, 0))
    heard, said = preflight(zoo.convolution(), (10, 3))
    assert "which do not take it" in heard
    assert "1 of 2 nodes" in said


# --- a witness that fails ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os; os.abort()", "TensorRT-RTX was killed by signal 6"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "TensorRT-RTX was killed by signal 9 (out of memory?)",
        ),
        ("import ctypes; ctypes.string_at(0)", "TensorRT-RTX was killed by signal 11"),
        ("raise SystemExit('first\\nno kernels')", "TensorRT-RTX ended with 1: no kernels"),
        ("import sys; sys.exit(3)", "TensorRT-RTX ended with 3"),
        ("print('hello')", "no answer that can be read (JSONDecodeError"),
        ("", "TensorRT-RTX ended without an answer"),
        ("print('[]')", "no answer that can be read"),
        ('print(\'{"version": "1"}\')', "no answer that can be read (KeyError"),
    ],
)
def test_a_witness_that_fails_is_said_and_costs_nothing(
    program: Callable[[str], None], source: str, reason: str
) -> None:
    program(source)
    heard, said = preflight(zoo.convolution())
    assert heard.startswith("checked by the table of operators of TensorRT 8.2 (TensorRT-RTX ")
    assert reason in heard
    assert said == "TensorRT is expected to take all 2 nodes"


@pytest.mark.parametrize(
    "answer",
    [
        TAKES | {"built": 1},
        TAKES | {"parsed": None},
        TAKES | {"refusals": [{"operator": "Relu"}]},
        {key: value for key, value in TAKES.items() if key != "log"},
    ],
)
def test_an_answer_that_is_not_as_agreed(answering: Answering, answer: Any) -> None:
    answering(answer)
    assert isinstance(rtx.examine(b"", 1), rtx.NoAnswer)


@pytest.mark.parametrize("model", [b"", bytes(10**6)])  # which fits into a pipe, which does not
def test_a_witness_that_hangs(program: Callable[[str], None], model: bytes) -> None:
    program("import time; time.sleep(60)")
    assert rtx.examine(model, 1, parse_s=0.3) == rtx.NoAnswer("TensorRT-RTX did not end within 0.3 s")


PARSES = TAKES | {"built": None}
"""What the child says before it builds."""


def builds(how: str) -> str:
    return f"import os, sys, time\nsys.stdin.buffer.read()\nprint({json.dumps(PARSES)!r}, flush=True)\n{how}"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("time.sleep(60)", "did not end within 0.3 s; --trial-build-s gives it longer"),
        ("os.abort()", "was killed by signal 6"),
        ("sys.exit('no room')", "ended with 1: no room"),
        ("print('hello')", "gave no answer that can be read"),
    ],
)
@pytest.mark.parametrize("version", [(10, 3), (11, 0)])
def test_a_build_that_gives_no_answer_leaves_what_the_parser_said(
    program: Callable[[str], None], how: str, said: str, version: Version
) -> None:
    program(builds(how))
    heard, expected = preflight(zoo.convolution(), version, trial_build_s=0.3)
    assert f"by TensorRT-RTX 1.7's parser, which takes it (its builder {said}): the board's own" in heard
    assert expected == "TensorRT is expected to take all 2 nodes"


def test_a_build_that_is_not_asked_for(program: Callable[[str], None]) -> None:
    program(builds("time.sleep(60)"))
    heard, _ = preflight(zoo.convolution(), (10, 3), trial_build_s=0)
    assert "which takes it (its builder was not asked)" in heard


def test_what_is_done_is_told(answering: Answering) -> None:
    parts: list[str] = []
    answering(PARSES, TAKES)
    answer = rtx.examine(b"", 7, parts.append)
    assert isinstance(answer, rtx.Answer)
    assert answer.built
    assert parts == ["parsing with TensorRT-RTX", "building with TensorRT-RTX, for at most 7 s"]


def test_what_is_refused_is_not_built(answering: Answering) -> None:
    parts: list[str] = []
    answering(refusing())
    rtx.examine(b"", 7, parts.append)
    assert parts == ["parsing with TensorRT-RTX"]


def test_a_python_that_is_gone(tmp_path: Path) -> None:
    answer = rtx.examine(b"", 1, command=[str(tmp_path / "python")])
    assert isinstance(answer, rtx.NoAnswer)
    assert answer.reason.startswith("TensorRT-RTX could not be started: ")


def test_text_on_stdout_does_not_spoil_the_answer(
    monkeypatch: pytest.MonkeyPatch, program: Callable[[str], None], tmp_path: Path
) -> None:
    """The child itself, with a library that prints as C++ does."""
    library = tmp_path / "site"
    library.mkdir()
    (library / "tensorrt_rtx.py").write_text("import os\nos.write(1, b'[I] loaded')\nraise ImportError('too old')\n")
    monkeypatch.setenv("PYTHONPATH", str(library))
    assert rtx.examine(b"", 1) == rtx.NoAnswer("tensorrt_rtx cannot be imported: too old")


# --- the real one -----------------------------------------------------------------------------------------------------


@needs_rtx
def test_the_answers_made_up_here_are_like_real_ones() -> None:
    (real,) = rtx_child.examine(RTX, determinant("det").SerializeToString())
    fake = refusing()
    assert set(real) == set(fake)
    (said,) = real["refusals"]
    assert {key: type(value) for key, value in said.items()} == {
        key: type(value) for key, value in fake["refusals"][0].items()
    }
    assert {key: type(value) for key, value in real.items()} == {key: type(value) for key, value in fake.items()}
    assert (said["operator"], said["node"], said["lacks"]) == ("Det", "det", True)


@needs_rtx
@pytest.mark.parametrize("version", [(8, 2, 1), (10, 3, 0), (11, 0)])
def test_a_model_is_parsed_and_built(version: Version) -> None:
    heard, said = preflight(zoo.autoencoder(), version)
    assert f"TensorRT-RTX {RTX.__version__}'s parser and builder, which take it" in heard
    assert said == "TensorRT is expected to take all 4 nodes"


@needs_rtx
def test_a_network_that_we_did_not_make() -> None:
    made = onnx.load(LIGHT / "light_squeezenet.onnx")
    heard, said = preflight(made, (11, 0))
    assert "which take it" in heard
    assert said == "TensorRT is expected to take all 105 nodes"


@needs_rtx
def test_a_node_without_a_name_is_found_again() -> None:
    made = zoo.model(
        [
            helper.make_node("Identity", ["x"], ["same"]),
            helper.make_node("ScatterND", ["same", "i", "u"], ["y"], reduction="add"),
        ],
        [zoo.tensor("x", (4,)), zoo.tensor("u", (1,)), zoo.tensor("i", (1, 1), 7)],
        [zoo.tensor("y", (4,))],
        opset=16,
    )
    answer = rtx.read_answer([*rtx_child.examine(RTX, serialise_named(made))][-1])
    assert isinstance(answer, rtx.Answer)
    assert [(one.operator, one.node) for one in answer.refusals] == [("ScatterND", "node_of_y")]
    assert [one.node for one in judge(made, (10, 3)) if one.verdict == "refused"] == ["node_of_y"]
