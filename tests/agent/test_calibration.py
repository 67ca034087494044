"""The threshold of an artifact is found on its board, from the good images of its bundle."""

import asyncio
import json
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import onnxruntime
import pytest
import running
import zoo
from bundles import Bundle, activate
from live import encoded
from numpy.typing import NDArray
from versions import Stages

from agent import calibration, decision
from agent.errors import BadImageError, WorkerFailedError
from agent.service import Service
from contract.api import ModelState
from contract.manifest import Preprocessing, Score
from inspection import preprocess, score
from inspection.accuracy import threshold_from_good

NORMALISED = "max_normalised_squared_error"


def flat(shade: int, size: int = 8) -> bytes:
    """A picture of one grey."""
    return encoded(np.full((size, size, 3), shade, np.uint8))


GOOD = [flat(shade) for shade in (100, 110, 120)]


def rebuilt(wrong: bool, threshold: float | None = 0.5, **judged: Any) -> Bundle:
    """Of 8 x 8: what it rebuilds is the image, or where it is `wrong` 1 - image."""
    bundle = bundles.inspector(wrong=wrong)
    return bundle.with_score(Score(threshold=threshold, **judged), good_images=GOOD)


def score_of(shade: int) -> float:
    """Of a flat picture under a `wrong` model."""
    return (1 - 2 * shade / 255) ** 2


async def verdict(service: Service, content: bytes) -> decision.Verdict:
    """As a request that brings an image."""
    served = service.dataplane.pick("m")
    deployment = served.supervisor.deployment
    with service.dataplane.admit(served) as admission:
        admission.inputs[0][:] = decision.prepare(deployment.manifest, content)
        await admission.run()
        said = decision.judge(deployment, admission.inputs, admission.outputs)
    assert said
    return said


def test_the_threshold_is_the_artifacts_own_and_survives_a_restart(tmp_path: Path) -> None:
    async def first() -> None:
        async with bundles.serving(tmp_path) as service:
            stages = Stages()
            bundle = bundles.put(service.repository, rebuilt(wrong=True))
            activation = await service.activator.activate("m", bundle, stages)
            assert stages.seen == ["loading", "running the golden inputs", "finding the threshold from 3 good images"]
            assert (activation.score_method, activation.good_count) == ("max_smoothed_squared_error", 3)
            assert activation.threshold_model == 0.5
            assert activation.threshold_board == pytest.approx(score_of(100))
            await decides(service, activation.threshold_board)

    async def second() -> None:
        async with bundles.serving(tmp_path) as service:
            await decides(service, pytest.approx(score_of(100)))

    async def decides(service: Service, threshold: Any) -> None:
        assert service.repository.record("m").threshold == threshold
        good, bad = await verdict(service, flat(105)), await verdict(service, flat(95))
        assert (good.decision, bad.decision) == ("good", "defective")
        assert good.threshold == bad.threshold == threshold

    running.run(first())
    running.run(second())


def test_another_artifact_of_the_same_model_has_another_threshold_and_so_after_a_rollback(tmp_path: Path) -> None:
    exact, shifted = rebuilt(wrong=False), rebuilt(wrong=True)

    async def main() -> None:
        async with bundles.serving(tmp_path) as service:
            assert (await activate(service, exact)).threshold_board == 0.0
            assert (await activate(service, shifted)).threshold_board == pytest.approx(score_of(100))
            back = await service.activator.rollback("m", print)
            assert (back.bundle, back.threshold_board) == (exact.id, 0.0)
            assert (await verdict(service, flat(9))).threshold == 0.0
            forth = await service.activator.rollback("m", print)
            assert forth.threshold_board == service.repository.record("m").threshold == pytest.approx(score_of(100))

    running.run(main())


def test_without_good_images_the_models_own_threshold_counts(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path) as service:
            await activate(service, rebuilt(wrong=True))
            activation = await activate(service, bundles.inspector(wrong=True))
            assert (activation.threshold_model, activation.threshold_board, activation.good_count) == (0.5, None, 0)
            assert service.repository.record("m").threshold is None
            assert (await verdict(service, flat(95))).threshold == 0.5

    running.run(main())


def test_good_images_calibrate_a_model_that_had_no_threshold(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path) as service:
            activation = await activate(service, rebuilt(wrong=True, threshold=None))
            assert activation.threshold_model is None
            assert activation.threshold_board == pytest.approx(score_of(100))
            assert (await verdict(service, flat(95))).decision == "defective"

    running.run(main())


