"""Work that outlasts a request."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import running

from agent import jobs as module
from agent.errors import DiskFullError, ModelBusyError, NotFoundError
from agent.jobs import Jobs, RunningJob
from contract.api import Activation, Job, JobState, LayerProfile

DONE = Activation(
    model="m",
    bundle="a" * 64,
    previous=None,
    sqnr_db=None,
    tolerance_db=60,
    golden_count=1,
    golden_source="noise",
    load_s=1,
    outage_s=0,
)


async def at_once(_job: RunningJob) -> Activation:
    return DONE


async def forever(job: RunningJob) -> Activation:
    job.stage("running")
    await asyncio.Event().wait()
    return DONE


def raising(error: BaseException) -> Callable[[RunningJob], Awaitable[Activation]]:
    async def work(_job: RunningJob) -> Activation:
        raise error

    return work


async def ended(jobs: Jobs, job_id: str) -> Job:
    job = jobs.get(job_id).state
    while not job.is_over:
        job = await jobs.get(job_id).changed_since(job.revision, 5)
    return job


def test_a_job_is_done_with_what_its_work_gave() -> None:
    async def main() -> None:
        jobs = Jobs()
        begun = jobs.start("activate", "m", at_once)
        assert (begun.state, begun.revision, begun.kind, begun.model) == (JobState.PENDING, 0, "activate", "m")
        job = await ended(jobs, begun.id)
        assert job.state is JobState.DONE
        assert job.activation == DONE
        assert job.measurement is None
        assert job.error is None

    running.run(main())


def test_stages_and_progress_are_seen_in_order_with_growing_revisions() -> None:
    async def main() -> None:
        async def work(job: RunningJob) -> Activation:
            job.stage("loading")
            await asyncio.sleep(0.001)
            for done in range(3):
                job.progress(done, 2)
                await asyncio.sleep(0.001)
            return DONE

        jobs = Jobs()
        job = jobs.start("activate", "m", work)
        seen = [job]
        while not job.is_over:
            job = await jobs.get(job.id).changed_since(job.revision, 5)
            seen.append(job)
        assert [job.revision for job in seen] == sorted({job.revision for job in seen})
        assert ("loading", JobState.RUNNING) in [(job.stage, job.state) for job in seen]
        assert [job.done for job in seen if job.total] == [0, 1, 2, 2]

    running.run(main())


def test_of_what_a_builder_says_the_last_is_kept_and_all_of_it_counted() -> None:
    async def main() -> None:
        async def work(job: RunningJob) -> Activation:
            for number in range(module.KEPT_LINES + 5):
                job.line(f"line {number}")
            return DONE

        jobs = Jobs()
        begun = jobs.start("activate", "m", work)
        assert (begun.lines, begun.line_count) == ((), 0)
        job = await ended(jobs, begun.id)
        assert job.lines == tuple(f"line {number}" for number in range(5, module.KEPT_LINES + 5))
        assert job.line_count == module.KEPT_LINES + 5
        assert job.revision > job.line_count

    running.run(main())


def test_an_outcome_has_the_key_of_its_kind() -> None:
    profile = LayerProfile(model="m", bundle="a" * 64, runs=1, layers=(), runtime="null", runtime_version="1")

    async def main() -> None:
        async def work(_job: RunningJob) -> LayerProfile:
            return profile

        jobs = Jobs()
        job = await ended(jobs, jobs.start("profile", "m", work).id)
        assert (job.kind, job.layer_profile, job.activation, job.measurement) == ("profile", profile, None, None)

    running.run(main())


def test_waiting_ends_with_a_change_and_otherwise_in_time() -> None:
    async def main() -> None:
        jobs = Jobs()
        job = jobs.get(jobs.start("activate", "m", forever).id)
        await asyncio.sleep(0)
        began = time.monotonic()
        unchanged = await job.changed_since(job.state.revision, 0.05)
        assert 0.04 < time.monotonic() - began < 2
        assert unchanged == job.state
        assert await job.changed_since(job.state.revision, 0) == job.state  # who does not want to wait
        assert await job.changed_since(-1, 5) == job.state  # who has seen nothing yet
        waiters = [asyncio.create_task(job.changed_since(job.state.revision, 5)) for _ in range(3)]
        await asyncio.sleep(0.01)
        job.stage("another")
        assert {(await waiter).stage for waiter in waiters} == {"another"}
        jobs.cancel(job.state.id)
        assert (await job.changed_since(job.state.revision, 5)).state is JobState.CANCELLED
        assert (await job.changed_since(10**9, 5)).state is JobState.CANCELLED  # over: nothing to wait for

    running.run(main())


def test_one_that_has_seen_too_much_waits_no_longer_than_it_asked_for() -> None:
    """Changes that are below what it has seen do not give it more time."""

    async def main() -> None:
        jobs = Jobs()
        job = jobs.get(jobs.start("bench", "m", forever).id)
        waiting = asyncio.create_task(job.changed_since(10**9, 0.1))
        began = time.monotonic()
        while not waiting.done():
            job.progress(1, 2)
            await asyncio.sleep(0.01)
            assert time.monotonic() - began < 2
        await jobs.end()

    running.run(main())


def test_an_error_of_the_agent_is_the_jobs_error() -> None:
    async def main() -> None:
        jobs = Jobs()
        job = await ended(jobs, jobs.start("activate", "m", raising(DiskFullError("no room", "make some"))).id)
        assert job.state is JobState.FAILED
        assert job.error
        assert job.error.model_dump() == {"error": "no room", "code": "disk_full", "hint": "make some"}

    running.run(main())


def test_a_bug_is_told_as_one_and_its_traceback_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        jobs = Jobs()
        job = await ended(jobs, jobs.start("activate", "m", raising(KeyError("slot"))).id)
        assert job.state is JobState.FAILED
        assert job.error
        assert (job.error.code, job.error.error) == ("agent_bug", "KeyError: 'slot'")

    running.run(main())
    assert "Traceback" in caplog.text
    assert "KeyError: 'slot'" in caplog.text


def test_a_model_has_one_job_at_a_time() -> None:
    async def main() -> None:
        jobs = Jobs()
        first = jobs.start("activate", "m", forever)
        with pytest.raises(ModelBusyError, match=rf"'m' is being changed or measured: job {first.id} \(activate\)"):
            jobs.start("bench", "m", at_once)
        with pytest.raises(ModelBusyError):
            jobs.check_free("m")
        jobs.check_free("n")
        assert (await ended(jobs, jobs.start("bench", "n", at_once).id)).state is JobState.DONE
        jobs.cancel(first.id)
        await ended(jobs, first.id)
        assert (await ended(jobs, jobs.start("activate", "m", at_once).id)).state is JobState.DONE

    running.run(main())


def test_cancelled_before_its_first_step_it_is_over_and_its_model_free() -> None:
    async def main() -> None:
        jobs = Jobs()
        job = jobs.start("activate", "m", forever)
        jobs.cancel(job.id)
        assert (await ended(jobs, job.id)).state is JobState.CANCELLED
        jobs.check_free("m")

    running.run(main())


def test_a_second_cancel_does_not_break_off_what_the_first_began() -> None:
    async def main() -> None:
        put_back = asyncio.Event()

        async def work(_job: RunningJob) -> Activation:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                put_back.set()
            return DONE

        jobs = Jobs()
        job = jobs.start("bench", "m", work)
        await asyncio.sleep(0)
        jobs.cancel(job.id)
        await asyncio.sleep(0)
        jobs.cancel(job.id)
        jobs.cancel_all()
        await jobs.end()
        assert put_back.is_set()
        assert jobs.cancel(job.id).state is JobState.CANCELLED  # one that is over stays what it is

    running.run(main())


def test_too_late_a_cancel_is_a_job_done() -> None:
    async def main() -> None:
        async def work(_job: RunningJob) -> Activation:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                assert task
                task.uncancel()
            return DONE

        jobs = Jobs()
        job = jobs.start("activate", "m", work)
        await asyncio.sleep(0)
        jobs.cancel(job.id)
        assert (await ended(jobs, job.id)).state is JobState.DONE

    running.run(main())


def test_the_end_of_all_waits_for_each() -> None:
    async def main() -> None:
        jobs = Jobs()
        for name in "abc":
            jobs.start("activate", name, forever)
        done = jobs.start("activate", "d", at_once)
        await ended(jobs, done.id)
        await jobs.end()
        assert jobs.get(done.id).state.state is JobState.DONE
        for name in "abc":
            jobs.check_free(name)

    running.run(main())


def test_old_ones_are_forgotten_and_running_ones_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_JOBS", 3)

    async def main() -> None:
        jobs = Jobs()
        running_one = jobs.start("bench", "long", forever)
        ids = []
        for number in range(6):
            ids.append(jobs.start("activate", f"m{number}", at_once).id)
            await ended(jobs, ids[-1])
        with pytest.raises(NotFoundError, match=f"there is no job '{ids[0]}'") as told:
            jobs.get(ids[0])
        assert told.value.code == "unknown_job"
        assert jobs.get(ids[-1]).state.state is JobState.DONE
        assert jobs.get(running_one.id).state.state is JobState.RUNNING
        await jobs.end()

    running.run(main())


def test_samples_of_all_benches_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_SAMPLE_BYTES", 250)

    async def main() -> None:
        async def work(job: RunningJob) -> Activation:
            job.samples = bytes(100)
            return DONE

        jobs = Jobs()
        ids = []
        for number in range(5):
            ids.append(jobs.start("bench", f"m{number}", work).id)
            await ended(jobs, ids[-1])
        kept = [len(jobs.get(job_id).samples or b"") for job_id in ids]
        assert kept == [0, 0, 100, 100, 100]  # the last has come since

    running.run(main())
