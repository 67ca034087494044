"""The whole chain on a board, tried with small models."""

import io
import json
from pathlib import Path
from typing import Any

import bundles
import httpx
import live
import pytest
from rich.console import Console
from told import Told

from contract.api import RuntimeInfo
from contract.profile import read_profile
from host import verifying
from host.bundle import Bundle
from host.client import AgentClient
from host.errors import BoardError, DoesNotRunError, HostError, InputError, UnreachableError
from host.report.checks import checks_as_json, checks_table
from host.verifying import RUNS, Check, verify

DESKTOP = read_profile("desktop")
SPECIMENS = ("transposed", "resized", "classifier")
PARTS = ("loaded and proven", f"{RUNS} runs in a fresh worker", "deployed again")


def tried(checks: list[Check]) -> list[tuple[str, str, bool]]:
    return [(check.subject, check.what, check.failure is None) for check in checks]


CHAIN = [("board", "answers", True), ("board", "has ort", True)]


def test_a_board_where_all_is_well(client: AgentClient, agent: live.Agent) -> None:
    agent.activate(bundles.null(), "mine")
    agent.client.get("/stats")
    before, told = client.models(), Told()
    checks = verify(client, DESKTOP, told)
    assert tried(checks) == CHAIN + [(name, part, True) for name in SPECIMENS for part in PARTS]
    assert checks[0].detail.startswith("boardfit ")
    assert checks[0].detail.endswith(", profile desktop")
    assert " of /" in checks[1].detail
    assert checks[2].detail.endswith(" to ONNX Runtime")
    assert checks[3].detail.startswith("mean ")
    assert client.models() == before  # what it serves is left as it is, and nothing of ours stays
    assert "board: running" in told.stages
    agent.run(agent.service.activator.remove("mine"))


def test_what_is_built_is_kept_for_the_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bundles.null().to_build()
    monkeypatch.setattr(verifying, "make", lambda *_: Bundle(made.manifest, made.files))
    facts = bundles.BUILDS.model_copy(update={"alone": True})
    profile = DESKTOP.model_copy(update={"runtime": "null", "build": facts})
    with live.listening(tmp_path, token=live.TOKEN, runtime="null", build=facts) as agent:
        agent.activate(bundles.null(), "mine")
        with AgentClient.connect("nano", f"http://127.0.0.1:{agent.port}", live.TOKEN) as client:
            asked = verify(client, profile, Told())
            checks = verify(client, profile, Told(), stop_others=True)
    assert [check.failure and check.failure.code for check in asked[2:]] == ["build_needs_board"] * 3
    assert [(check.what, check.failure) for check in checks[2:5]] == [
        ("built and proven", None),
        (PARTS[1], None),
        (PARTS[2], None),
    ]
    assert checks[2].detail.startswith("built in ")
    assert checks[2].detail.endswith(" s, no difference to ONNX Runtime")
    assert checks[4].detail == "engine kept, no difference to ONNX Runtime"


class Without(AgentClient):
    """A board whose Pythons offer other runtimes than ours."""

    offered: tuple[RuntimeInfo, ...] = ()

    def agent(self) -> Any:
        return super().agent().model_copy(update={"runtimes": self.offered})


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        ((), "no Python was asked"),
        ((RuntimeInfo(key="null", python="/p", version="1"),), "no Python was asked"),
        (
            (
                RuntimeInfo(key="ort", python="/usr/bin/python3", unavailable="no numpy"),
                RuntimeInfo(key="ort", python="/opt/python3", unavailable="no onnxruntime"),
            ),
            "/usr/bin/python3: no numpy; /opt/python3: no onnxruntime",
        ),
    ],
)
def test_without_the_runtime_nothing_more_is_tried(
    agent: live.Agent, offered: tuple[RuntimeInfo, ...], reason: str
) -> None:
    with Without.connect("board", f"http://127.0.0.1:{agent.port}", live.TOKEN) as client:
        assert isinstance(client, Without)
        client.offered = offered
        checks = verify(client, DESKTOP, Told())
    assert tried(checks) == [CHAIN[0], ("board", "has ort", False)]
    assert checks[1].detail == reason
    failure = checks[1].failure
    assert failure
    assert (failure.code, failure.exit_code) == ("runtime_missing", BoardError.exit_code)
    assert "deploy/README.md" in failure.hint
    assert ("\n  sudo apt install python3-numpy\n" in failure.hint) == ("no numpy" in reason)


