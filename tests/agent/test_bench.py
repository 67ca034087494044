"""One trial, the board held."""

import asyncio
import io
import time
from dataclasses import replace
from pathlib import Path

import bundles
import numpy as np
import pytest
import rogue
import running
import zoo
from bundles import Bundle
from measuring import STAGES, Bench, all_is_back, ask, send
from PIL import Image

from agent import bench as module
from agent.errors import BoardHeldError, NotFoundError, RecentTrafficError
from agent.jobs import RunningJob
from agent.telemetry import Observation, Sensors
from agent.telemetry.procfs import Procfs
from contract.api import BenchRequest, Measurement
from contract.manifest import Score


def picture(value: int = 90, kind: str = "PNG") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (16, 12), (value, 128, 255 - value)).save(encoded, kind)
    return encoded.getvalue()


def unexplained(measurement: Measurement) -> set[str]:
    """Figures that are null without a reason."""
    nulls = {name for name, figure in measurement.memory.model_dump().items() if figure is None}
    times = {
        "accelerator_ms.mean": measurement.accelerator_ns_mean,
        "convert_ms.mean": measurement.convert_ns_mean,
        "decision_ms.mean": measurement.decision_ns or None,
        "memory_total_bytes": measurement.environment.memory_total_bytes,
    }
    nulls |= {name for name, figure in times.items() if figure is None}
    for conditions in (measurement.environment.before, measurement.environment.after):
        assert conditions
        nulls |= {name for name in ("power_mode", "swap_used_bytes") if getattr(conditions, name) is None}
    return nulls - measurement.unmet.keys()


def test_a_bench_of_a_real_model(tmp_path: Path) -> None:
    autoencoder = bundles.ort(zoo.autoencoder())

    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": autoencoder}) as service:
            bench = Bench(service, runs=50)
            measurement = await bench.measured()
            assert bench.stages == [*STAGES, "putting things back"]
            assert (measurement.model, measurement.bundle) == ("m", autoencoder.id)
            samples = service.jobs.get(bench.job_id).samples
            assert samples
            assert len(np.frombuffer(samples, "<i8")) == 50
            assert (np.frombuffer(samples, "<i8") > 1000).all()
            assert unexplained(measurement) == set()
            assert measurement.stopped_models == ()
            memory = measurement.memory
            assert memory.baseline_bytes
            assert memory.peak_memory_bytes
            assert memory.load_peak_bytes
            assert memory.run_peak_bytes
            assert memory.peak_memory_bytes == max(memory.load_peak_bytes, memory.run_peak_bytes)
            assert memory.model_peak_bytes == memory.peak_memory_bytes - memory.baseline_bytes
            assert memory.system_delta_peak_bytes is not None
            environment = measurement.environment
            assert (environment.runtime, environment.runtime_options) == ("ort", {"threads": 1})
            assert environment.runtime_version.count(".") == 2
            await all_is_back(service)

    running.run(main())


def test_every_sample_is_the_time_of_its_run_and_progress_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.null(delay_ms=20)}) as service:
            bench = Bench(service, runs=30)
            seen = []
            job = service.jobs.get(bench.job_id)
            while not job.state.is_over:
                seen.append((await job.changed_since(job.state.revision, 10)).done)
            samples = np.frombuffer(job.samples or b"", "<i8")
            assert samples.min() >= 20e6
            assert 0 < np.median(seen) < 30 or any(0 < done < 30 for done in seen)
            assert job.state.total == 30

    running.run(main())


def test_growth_is_in_the_peak_and_not_in_the_baseline(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.null(cases=1, grow_bytes=1 << 20)}) as service:
            memory = (await Bench(service, runs=30).measured()).memory
            assert memory.model_peak_bytes
            assert 28 << 20 < memory.model_peak_bytes < 100 << 20
            assert memory.load_peak_bytes
            assert memory.run_peak_bytes
            assert memory.run_peak_bytes > memory.load_peak_bytes

    running.run(main())


def test_the_headline_of_a_board_that_shares_memory_is_the_whole_boards(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.null()}, headline_memory="system") as service:
            measurement = await Bench(service).measured()
            assert measurement.memory.peak_memory_bytes == measurement.memory.system_delta_peak_bytes
            assert unexplained(measurement) == set()

    running.run(main())


class Watching(Sensors):
    """Notes which workers live whenever the board is observed for a row."""

    def __init__(self) -> None:
        super().__init__((Procfs(Path("/")),))
        self.workers: list[list[int]] = []

    def observe(self) -> Observation:
        self.workers.append(running.children())
        return super().observe()


def test_the_board_is_observed_before_the_worker_starts_and_while_it_still_lives(tmp_path: Path) -> None:
    """The end of a process frees its swap, and heat is what the runs have left behind."""

    async def main() -> None:
        sensors, of_the_bench = Watching(), []
        async with bundles.serving(
            tmp_path, {"m": bundles.null()}, shares_memory=True, start=rogue.obedient(tmp_path)
        ) as service:
            service.bencher = replace(service.bencher, sensors=sensors)

            def at(stage: str, _job: RunningJob) -> None:
                if stage == "running":
                    of_the_bench.extend(running.children())
                if stage == "deciding":
                    assert len(sensors.workers) == 2

            await Bench(service, at).measured()
            assert len(of_the_bench) == 1
            assert sensors.workers == [[], of_the_bench]

    running.run(main())


