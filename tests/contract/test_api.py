"""The management API's requests and replies, and its table against what the agent serves."""

import inspect
import re
import typing

import bundles
import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError

from agent.api import management
from contract import api
from contract.api import (
    MAX_BENCH_INPUTS,
    MAX_PROFILE_RUNS,
    MAX_RUNS,
    ActivateRequest,
    Activation,
    BenchRequest,
    Build,
    ErrorReply,
    Job,
    JobState,
    LayerProfile,
    LayerTime,
    ModelInfo,
    ModelState,
    ProfileRequest,
)
from contract.manifest import Preprocessing, Score
from contract.tensors import Signature, TensorSpec

_ROW = re.compile(r"^``(?P<method>[A-Z]+) (?P<path>/\S+?)(?:\?(?P<query>\S+))?``\s+(?P<says>.+)$", re.MULTILINE)


def documented() -> dict[tuple[str, str], tuple[set[str], str]]:
    """(method, path without its variables' names) -> (query parameters, the rest of the row)."""
    assert api.__doc__
    rows = {}
    for row in _ROW.finditer(api.__doc__):
        path = re.sub(r"\b[A-Z]+[0-9]*\b", "*", row["path"])
        rows[row["method"], path] = (
            {part.split("=")[0] for part in (row["query"] or "").split("&") if part},
            row["says"],
        )
    return rows


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], APIRoute]:
    service = bundles.service(tmp_path_factory.mktemp("agent"))
    routes = {}
    for route in management.routes(service).routes:
        assert isinstance(route, APIRoute)
        for method in route.methods:
            routes[method, re.sub(r"\{\w+\}", "*", route.path)] = route
    service.repository.close()
    return routes


def test_the_table_lists_what_is_served(served: dict[tuple[str, str], APIRoute]) -> None:
    beside = {("GET", "/health/live"), ("GET", "/health/ready"), ("GET", "/stats")}
    assert set(documented()) == set(served) - beside


def test_the_table_has_the_parameters(served: dict[tuple[str, str], APIRoute]) -> None:
    for key, (query, _) in documented().items():
        assert query == {parameter.name for parameter in served[key].dependant.query_params}, key


def test_the_table_has_requests_replies_and_statuses(served: dict[tuple[str, str], APIRoute]) -> None:
    for key, (_, says) in documented().items():
        first_sentence = says.split(";")[0]  # after it: what is in the result of a job
        assert set(re.findall(r"`([A-Z]\w+)`", first_sentence)) == models_of(served[key]), key
        status = re.search(r"\b20\d\b", says)
        assert served[key].status_code == (int(status[0]) if status else None), key


def models_of(route: APIRoute) -> set[str]:
    """Names of the contract models that a route takes and gives."""
    given = typing.get_type_hints(route.endpoint).get("return")
    taken = [field.field_info.annotation for field in route.dependant.body_params]
    kinds = [kind for top in (given, *taken) for kind in (top, *typing.get_args(top))]
    return {kind.__name__ for kind in kinds if inspect.isclass(kind) and issubclass(kind, BaseModel)}


SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 3, 8, 8)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=(1, 3, 8, 8)),),
)
INFO = ModelInfo(
    name="capsule",
    bundle="a" * 64,
    previous=None,
    state=ModelState.BACKOFF,
    reason="the worker crashed (SIGSEGV)",
    runtime="ort",
    source_name="capsule.onnx",
    precision="fp32",
    signature=SIGNATURE,
    rate=0.99,
    preprocessing=Preprocessing(height=8, width=8),
    score=Score(threshold=None),
    temporary=True,
)
JOB = Job(
    id="0123456789ab",
    kind="activate",
    model="capsule",
    state=JobState.DONE,
    revision=7,
    stage="done",
    activation=Activation(
        model="capsule",
        bundle="a" * 64,
        previous="b" * 64,
        sqnr_db=None,
        tolerance_db=60,
        golden_count=8,
        golden_source="images",
        load_s=0.5,
        outage_s=0,
        build=Build(
            key="0" * 32,
            reason="precision is fp16, it was fp32",
            build_s=312.5,
            engine_bytes=1 << 20,
            build_peak_bytes=None,
            runtime_version="8.2.1.9",
            architecture="sm_53",
            unmet={"build_peak_bytes": "no VmHWM"},
        ),
    ),
    lines=("Layer(s) without a name", "Done."),
    line_count=700,
)
PROFILED = Job(
    id="0123456789ac",
    kind="profile",
    model="capsule",
    state=JobState.DONE,
    revision=3,
    stage="done",
    layer_profile=LayerProfile(
        model="capsule",
        bundle="a" * 64,
        runs=100,
        layers=(LayerTime(name="conv + relu", mean_ms=0.5), LayerTime(name="copy", mean_ms=0)),
        runtime="trt",
        runtime_version="10.3.0",
    ),
)
FAILED = JOB.model_copy(
    update={"state": JobState.FAILED, "activation": None, "error": ErrorReply(error="e", code="c", hint="h")}
)


@pytest.mark.parametrize(
    "model",
    [
        INFO,
        JOB,
        PROFILED,
        FAILED,
        BenchRequest(model="capsule", inputs=("c" * 64,), interrupt=True),
        ProfileRequest(model="capsule", runs=7, interrupt=True),
        ActivateRequest(bundle="a" * 64, temporary=True, stop_others=True),
    ],
)
def test_a_model_is_itself_after_a_journey(model: BaseModel) -> None:
    assert type(model).model_validate_json(model.model_dump_json()) == model


def test_a_newer_agent_may_say_more() -> None:
    said = INFO.model_dump(mode="json") | {"mood": "good"}
    assert TypeAdapter(list[ModelInfo]).validate_python([said]) == [INFO]


def test_an_agent_from_before_says_less() -> None:
    said = INFO.model_dump(mode="json", exclude={"rate", "temporary"})
    assert ModelInfo.model_validate(said) == INFO.model_copy(update={"rate": None, "temporary": False})


def test_an_agent_from_before_builds_nothing_and_profiles_nothing() -> None:
    said = JOB.model_dump(mode="json", exclude={"lines", "line_count", "layer_profile"})
    said["activation"].pop("build")
    job = Job.model_validate(said)
    assert (job.lines, job.line_count, job.layer_profile) == ((), 0, None)
    assert job.activation
    assert job.activation.build is None


@pytest.mark.parametrize("state", JobState)
def test_which_jobs_are_over(state: JobState) -> None:
    over = state in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}
    assert JOB.model_copy(update={"state": state}).is_over is over


@pytest.mark.parametrize(
    "wrong",
    [
        {"runs": 1},
        {"runs": MAX_RUNS + 1},
        {"runs": 1.5},
        {"runs": "many"},
        {"model": "../m"},
        {"inputs": ["c" * 64] * (MAX_BENCH_INPUTS + 1)},
        {"inputs": ["c" * 63]},
        {"trials": 3},
    ],
)
def test_no_bench(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        BenchRequest.model_validate({"model": "m", **wrong})
    assert next(iter(wrong)) in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"runs": 0}, {"runs": MAX_PROFILE_RUNS + 1}, {"runs": 1.5}, {"model": "../m"}, {"inputs": []}, {"trials": 3}],
)
def test_no_profile(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        ProfileRequest.model_validate({"model": "m", **wrong})
    assert next(iter(wrong)) in str(caught.value)