def test_a_compiler_is_for_an_accelerator(client: AgentClient) -> None:
    with pytest.raises(InputError, match="has no accelerator that --docker is about"):
        verify(client, DESKTOP, Told(), docker=True)


@pytest.mark.parametrize(
    ("faults", "passed", "code"),
    [
        ({"golden": "wrong"}, (), "golden_mismatch"),
        ({"crash_on_load": True}, (), "worker_crashed"),
        ({"fail_on_run": 50}, PARTS[:1], "run_failed"),
    ],
)
def test_one_that_fails_is_told_and_the_others_go_on(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch, faults: dict[str, Any], passed: tuple[str, ...], code: str
) -> None:
    make = verifying.make

    def sabotaged(request: Any, *rest: Any) -> Bundle:
        if request.model.stem != "resized":
            return make(request, *rest)
        made = bundles.null(**faults)
        return Bundle(made.manifest, made.files)

    monkeypatch.setattr(verifying, "make", sabotaged)
    checks = verify(client, DESKTOP, Told())
    assert tried(checks) == [
        *CHAIN,
        *(("transposed", part, True) for part in PARTS),
        *(("resized", part, True) for part in passed),
        ("resized", "the chain", False),
        *(("classifier", part, True) for part in PARTS),
    ]
    [failure] = [check.failure for check in checks if check.failure]
    assert isinstance(failure, DoesNotRunError)
    assert failure.code == code
    assert client.models() == []


def test_a_bug_is_none_of_the_boards_failures(client: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Bundle:
        raise ZeroDivisionError

    monkeypatch.setattr(verifying, "make", broken)
    with pytest.raises(ZeroDivisionError):
        verify(client, DESKTOP, Told())


def test_a_board_that_does_not_answer_is_no_list() -> None:
    nobody = httpx.Client(base_url="http://127.0.0.1:1", trust_env=False)
    with AgentClient(nobody, "gone") as client, pytest.raises(UnreachableError):
        verify(client, DESKTOP, Told())


FAILURE = BoardError("resized.onnx does not run: [red]no Resize", "update the board's system", "model_refused")
CHECKS = [
    Check("nano", "answers", "boardfit 0.1.0, profile jetson-nano"),
    Check("resized", "the chain", FAILURE.message, FAILURE),
    Check("classifier", "the chain", "the same", HostError("the same", FAILURE.hint, "other")),
]


def shown(checks: list[Check]) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80).print(checks_table(checks))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    return "\n".join(" ".join(line.split()) for line in lines)


def test_the_table_says_what_passed_and_each_hint_once() -> None:
    text = shown(CHECKS)
    assert "nano answers yes boardfit 0.1.0, profile jetson-nano" in text
    assert "resized the chain no" in text
    assert "[red]no Resize" in text
    assert "2 of 3 checks failed" in text
    assert text.count("hint: update the board's system") == 1
    assert shown([CHECKS[0], CHECKS[0]]).endswith("all 2 checks passed")


def test_for_programs() -> None:
    told = json.loads(checks_as_json(CHECKS[:2]))
    assert told == [
        {
            "subject": "nano",
            "what": "answers",
            "passed": True,
            "detail": "boardfit 0.1.0, profile jetson-nano",
            "code": None,
            "hint": None,
        },
        {
            "subject": "resized",
            "what": "the chain",
            "passed": False,
            "detail": FAILURE.message,
            "code": "model_refused",
            "hint": FAILURE.hint,
        },
    ]
