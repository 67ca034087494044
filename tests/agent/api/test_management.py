"""The management API over a real socket: deploys, jobs, and what the agent says of itself."""

from collections.abc import Callable
from typing import Any

import bundles
import httpx
import live
import numpy as np
import pytest
from live import Agent, assert_error, eventually

from contract.api import AgentInfo, BundleStatus, Job, JobState, ModelInfo, ModelState, Stats, Telemetry
from contract.manifest import Score
from contract.results import Environment
from contract.version import API_VERSION

Start = Callable[..., Agent]
DIGEST = "0" * 64
JSON = {"Content-Type": "application/json"}


def offer(agent: Agent, bundle: bundles.Bundle) -> BundleStatus:
    response = agent.client.post("/v1/bundles", content=bundle.manifest.canonical_json(), headers=JSON)
    return BundleStatus.model_validate_json(response.raise_for_status().content)


def over(agent: Agent, response: httpx.Response) -> Job:
    """The job it tells of, once it is over."""
    assert response.status_code == 202, response.text
    job = Job.model_validate_json(response.content)
    while not job.is_over:
        response = agent.client.get(f"/v1/jobs/{job.id}", params={"wait_s": 10, "seen": job.revision})
        job = Job.model_validate_json(response.content)
    return job


def activate(agent: Agent, name: str, bundle: str, **options: object) -> httpx.Response:
    return agent.client.put(f"/v1/models/{name}", json={"bundle": bundle, **options})


def models(agent: Agent) -> dict[str, ModelInfo]:
    return {info["name"]: ModelInfo.model_validate(info) for info in agent.client.get("/v1/models").json()}


class TestDeploying:
    def test_from_an_offer_to_a_roll_back(self, start: Start) -> None:
        agent = start()
        first, second = bundles.null(source_name="first"), bundles.null(source_name="second")
        assert {*offer(agent, first).missing} == {*first.manifest.files.values()}
        job = over(agent, activate(agent, "m", live.push(agent.client, first)))
        assert job.activation
        assert (job.state, job.activation.bundle, job.activation.previous) == (JobState.DONE, first.id, None)
        assert offer(agent, first).missing == ()

        assert offer(agent, second).missing == ()  # it has the same files
        assert over(agent, activate(agent, "m", second.id)).state is JobState.DONE
        told = models(agent)["m"]
        assert (told.bundle, told.previous, told.state, told.source_name) == (
            second.id,
            first.id,
            ModelState.READY,
            "second",
        )
        assert over(agent, agent.client.post("/v1/models/m/rollback")).state is JobState.DONE
        assert models(agent)["m"].bundle == first.id
        assert agent.infer(bytes(16), "application/octet-stream").status_code == 200

        assert agent.client.delete("/v1/models/m").status_code == 204
        assert models(agent) == {}
        assert_error(agent.client.delete("/v1/models/m"), 404, "unknown_model")

    def test_one_that_does_not_prove_itself(self, start: Start) -> None:
        agent = start()
        job = over(agent, activate(agent, "m", live.push(agent.client, bundles.null(golden="wrong"))))
        assert job.error
        assert (job.state, job.error.code) == (JobState.FAILED, "golden_mismatch")
        assert models(agent) == {}

    def test_a_bundle_with_a_file_that_is_missing(self, start: Start) -> None:
        agent = start()
        bundle = bundles.null()
        offer(agent, bundle)
        job = over(agent, activate(agent, "m", bundle.id))
        assert job.error
        assert job.error.code == "incomplete_bundle"

    def test_a_training_error_map_of_another_size(self, agent: Agent) -> None:
        rule = Score(method="max_normalised_squared_error")
        bundle = bundles.inspector().with_score(rule, training_error=np.ones((8, 8), np.float32))
        wrong = bundle.with_file("training_error.bin", bytes(4 * 8 * 9))
        response = agent.client.post("/v1/bundles", content=wrong.manifest.canonical_json(), headers=JSON)
        told = assert_error(response, 422, "invalid_request")
        assert "'training_error.bin' has 288 bytes, a training error map of 8 x 8 pixels needs 256" in told["error"]

    def test_a_bundle_that_nobody_offered(self, agent: Agent) -> None:
        job = over(agent, activate(agent, "new", DIGEST))
        assert job.error
        assert job.error.code == "unknown_bundle"

    def test_a_file_larger_than_the_agent_takes(self, start: Start) -> None:
        agent = start(max_file_bytes=10)
        response = agent.client.post("/v1/bundles", content=bundles.null().manifest.canonical_json(), headers=JSON)
        assert_error(response, 413, "too_large")

    def test_two_at_once(self, start: Start) -> None:
        agent = start()
        bundle = live.push(agent.client, bundles.null(load_delay_ms=5000))
        first = Job.model_validate_json(activate(agent, "m", bundle).content)
        assert first.id in assert_error(activate(agent, "m", bundle), 409, "model_busy")["error"]
        cancelled = agent.client.delete(f"/v1/jobs/{first.id}")
        assert cancelled.status_code == 200
        eventually(lambda: agent.client.get(f"/v1/jobs/{first.id}").json()["state"] == "cancelled")
        assert models(agent) == {}

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "rollback"), ("POST", "load"), ("GET", "environment")],
    )
    def test_a_model_that_is_not_there(self, agent: Agent, method: str, path: str) -> None:
        told = assert_error(agent.client.request(method, f"/v1/models/plian/{path}"), 404, "unknown_model")
        assert told["hint"] == "did you mean 'plain'?"

    def test_nothing_to_roll_back(self, agent: Agent) -> None:
        job = over(agent, agent.client.post("/v1/models/plain/rollback"))
        assert job.error
        assert job.error.code == "nothing_to_roll_back"

    def test_load_again(self, agent: Agent) -> None:
        agent.run(agent.service.dataplane.models["plain"].supervisor.stop())
        assert models(agent)["plain"].state is ModelState.STOPPED
        assert over(agent, agent.client.post("/v1/models/plain/load")).state is JobState.DONE
        assert models(agent)["plain"].state is ModelState.READY

    def test_a_model_is_not_removed_under_a_job(self, start: Start) -> None:
        agent = start()
        agent.activate(bundles.null(), "m")
        job = activate(agent, "m", live.push(agent.client, bundles.null(load_delay_ms=5000))).json()
        assert_error(agent.client.delete("/v1/models/m"), 409, "model_busy")
        agent.client.delete(f"/v1/jobs/{job['id']}")