def test_the_same_bundle_again_finds_it_again(tmp_path: Path) -> None:
    """What a board of before, or another runtime, had found is not kept."""

    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": rebuilt(wrong=True)}) as service:
            record = service.repository.record("m")
            service.repository.set_record("m", record.model_copy(update={"threshold": 0.9}))
        async with bundles.serving(tmp_path) as service:
            assert (await verdict(service, flat(95))).threshold == 0.9
            activation = await activate(service, rebuilt(wrong=True))
            assert activation.unchanged
            assert activation.threshold_board == record.threshold
            assert service.repository.record("m") == record
            assert (await verdict(service, flat(95))).threshold == record.threshold

    running.run(main())


def reconstructed(content: bytes, image: NDArray[Any]) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"image": image})
    return np.asarray(output)


@pytest.mark.parametrize("method", ["max_smoothed_squared_error", NORMALISED])
def test_of_a_real_model_by_either_method(tmp_path: Path, method: Any) -> None:
    """The figures of ONNX Runtime and inspection/ on the host are the board's."""
    random = np.random.default_rng(3)
    good = [encoded(random.integers(0, 256, (16, 16, 3), np.uint8)) for _ in range(5)]
    usual = random.uniform(0.01, 0.1, (16, 16)).astype(np.float32)
    image = Preprocessing(height=16, width=16)
    plain = bundles.ort(zoo.autoencoder(), preprocessing=image, score=Score())
    bundle = plain.with_score(Score(method=method, threshold=0.2, sigma=2.0), training_error=usual, good_images=good)
    spec = score.Score(method, 2.0)
    scores = []
    for content in good:
        prepared = preprocess.prepare(preprocess.decode(content), preprocess.Preprocessing(height=16, width=16))
        made = reconstructed(bundle.files["model.onnx"], prepared)
        scores.append(score.score(score.judged_map(prepared, made, spec, "NCHW", usual)))

    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundle}) as service:
            found = service.repository.record("m").threshold
            assert found == pytest.approx(threshold_from_good(scores), rel=1e-4)
            assert [(await verdict(service, content)).score for content in good] == pytest.approx(scores, rel=1e-4)
            assert {(await verdict(service, content)).decision for content in good} == {"good"}

    running.run(main())


def test_it_waits_while_the_queue_is_full(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.supervised(tmp_path, rebuilt(wrong=True)) as supervisor:
            slots = [supervisor.take_slot() for _ in supervisor.arena.slots]
            finding = asyncio.ensure_future(calibration.threshold_of(supervisor))
            await asyncio.sleep(0.01)
            assert not finding.done()
            for slot in slots:
                supervisor.give_slot(slot)
            assert await finding == pytest.approx(score_of(100))
            assert supervisor.in_flight == 0

    running.run(main())


BROKEN = bundles.inspector().with_score(Score(), good_images=[GOOD[0], GOOD[1][:50]])
SILENT = bundles.inspector().with_score(
    Score(method=NORMALISED), training_error=np.full((8, 8), np.nan, np.float32), good_images=GOOD
)
DIES = bundles.inspector(crash_on_run=4).with_score(Score(), good_images=GOOD)  # after two golden cases


@pytest.mark.parametrize(
    ("bundle", "error", "told"),
    [
        (BROKEN, BadImageError, r"the good image 'good/001\.png': the PNG file of 50 bytes is broken"),
        (SILENT, WorkerFailedError, "the training error map has the mean nan"),
        (DIES, WorkerFailedError, "SIG|exit"),
    ],
    ids=["broken image", "bad map", "crash"],
)
def test_where_no_threshold_can_be_found_the_old_version_stays(
    tmp_path: Path, bundle: Bundle, error: type[Exception], told: str
) -> None:
    old = rebuilt(wrong=True)

    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": old}) as service:
            with pytest.raises(error, match=told):
                await activate(service, bundle)
            served = service.dataplane.pick("m").supervisor
            assert (served.state, served.deployment.bundle) == (ModelState.READY, old.id)
            assert service.repository.record("m").active == old.id
            assert (await verdict(service, flat(95))).threshold == pytest.approx(score_of(100))
            await running.until(lambda: len(running.children()) == 1)

    running.run(main())


def test_a_data_directory_from_before_is_served(tmp_path: Path) -> None:
    """Its manifest and its record know nothing of thresholds and good images."""

    async def first() -> None:
        async with bundles.serving(tmp_path, {"m": bundles.inspector(wrong=True)}):
            pass

    async def second() -> None:
        async with bundles.serving(tmp_path) as service:
            assert service.dataplane.pick("m").supervisor.state is ModelState.READY
            assert (await verdict(service, flat(95))).threshold == 0.5

    running.run(first())
    record = tmp_path / "models" / "m.json"
    known = json.loads(record.read_text())
    record.write_text(json.dumps({key: known[key] for key in ("active", "previous")}))
    manifest = json.loads((tmp_path / "bundles" / known["active"] / "manifest.json").read_text())
    assert not {"training_error", "good_images"} & set(manifest)
    running.run(second())
