import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator

import bundles
import httpx
import live
import pytest

from agent.errors import BoardHeldError
from contract.api import BenchRequest, Job, JobState, ProfileRequest, UploadStatus
from contract.manifest import FileEntry
from host import client as client_module
from host import transport
from host.client import AgentClient
from host.errors import BoardError, BusyError, DoesNotRunError, UnreachableError
from host.interrupts import Terminated, listening

Bytes = tuple[int, int]
CONTENT = bytes(range(256)) * 4096  # 1 MiB: four chunks
ENTRY = FileEntry(sha256=hashlib.sha256(CONTENT).hexdigest(), size_bytes=len(CONTENT))


@pytest.fixture(autouse=True)
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries."""
    for module in (client_module, transport):
        monkeypatch.setattr(module, "RETRY_S", 0.01)


@pytest.fixture
def model(agent: live.Agent) -> str:
    """A model that echoes four numbers."""
    if "echo" not in agent.service.dataplane.models:
        agent.activate(bundles.null(), "echo")
    return "echo"


def nobody(_job: Job) -> None: ...


def push(client: AgentClient, bundle: bundles.Bundle) -> str:
    contents = {hashlib.sha256(content).hexdigest(): content for content in bundle.files.values()}
    for entry in client.offer(bundle.manifest).missing:
        client.upload(entry, contents[entry.sha256], lambda _done, _total: None)
    assert client.offer(bundle.manifest).missing == ()
    return bundle.id


class CutTransport(httpx.HTTPTransport):
    """To a real agent, through a line that is cut: each of `cuts` says of a request to its path what happens to it."""

    def __init__(self, cuts: list[tuple[str, str, int]]) -> None:
        super().__init__()
        self._cuts = cuts
        self.sent: list[tuple[str, str, int]] = []
        self.bodies: dict[tuple[str, str], bytes] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        cut = next((cut for cut in self._cuts if (cut[0], True) == (request.method, cut[1] in request.url.path)), None)
        if cut is None:
            content = request.read()
            self.bodies[request.method, request.url.path] = content
            self.sent.append((request.method, str(request.url.params), len(content)))
            return super().handle_request(
                httpx.Request(request.method, request.url, headers=request.headers, content=content)
            )
        self._cuts.remove(cut)
        return self._handle_cut(request, cut[2])

    def _handle_cut(self, request: httpx.Request, after_bytes: int) -> httpx.Response:
        """The request's first bytes arrive, and its connection breaks."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        stream = iter(request.stream)

        def some() -> Iterator[bytes]:
            passed = 0
            for chunk in stream:
                yield chunk[: after_bytes - passed]
                passed += len(chunk)
                if passed >= after_bytes:
                    raise httpx.WriteError("cut")

        broken = httpx.Request(request.method, request.url, headers=request.headers, content=some())
        self.sent.append((request.method, str(request.url.params), after_bytes))
        return super().handle_request(broken)


Through = Callable[..., tuple[AgentClient, CutTransport]]


@pytest.fixture
def through(agent: live.Agent) -> Iterator[Through]:
    """A client through a line that is cut."""
    opened: list[httpx.Client] = []

    def connect(*cuts: tuple[str, str, int]) -> tuple[AgentClient, CutTransport]:
        line = CutTransport(list(cuts))
        headers = {"Authorization": f"Bearer {live.TOKEN}"}
        opened.append(
            httpx.Client(transport=line, base_url=f"http://127.0.0.1:{agent.port}", headers=headers, timeout=10)
        )
        return AgentClient(opened[-1], "board"), line

    yield connect
    for http in opened:
        http.close()


def test_a_push_a_deploy_a_question_and_an_end(client: AgentClient) -> None:
    bundle = bundles.null()
    job = client.wait(client.activate("mine", push(client, bundle)), nobody)
    assert job.activation is not None
    assert (job.activation.bundle, job.activation.sqnr_db) == (bundle.id, None)
    [info] = [info for info in client.models() if info.name == "mine"]
    assert info.bundle == bundle.id
    assert client.environment("mine").runtime == "null"
    content = bytes(range(16))
    reply = client.infer("mine", content)
    assert (reply.body, reply.media_type) == (content, "application/octet-stream")
    assert client.infer("mine", content, accept="application/json").json()["outputs"][0]["name"] == "x_out"
    client.remove("mine")
    assert "mine" not in [info.name for info in client.models()]


