"""The times of layers: taken on a board, and as a table."""

import io

import bundles
import live
import pytest
from rich.console import Console
from told import Told

from contract.api import LayerProfile, LayerTime
from contract.tensors import TensorSpec
from host.client import AgentClient
from host.errors import BoardError, InputError
from host.profiling import profile_layers
from host.report.layers import layers_table


@pytest.fixture
def echo(agent: live.Agent) -> str:
    """A model of two layers."""
    specs = [TensorSpec(name=name, dtype="float32", shape=(1, 4)) for name in ("x", "y")]
    agent.activate(bundles.null(*specs), "echo")
    return "echo"


def test_of_a_deployed_model(client: AgentClient, echo: str) -> None:
    told = Told()
    profile = profile_layers(client, echo, 9, interrupt=True, progress=told)
    assert (profile.model, profile.runs, profile.runtime) == (echo, 9, "null")
    assert [layer.name for layer in profile.layers] == ["copy to x_out", "copy to y_out"]
    assert told.stages[0].startswith("board: ")
    assert "board: profiling" in told.stages


def test_a_model_that_is_not_there_names_the_nearest(client: AgentClient, echo: str) -> None:
    with pytest.raises(InputError, match=r"'board' has no model 'ecko'; did you mean 'echo'\?"):
        profile_layers(client, "ecko", 9, interrupt=True, progress=Told())


def test_a_runtime_that_cannot_tell(client: AgentClient, agent: live.Agent) -> None:
    agent.activate(bundles.null(no_layers=True), "silent")
    with pytest.raises(BoardError, match="does not tell the times of layers") as raised:
        profile_layers(client, "silent", 9, interrupt=True, progress=Told())
    assert (raised.value.code, raised.value.hint) == ("unsupported", "measure the whole: host bench")
    agent.run(agent.service.activator.remove("silent"))


def shown(*layers: tuple[str, float], width: int = 80) -> list[str]:
    profile = LayerProfile(
        model="capsules",
        bundle="a" * 64,
        runs=100,
        layers=tuple(LayerTime(name=name, mean_ms=mean_ms) for name, mean_ms in layers),
        runtime="trt",
        runtime_version="10.3.0",
    )
    stream = io.StringIO()
    Console(file=stream, width=width).print(layers_table(profile))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    return [" ".join(line.split()) for line in lines]


def test_the_longest_come_first_with_their_share() -> None:
    lines = shown(("conv_1 + relu", 0.5), ("[red]copy", 0.125), ("deconv", 1.375))
    assert lines[0] == "capsules: 2.000 ms in 3 layers"
    assert lines[1] == "trt 10.3.0, mean of 100 runs, which profiling slows down"
    rows = [line for line in lines if line.endswith("%")]
    assert rows == ["deconv 1.375 68.75 %", "conv_1 + relu 0.5000 25 %", "[red]copy 0.1250 6.25 %"]


def test_layers_that_took_no_time_share_nothing() -> None:
    assert "nothing 0.0000 0 %" in " ".join(shown(("nothing", 0.0)))
    assert shown()[0] == "capsules: 0.0000 ms in 0 layers"


def test_a_name_of_any_length_is_folded() -> None:
    name = " + ".join(f"decoder/layer_{number}/Conv" for number in range(20))
    assert "".join(shown((name, 1.0))).replace(" ", "").count("decoder/layer_") == 20
