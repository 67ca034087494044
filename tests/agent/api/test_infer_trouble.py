"""POST /infer where the worker does not do well, or the client does not: every slot comes back."""

import json
import re
from collections.abc import Callable, Iterator

import bundles
import live
import pytest
from live import Agent, assert_error, eventually

RAW, NPY, JSON = "application/octet-stream", "application/x-npy", "application/json"
CONTENT = bytes(range(16))

Start = Callable[..., Agent]


class TestWorkers:
    """What a request gets whose worker does not do well; the model is back afterwards."""

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ({"fail_on_run": 3}, 502, "run_failed"),
            ({"crash_on_run": 3}, 502, "worker_crashed"),
            ({"kill_on_run": 3}, 502, "worker_crashed"),
            ({"hang_on_run": 3}, 504, "worker_timeout"),
        ],
    )
    def test_its_own_error(self, start: Start, fault: dict[str, int], status: int, code: str) -> None:
        agent = start(request_timeout_s=0.5)
        agent.activate(bundles.null(cases=2, **fault), "m")
        assert_error(agent.infer(CONTENT, RAW), status, code)
        assert agent.service.dataplane.models["m"].failures == 1
        eventually(lambda: agent.infer(CONTENT, RAW).status_code == 200)

    def test_a_model_that_has_failed(self, start: Start) -> None:
        agent = start()
        agent.activate(bundles.null(), "m")
        agent.run(agent.service.dataplane.models["m"].supervisor.stop())
        response = agent.infer(CONTENT, RAW)
        assert_error(response, 503, "model_not_ready")
        assert int(response.headers["retry-after"]) > 0
        assert agent.service.dataplane.models["m"].rejected == 1

    def test_the_board_is_held(self, start: Start) -> None:
        agent = start()
        agent.activate(bundles.null(), "m")
        agent.service.dataplane.board.held_by = "a bench of 'm'"
        response = agent.infer(CONTENT, RAW)
        assert "a bench of 'm'" in assert_error(response, 503, "board_held")["error"]
        assert int(response.headers["retry-after"]) > 0


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """One place in the queue, and little time for a body."""
    with live.listening(tmp_path_factory.mktemp("agent"), body_deadline_s=0.3, queue_length=1) as agent:
        agent.activate(bundles.null(delay_ms=100), "m")
        yield agent


class TestSlowClients:
    HEAD = b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 16\r\n\r\n"

    @pytest.fixture
    def agent(self, impatient: Agent) -> Agent:
        return impatient

    @pytest.mark.parametrize("media_type", [RAW, NPY, JSON])
    def test_one_that_stops_half_way(self, agent: Agent, media_type: str) -> None:
        with agent.connect() as connection:
            connection.sendall(self.HEAD % media_type.encode() + bytes(7))
            eventually(lambda: agent.in_flight("m"))
            busy = agent.infer(CONTENT, RAW)
            assert_error(busy, 503, "queue_full")
            assert int(busy.headers["retry-after"]) > 0
            reply = live.everything(connection)
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert json.loads(reply.partition(b"\r\n\r\n")[2])["code"] == "body_timeout"
        assert agent.infer(CONTENT, RAW).status_code == 200

    def test_one_that_sends_byte_by_byte(self, agent: Agent) -> None:
        """Each byte is progress, and the whole still has its deadline."""
        with agent.connect() as connection:
            connection.sendall(self.HEAD % RAW.encode())
            connection.settimeout(0.05)
            reply = b""
            for _ in range(14):
                connection.sendall(b"\0")
                try:
                    reply = connection.recv(1 << 16)
                    break
                except TimeoutError:
                    continue
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert agent.infer(CONTENT, RAW).status_code == 200

    @pytest.mark.parametrize("sent", [0, 7])
    def test_one_that_leaves_in_the_middle(self, agent: Agent, sent: int, caplog: pytest.LogCaptureFixture) -> None:
        with agent.connect() as connection:
            connection.sendall(self.HEAD % RAW.encode() + bytes(sent))
            eventually(lambda: agent.in_flight("m"))
        eventually(lambda: not agent.in_flight("m"))
        assert agent.infer(CONTENT, RAW).status_code == 200
        assert [record for record in caplog.records if record.levelname != "INFO"] == []

    def test_one_that_leaves_before_the_reply(self, agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
        with agent.connect() as connection:
            connection.sendall(self.HEAD % RAW.encode() + bytes(16))
            eventually(lambda: agent.in_flight("m"))
        eventually(lambda: not agent.in_flight("m"))
        assert agent.infer(CONTENT, RAW).status_code == 200
        assert [record for record in caplog.records if record.levelname != "INFO"] == []

    def test_a_connection_is_good_for_the_next_request_after_an_error(self, agent: Agent) -> None:
        """The rest of a body that was refused half-way is not taken for a request."""
        with agent.connect() as connection:
            wrong = b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: 3000000\r\n\r\n"
            connection.sendall(
                wrong % RAW.encode() + b"GET / HTTP/1.1\r\n\r\n" * (3_000_000 // 18) + bytes(3_000_000 % 18)
            )
            connection.sendall(
                self.HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") % RAW.encode() + CONTENT
            )
            reply = live.everything(connection)
        assert re.findall(rb"HTTP/1.1 (\d+) ", reply) == [b"400", b"200"]