def test_what_asks_for_nothing_is_not_said_as_an_agent_from_before_would_refuse_it(
    client: AgentClient, through: Through
) -> None:
    bundle = push(client, bundles.null())
    saying, line = through()
    asked: list[dict[str, bool]] = [{}, {"temporary": True}, {"temporary": True, "stop_others": True}]
    for options in reversed(asked):
        saying.wait(saying.activate("little", bundle, **options), nobody)
        assert json.loads(line.bodies["PUT", "/v1/models/little"]) == {"bundle": bundle, **options}
    client.remove("little")


def test_a_profile(client: AgentClient, through: Through) -> None:
    client.wait(client.activate("profiled", push(client, bundles.null())), nobody)
    saying, line = through()
    request = ProfileRequest(model="profiled", runs=7, interrupt=True)
    job = saying.finish(lambda: saying.profile_layers(request), nobody)
    assert json.loads(line.bodies["POST", "/v1/profiles"]) == request.model_dump(mode="json")
    assert job.layer_profile
    assert [layer.name for layer in job.layer_profile.layers] == ["copy to x_out"]
    client.remove("profiled")


def test_an_agent_from_before_refuses_what_it_does_not_know() -> None:
    """As `Contract` does; the agent of this version has been told of everything that this host can say."""
    refusal = {"error": "body.temporary: Extra inputs are not permitted", "code": "invalid_request", "hint": "-"}
    transport = httpx.MockTransport(lambda _request: httpx.Response(422, json=refusal))
    with AgentClient(httpx.Client(transport=transport, base_url="http://10.0.0.1"), "line-3") as client:
        for ask in (
            lambda: client.activate("m", "a" * 64, temporary=True),
            lambda: client.activate("m", "a" * 64, stop_others=True),
            lambda: client.bench(BenchRequest(model="m")),
            lambda: client.offer(bundles.null().manifest),
        ):
            with pytest.raises(BoardError, match=r"^the agent of 'line-3' does not understand this host") as raised:
                ask()
            assert "body.temporary: Extra inputs" in raised.value.message
            assert (raised.value.hint, raised.value.code) == ("install the same boardfit on both", "invalid_request")


def test_a_file_the_agent_has_is_not_sent_again(through: Through) -> None:
    content = b"once" * 1000
    entry = FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    client, line = through()
    told: list[Bytes] = []
    for _ in range(2):
        client.upload(entry, content, lambda done, total: told.append((done, total)))
    assert [method for method, _, _ in line.sent] == ["GET", "PUT", "GET", "GET"]
    assert told == [(0, 4000), (4000, 4000), (4000, 4000)]


def test_an_empty_file(client: AgentClient) -> None:
    empty = FileEntry(sha256=hashlib.sha256(b"").hexdigest(), size_bytes=0)
    client.upload(empty, b"", lambda _done, _total: None)


def test_a_cut_upload_goes_on_where_it_was(through: Through) -> None:
    client, line = through(("PUT", "/v1/blobs", 600_000))
    told: list[Bytes] = []
    client.upload(ENTRY, CONTENT, lambda done, total: told.append((done, total)))
    puts = [(query, sent) for method, query, sent in line.sent if method == "PUT"]
    assert puts[0] == (f"size={len(CONTENT)}&offset=0", 600_000)
    assert puts[-1] == (f"size={len(CONTENT)}&offset=600000", len(CONTENT) - 600_000)
    assert told[-1] == (len(CONTENT), len(CONTENT))


class Scripted:
    """An agent that takes files in a way of its own: what it answers to each PUT, the last answer for ever."""

    def __init__(self, *answers: int | str) -> None:
        self._answers = list(answers)
        self.received = 0
        self.puts = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            self.puts += 1
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if answer == "cut":
                raise httpx.WriteError("cut")
            if isinstance(answer, str):
                return httpx.Response(409, json={"error": "no", "code": answer, "hint": "no"})
            self.received += answer
        status = UploadStatus(sha256=ENTRY.sha256, received_bytes=self.received, complete=self.received >= len(CONTENT))
        return httpx.Response(200, content=status.model_dump_json())

    def client(self) -> AgentClient:
        return AgentClient(httpx.Client(transport=httpx.MockTransport(self), base_url="http://a"), "line-3")

    def upload(self) -> None:
        self.client().upload(ENTRY, CONTENT, lambda _done, _total: None)


def test_an_upload_that_gets_nowhere_is_given_up() -> None:
    scripted = Scripted("cut")
    with pytest.raises(UnreachableError):
        scripted.upload()
    assert scripted.puts == client_module.UPLOAD_TRIES