class TestBuilding:
    """Models of which the board makes what it loads; tests/agent/test_building.py has the rest."""

    def test_how_it_was_built_and_what_the_builder_said(self, start: Start) -> None:
        agent = start(build=bundles.BUILDS)
        bundle = live.push(agent.client, bundles.null(build_lines=3).to_build())
        job = over(agent, activate(agent, "m", bundle))
        assert job.activation
        assert job.activation.build
        assert job.activation.build.reason == "the board has none of this model yet"
        assert (job.lines, job.line_count) == (("line 1 of 3", "line 2 of 3", "line 3 of 3"), 3)
        agent.run(agent.service.dataplane.models["m"].supervisor.stop())
        job = over(agent, agent.client.post("/v1/models/m/load"))
        assert job.activation
        assert job.activation.build
        assert job.activation.build.reason is None

    def test_a_rollback_says_what_it_builds_too(self, start: Start) -> None:
        agent = start(build=bundles.BUILDS)
        first, second = (bundles.null(build_lines=count, version=count).to_build() for count in (1, 2))
        for bundle in (first, second):
            over(agent, activate(agent, "m", live.push(agent.client, bundle)))
        for engine in agent.service.settings.data_dir.glob("engines/*/model.engine"):
            engine.unlink()
        job = over(agent, agent.client.post("/v1/models/m/rollback"))
        assert job.activation
        assert job.activation.build
        assert (job.activation.build.reason, job.lines) == ("the one that was there is damaged", ("line 1 of 1",))

    def test_others_are_stopped_for_it_only_if_that_is_asked_for(self, start: Start) -> None:
        agent = start(build=bundles.BUILDS.model_copy(update={"alone": True}))
        agent.activate(bundles.null(), "other")
        bundle = live.push(agent.client, bundles.null().to_build())
        job = over(agent, activate(agent, "m", bundle))
        assert job.error
        assert (job.state, job.error.code) == (JobState.FAILED, "build_needs_board")
        job = over(agent, activate(agent, "m", bundle, stop_others=True))
        assert job.state is JobState.DONE
        assert {name: told.state for name, told in models(agent).items()} == dict.fromkeys(
            ("m", "other"), ModelState.READY
        )