def test_requests_are_refused_meanwhile_and_served_afterwards(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(
            tmp_path, {"m": bundles.null(), "n": bundles.null()}, start=rogue.obedient(tmp_path)
        ) as service:
            refused = []

            def at(stage: str, _job: RunningJob) -> None:
                for served in service.dataplane.models.values():
                    with pytest.raises(BoardHeldError, match="held by a bench of 'm'"), service.dataplane.admit(served):
                        pass
                refused.append(stage)

            await Bench(service, at).measured()
            assert refused == [*STAGES, "putting things back"]
            await ask(service, "m")
            await ask(service, "n")
            await all_is_back(service)

    running.run(main())


def test_what_is_in_flight_is_served_first(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(
            tmp_path, {"m": bundles.null(), "n": bundles.null(delay_ms=100)}, start=rogue.obedient(tmp_path)
        ) as service:
            requests = [asyncio.create_task(ask(service, "n")) for _ in range(2)]
            await asyncio.sleep(0)
            await Bench(service).measured()
            assert all(request.done() for request in requests)
            await asyncio.gather(*requests)

    running.run(main())


def test_a_board_that_served_a_moment_ago_is_not_interrupted_unasked(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(
            tmp_path, {"m": bundles.null(), "n": bundles.null()}, start=rogue.obedient(tmp_path)
        ) as service:
            service.bencher.check(BenchRequest(model="m"))  # golden inputs are no traffic
            await ask(service, "n")
            with pytest.raises(RecentTrafficError, match="served a request 0 s ago") as told:
                service.bencher.check(BenchRequest(model="m"))
            assert "--interrupt" in told.value.hint
            service.bencher.check(BenchRequest(model="m", interrupt=True))
            service.dataplane.pick("n").last_request_at = time.monotonic() - module.QUIET_S
            service.bencher.check(BenchRequest(model="m"))
            with pytest.raises(NotFoundError, match="there is no model 'o'"):
                service.bencher.check(BenchRequest(model="o"))

    running.run(main())


def test_images_give_decisions(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.inspector()}) as service:
            inputs = tuple(send(service, picture(value, kind)) for value, kind in ((1, "PNG"), (2, "JPEG"), (3, "PNG")))
            measurement = await Bench(service, inputs=inputs).measured()
            assert len(measurement.decision_ns) == 3
            assert all(0 < ns < 5e9 for ns in measurement.decision_ns)
            assert unexplained(measurement) == set()
            assert "decision_ms.mean" not in measurement.unmet
            # golden inputs are no images: there is a score, and no decision to time
            assert "--inputs DIR" in (await Bench(service).measured()).unmet["decision_ms.mean"]

    running.run(main())


def test_a_decision_is_the_models_own(tmp_path: Path) -> None:
    """Also the one that is timed: a map that went bad is found."""
    rule = Score(method="max_normalised_squared_error", threshold=1.0)
    usual = np.full((8, 8), 0.5, np.float32)
    right, bad = (bundles.inspector().with_score(rule, training_error=usual * sign) for sign in (1, -1))

    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": right, "n": bad}) as service:
            inputs = (send(service, picture()),)
            assert len((await Bench(service, inputs=inputs).measured()).decision_ns) == 1
            assert await Bench(service, model="n", inputs=inputs).failed() == "non_finite"

    running.run(main())


def test_raw_inputs_are_taken_as_they_are(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.null(cases=1)}, start=rogue.obedient(tmp_path)) as service:
            measurement = await Bench(service, inputs=(send(service, bytes(16)),)).measured()
            assert measurement.unmet["decision_ms.mean"] == "the model has no score"

    running.run(main())


@pytest.mark.parametrize(
    ("bundle", "content", "code"),
    [
        (bundles.null(), bytes(15), "bad_tensor"),
        (bundles.null(), bytes(17), "bad_tensor"),
        (bundles.null(), b"", "bad_tensor"),
        (bundles.null(), picture(), "unsupported_media_type"),
        (bundles.inspector(), picture()[:45], "broken_image"),
        (bundles.null(), bytes((64 << 20) + 1), "too_large"),
    ],
    ids=["short", "long", "empty", "image for tensors", "broken image", "too large"],
)
def test_inputs_that_do_not_fit_are_told_and_nothing_is_left(
    tmp_path: Path, bundle: Bundle, content: bytes, code: str
) -> None:
    async def main() -> None:
        async with bundles.serving(
            tmp_path, {"m": bundle}, shares_memory=True, start=rogue.obedient(tmp_path)
        ) as service:
            bench = Bench(service, inputs=(send(service, content),))
            assert await bench.failed() == code
            assert "loading" not in bench.stages
            await all_is_back(service)

    running.run(main())


def test_an_input_that_was_never_sent(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.null()}, start=rogue.obedient(tmp_path)) as service:
            assert await Bench(service, inputs=("0" * 64,)).failed() == "unknown_blob"

    running.run(main())


def test_of_many_golden_inputs_a_few_are_enough(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.null(cases=500)}) as service:
            await Bench(service, runs=600).measured()

    running.run(main())


def test_benches_and_deploys_queue(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(
            tmp_path, {"m": bundles.null(), "n": bundles.null()}, start=rogue.obedient(tmp_path)
        ) as service:
            first, second = Bench(service), Bench(service, model="n")
            deploying = asyncio.create_task(bundles.activate(service, bundles.null(cases=3), "o"))
            await asyncio.gather(first.measured(), second.measured(), deploying)
            assert second.stages[0] == "waiting for a bench of 'm'"
            assert first.stages[0] == STAGES[0]
            await all_is_back(service)

    running.run(main())


def test_the_environment_of_a_deployed_model_is_known_from_outside(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.null()}, start=rogue.obedient(tmp_path)) as service:
            environment = await asyncio.to_thread(service.bencher.environment, "m")
            assert (environment.runtime, environment.runtime_version, environment.after) == ("null", "1", None)
            with pytest.raises(NotFoundError):
                service.bencher.environment("n")

    running.run(main())