def test_as_long_as_bytes_arrive_it_goes_on() -> None:
    scripted = Scripted(*[answer for _ in range(9) for answer in ("cut", "cut", 100_000)], len(CONTENT))
    scripted.upload()
    assert scripted.puts == 28


@pytest.mark.parametrize("code", ["upload_conflict", "corrupt_upload"])
def test_what_another_try_may_mend_is_tried_again(code: str) -> None:
    scripted = Scripted(code, len(CONTENT))
    scripted.upload()
    assert scripted.puts == 2
    scripted = Scripted(code)
    with pytest.raises(BoardError):
        scripted.upload()
    assert scripted.puts == client_module.UPLOAD_TRIES


def test_what_it_may_not_is_told_at_once() -> None:
    scripted = Scripted("disk_full")
    with pytest.raises(BoardError) as raised:
        scripted.upload()
    assert (raised.value.code, scripted.puts) == ("disk_full", 1)


def test_an_agent_that_takes_nothing_and_says_nothing() -> None:
    scripted = Scripted(0)
    with pytest.raises(BoardError, match=f"has 0 of {len(CONTENT)} bytes of {ENTRY.sha256}, and takes no more"):
        scripted.upload()


def test_bytes_that_arrive_damaged(through: Through, agent: live.Agent) -> None:
    entry = FileEntry(sha256=hashlib.sha256(b"right").hexdigest(), size_bytes=5)
    client, line = through()
    with pytest.raises(BoardError) as raised:
        client.upload(entry, b"wrong", lambda _done, _total: None)
    assert raised.value.code == "corrupt_upload"
    assert len([put for put in line.sent if put[0] == "PUT"]) == client_module.UPLOAD_TRIES
    assert not agent.service.repository.blobs.has(entry.sha256)


def test_a_bench_and_its_samples(client: AgentClient, model: str) -> None:
    stages: list[str] = []
    job = client.finish(lambda: client.bench(BenchRequest(model=model, runs=5)), lambda job: stages.append(job.stage))
    assert job.state is JobState.DONE
    assert job.measurement is not None
    assert len(client.samples_ns(job)) == 5 * 8
    assert stages


def test_a_cut_while_a_job_runs_does_not_lose_it(through: Through, model: str) -> None:
    cuts = [("GET", "/v1/jobs", 0)] * 2 + [("GET", "/samples", 0)]
    client, line = through(*cuts)
    stages: list[str] = []
    request = BenchRequest(model=model, runs=5, interrupt=True)
    job = client.finish(lambda: client.bench(request), lambda job: stages.append(job.stage))
    assert len(client.samples_ns(job)) == 5 * 8
    assert stages.count("does not answer, asking again") == 2
    assert not line._cuts


def test_an_agent_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CUT_PATIENCE_S", 0.05)

    def fail(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] Connection refused")

    client = AgentClient(httpx.Client(transport=httpx.MockTransport(fail), base_url="http://a"), "line-3")
    with pytest.raises(UnreachableError):
        client.wait(running(), nobody)


def running(**changes: object) -> Job:
    job = Job(id="j1", kind="bench", model="capsules", state=JobState.RUNNING, revision=3, stage="running")
    return job.model_copy(update=changes)


def asked(answer: Callable[[httpx.Request], httpx.Response]) -> AgentClient:
    return AgentClient(httpx.Client(transport=httpx.MockTransport(answer), base_url="http://a"), "line-3")


def test_a_job_that_an_agent_started_anew_does_not_know() -> None:
    told = {"error": "there is no job 'j1'", "code": "unknown_job", "hint": "-"}
    with pytest.raises(BoardError, match="'line-3' was started anew meanwhile: the bench of 'capsules' is lost"):
        asked(lambda _request: httpx.Response(404, json=told)).wait(running(), nobody)


@pytest.mark.parametrize(("code", "kind"), [("load_failed", DoesNotRunError), ("disk_full", BoardError)])
def test_a_job_that_fails(code: str, kind: type[BoardError]) -> None:
    failed = running(state=JobState.FAILED).model_dump(mode="json")
    failed["error"] = {"error": "it says why", "code": code, "hint": "and what to do"}
    with pytest.raises(BoardError, match="it says why") as raised:
        asked(lambda _request: httpx.Response(200, json=failed)).wait(running(), nobody)
    assert type(raised.value) is kind
    assert (raised.value.code, raised.value.hint) == (code, "and what to do")