class TestTemporary:
    """Models for whoever knows their name; tests/agent/test_temporary.py has the rest."""

    def test_beside_the_one_that_is_to_stay(self, start: Start) -> None:
        agent = start()
        agent.activate(bundles.null(), "m")
        bundle = live.push(agent.client, bundles.null(wrong=True))
        assert over(agent, activate(agent, "t", bundle, temporary=True)).state is JobState.DONE
        assert {name: told.temporary for name, told in models(agent).items()} == {"m": False, "t": True}
        content, raw = np.zeros(4, np.float32).tobytes(), "application/octet-stream"
        assert agent.infer(content, raw).content == content
        assert agent.infer(content, raw, model="t").content == np.ones(4, np.float32).tobytes()
        assert agent.client.delete("/v1/models/t").status_code == 204
        assert list(models(agent)) == ["m"]

    def test_alone_it_is_not_meant_by_a_request_without_a_name(self, start: Start) -> None:
        agent = start()
        over(agent, activate(agent, "t", live.push(agent.client, bundles.null()), temporary=True))
        told = assert_error(agent.infer(bytes(16), "application/octet-stream"), 404, "unknown_model")
        assert told["error"] == "no model is deployed"

    def test_it_takes_nobodys_place(self, agent: Agent) -> None:
        job = over(agent, activate(agent, "plain", models(agent)["plain"].bundle, temporary=True))
        assert job.error
        assert job.error.code == "name_taken"
        assert not models(agent)["plain"].temporary

    def test_an_agent_is_ready_whatever_has_become_of_it(self, start: Start) -> None:
        agent = start()
        over(agent, activate(agent, "t", live.push(agent.client, bundles.null()), temporary=True))
        agent.run(agent.service.dataplane.models["t"].supervisor.fail("five crashes"))
        assert agent.client.get("/health/ready").json() == {"ready": True}

    def test_nobody_names_it_and_it_is_gone(self, start: Start) -> None:
        agent = start(temporary_idle_s=0.2)
        over(agent, activate(agent, "t", live.push(agent.client, bundles.null()), temporary=True))
        eventually(lambda: models(agent) == {})  # a list names none
        assert_error(agent.infer(bytes(16), "application/octet-stream", model="t"), 404, "unknown_model")

    def test_an_option_that_an_agent_does_not_know_is_refused(self, agent: Agent) -> None:
        told = assert_error(activate(agent, "t", DIGEST, forever=True), 422, "invalid_request")
        assert "forever" in told["error"]


class TestJobs:
    def test_a_bench(self, agent: Agent) -> None:
        job = over(agent, agent.client.post("/v1/benches", json={"model": "plain", "runs": 20, "interrupt": True}))
        assert job.measurement
        assert (job.state, job.measurement.model) == (JobState.DONE, "plain")
        response = agent.client.get(f"/v1/jobs/{job.id}/samples")
        assert response.headers["content-type"] == "application/octet-stream"
        samples = np.frombuffer(response.content, "<i8")
        assert len(samples) == 20
        assert (samples > 0).all()

    def test_a_profile(self, agent: Agent) -> None:
        job = over(agent, agent.client.post("/v1/profiles", json={"model": "every", "runs": 3, "interrupt": True}))
        assert job.layer_profile
        assert (job.state, job.kind, job.model) == (JobState.DONE, "profile", "every")
        copied = [output.name for output in models(agent)["every"].signature.outputs]
        assert [layer.name for layer in job.layer_profile.layers] == [f"copy to {name}" for name in copied]
        assert (job.measurement, job.activation) == (None, None)

    def test_a_profile_of_nothing_or_on_a_board_in_use(self, agent: Agent) -> None:
        response = agent.client.post("/v1/profiles", json={"model": "plian", "interrupt": True})
        assert_error(response, 404, "unknown_model")
        agent.infer(bytes(16), "application/octet-stream", model="plain")
        assert_error(agent.client.post("/v1/profiles", json={"model": "plain"}), 409, "recent_traffic")
        told = assert_error(
            agent.client.post("/v1/profiles", json={"model": "plain", "runs": 0}), 422, "invalid_request"
        )
        assert "runs" in told["error"]

    def test_a_board_in_use(self, agent: Agent) -> None:
        agent.infer(bytes(16), "application/octet-stream", model="plain")
        told = assert_error(agent.client.post("/v1/benches", json={"model": "plain"}), 409, "recent_traffic")
        assert "--interrupt" in told["hint"]

    def test_a_bench_of_nothing(self, agent: Agent) -> None:
        response = agent.client.post("/v1/benches", json={"model": "plian", "interrupt": True})
        assert_error(response, 404, "unknown_model")

    def test_waiting(self, agent: Agent) -> None:
        job = over(agent, agent.client.post("/v1/models/plain/load"))
        seen = {"wait_s": 30, "seen": 10_000}
        assert Job.model_validate_json(agent.client.get(f"/v1/jobs/{job.id}", params=seen).content) == job  # at once

    @pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/samples")])
    def test_an_unknown_one(self, agent: Agent, method: str, path: str) -> None:
        assert_error(agent.client.request(method, f"/v1/jobs/none{path}"), 404, "unknown_job")

    def test_one_without_samples(self, agent: Agent) -> None:
        job = over(agent, agent.client.post("/v1/models/plain/load"))
        assert_error(agent.client.get(f"/v1/jobs/{job.id}/samples"), 404, "no_samples")

    @pytest.mark.parametrize("query", ["wait_s=31", "wait_s=-1", "wait_s=x", "wait_s=nan", "seen=-2", "seen=1.5"])
    def test_no_waiting(self, agent: Agent, query: str) -> None:
        assert_error(agent.client.get(f"/v1/jobs/none?{query}"), 422, "invalid_request")


class TestOverview:
    def test_who_answers(self, agent: Agent) -> None:
        told = AgentInfo.model_validate_json(agent.client.get("/v1/agent").content)
        assert (told.api_version, told.profile) == (API_VERSION, "desktop")
        assert {runtime.key for runtime in told.runtimes} == {"null", "ort"}

    def test_models_by_name(self, agent: Agent) -> None:
        assert list(models(agent)) == ["every", "inspector", "plain", "uncalibrated"]
        told = models(agent)["inspector"]
        assert told.score
        assert (told.runtime, told.score.threshold, told.signature.input_bytes) == ("null", 0.5, 768)

    def test_the_rate_of_a_compression(self, start: Start) -> None:
        agent = start()
        plain = bundles.null()
        agent.activate(plain, "whole")
        rated = bundles.Bundle(plain.manifest.model_copy(update={"rate": 0.99}), plain.files)
        agent.activate(rated, "compressed")
        assert {name: told.rate for name, told in models(agent).items()} == {"whole": None, "compressed": 0.99}

    def test_stats(self, agent: Agent) -> None:
        def told() -> dict[str, Any]:
            stats = Stats.model_validate_json(agent.client.get("/stats").content)
            return {"all": stats, **{model.name: model for model in stats.models}}

        before = told()
        for _ in range(3):
            agent.infer(bytes(16), "application/octet-stream", model="plain")
        agent.infer(bytes(17), "application/octet-stream", model="plain")
        after = told()
        assert after["plain"].requests - before["plain"].requests == 4
        assert after["plain"].latency.count - before["plain"].latency.count == 3
        assert after["every"].requests == before["every"].requests
        assert after["plain"].failures == before["plain"].failures  # of the client's making
        assert 0 < after["plain"].latency.p50_ms <= after["plain"].latency.max_ms
        assert after["plain"].worker_pid != after["every"].worker_pid
        assert after["plain"].worker_rss_bytes > 1 << 20
        assert after["all"].agent_rss_bytes > 1 << 20
        assert after["all"].held_by is None

    def test_stats_of_a_model_whose_worker_is_gone(self, agent: Agent) -> None:
        agent.run(agent.service.dataplane.models["plain"].supervisor.stop())
        (told,) = [
            model
            for model in Stats.model_validate_json(agent.client.get("/stats").content).models
            if model.name == "plain"
        ]
        assert (told.state, told.worker_pid, told.worker_rss_bytes) == (ModelState.STOPPED, None, None)
        over(agent, agent.client.post("/v1/models/plain/load"))

    def test_the_board(self, agent: Agent) -> None:
        told = Telemetry.model_validate_json(agent.client.get("/v1/telemetry").content)
        assert told.memory_total_bytes
        environment = Environment.model_validate_json(agent.client.get("/v1/models/plain/environment").content)
        assert (environment.profile, environment.runtime, environment.after) == ("desktop", "null", None)


class TestHealth:
    def test_live_and_ready(self, agent: Agent) -> None:
        assert agent.client.get("/health/live").json() == {"live": True}
        assert agent.client.get("/health/ready").json() == {"ready": True}

    def test_not_ready_while_models_come_back(self, agent: Agent) -> None:
        agent.service.restored.clear()
        try:
            assert_error(agent.client.get("/health/ready"), 503, "model_not_ready")
            assert agent.client.get("/health/live").status_code == 200
        finally:
            agent.service.restored.set()

    def test_not_ready_with_a_model_that_has_failed(self, agent: Agent) -> None:
        agent.run(agent.service.dataplane.models["plain"].supervisor.stop())
        response = agent.client.get("/health/ready")
        assert "'plain' is stopped" in assert_error(response, 503, "model_not_ready")["error"]
        assert int(response.headers["retry-after"]) > 0
        over(agent, agent.client.post("/v1/models/plain/load"))