def test_a_job_that_somebody_else_cancelled() -> None:
    cancelled = running(state=JobState.CANCELLED).model_dump_json()
    with pytest.raises(BoardError, match="the bench of 'capsules' was cancelled, on the board or by another") as raised:
        asked(lambda _request: httpx.Response(200, content=cancelled)).wait(running(), nobody)
    assert raised.value.code == "cancelled"


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_interrupted_job_is_cancelled_and_waited_for(
    client: AgentClient, agent: live.Agent, number: signal.Signals, kind: type[BaseException]
) -> None:
    agent.activate(bundles.null(delay_ms=20), "slow")
    jobs: list[Job] = []

    def interrupt(job: Job) -> None:
        jobs.append(job)
        if job.stage == "running":
            os.kill(os.getpid(), number)

    with pytest.raises(kind), listening():
        client.finish(lambda: client.bench(BenchRequest(model="slow", runs=1000, interrupt=True)), interrupt)
    assert jobs[-1].stage == "cancelled, putting things back"
    assert agent.service.jobs.get(jobs[-1].id).state.state is JobState.CANCELLED
    assert client.stats().held_by is None


def test_interrupted_while_it_is_being_started_it_is_cancelled_too(client: AgentClient, agent: live.Agent) -> None:
    """The moment in which the board has the job, and nobody here knows its id."""
    agent.activate(bundles.null(delay_ms=20), "slow")
    started: list[Job] = []

    def start() -> Job:
        os.kill(os.getpid(), signal.SIGINT)
        started.append(client.bench(BenchRequest(model="slow", runs=1000, interrupt=True)))
        return started[0]

    with pytest.raises(KeyboardInterrupt):
        client.finish(start, nobody)
    assert agent.service.jobs.get(started[0].id).state.state is JobState.CANCELLED


def test_interrupted_while_the_board_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CANCEL_PATIENCE_S", 0.05)

    def fail(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            raise KeyboardInterrupt
        raise httpx.ConnectError("gone")

    with pytest.raises(KeyboardInterrupt):
        asked(fail).wait(running(), nobody)


def busy(code: str = "board_held", after_s: int = 0, times: int = 1000) -> tuple[AgentClient, list[int]]:
    asked_at: list[int] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        asked_at.append(len(asked_at))
        if len(asked_at) > times:
            return httpx.Response(200, content=b"at last")
        told = {"error": "the board is held by a bench", "code": code, "hint": "-"}
        return httpx.Response(503, json=told, headers={"Retry-After": str(after_s)})

    return asked(answer), asked_at


@pytest.mark.parametrize("code", ["board_held", "queue_full", "model_not_ready", "agent_ending"])
def test_a_busy_board_is_asked_again(code: str) -> None:
    client, asked_at = busy(code, times=2)
    told: list[str] = []
    assert client.patiently(lambda: client.infer("m", b""), told.append).body == b"at last"
    assert len(asked_at) == 3
    assert told == ["line-3: the board is held by a bench; waiting"] * 2


def test_a_board_that_stays_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BUSY_PATIENCE_S", 0.05)
    client, asked_at = busy()
    with pytest.raises(BusyError):
        client.patiently(lambda: client.infer("m", b""), lambda _text: None)
    assert len(asked_at) > 1


def test_a_wait_beyond_all_patience_is_not_begun() -> None:
    client, asked_at = busy(after_s=3600)
    with pytest.raises(BusyError):
        client.patiently(lambda: client.infer("m", b""), lambda _text: None)
    assert len(asked_at) == 1


def test_without_patience_it_is_told_at_once() -> None:
    client, asked_at = busy()
    with pytest.raises(BusyError):
        client.infer("m", b"")
    assert len(asked_at) == 1


def test_requests_of_others_wait_for_a_bench(
    client: AgentClient, agent: live.Agent, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a real one: refused while the board is held, answered once it is free."""
    monkeypatch.setattr(BoardHeldError, "retry_after_s", 0)
    agent.activate(bundles.null(delay_ms=5), "slow")
    held, answers = threading.Event(), []

    def ask() -> None:
        held.wait(10)
        with AgentClient.connect("board", f"http://127.0.0.1:{agent.port}", live.TOKEN) as other:
            answers.append(other.patiently(lambda: other.infer(model, bytes(16)), waits.append))

    waits: list[str] = []
    asking = threading.Thread(target=ask)
    asking.start()
    client.finish(
        lambda: client.bench(BenchRequest(model="slow", runs=40, interrupt=True)),
        lambda job: held.set() if job.stage == "running" else None,
    )
    asking.join()
    assert answers[0].body == bytes(16)
    assert "a bench of 'slow'" in waits[0]
