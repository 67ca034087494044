"""A model whose file is int8 and NHWC, by its whole way through an agent: users see float32 and NCHW."""

from dataclasses import replace
from pathlib import Path

import bundles
import numpy as np
import pytest
import running
from bundles import Bundle
from conformance.models import TfLiteMaker
from measuring import Bench

from agent.errors import GoldenMismatchError, WorkerRefusedError
from contract.manifest import Manifest
from contract.tensors import Artifact


def test_it_is_proven_served_and_benched_in_the_signature_s_types(tmp_path: Path) -> None:
    bundle = TfLiteMaker().computing()

    async def main() -> None:
        async with bundles.serving(tmp_path, {"m": bundle}, start=bundles.launch(tmp_path)) as service:
            supervisor = service.dataplane.models["m"].supervisor
            expected = bundle.files["golden/outputs.bin"]
            size = bundle.manifest.signature.output_bytes
            for number, content in enumerate(bundle.golden_inputs()):
                _, output = await bundles.ask(supervisor, content)
                assert output == expected[number * size : (number + 1) * size]
            with service.dataplane.admit(service.dataplane.models["m"]) as admission:
                times = await admission.run()
            assert times.convert_ns is not None
            assert times.convert_ns > 0
            measured = await Bench(service, runs=20).measured()
            assert measured.convert_ns_mean is not None
            assert 0 < measured.convert_ns_mean < 100e6
            assert "convert_ms.mean" not in measured.unmet
            assert measured.environment.runtime == "tflite"
            assert measured.environment.runtime_details is not None
            assert measured.environment.runtime_details["delegate"] == "none"

    running.run(main())


def test_a_scale_that_is_not_the_file_s_is_refused_before_a_single_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with bundles.serving(tmp_path, start=bundles.launch(tmp_path)) as service:
            with pytest.raises(WorkerRefusedError, match=r"the manifest says of the scale 0\.06") as refusal:
                await bundles.activate(service, _rescaled(TfLiteMaker().computing(), 0.06))
            assert refusal.value.code == "signature_mismatch"

    running.run(main())


def test_golden_outputs_are_compared_after_the_way_back(tmp_path: Path) -> None:
    bundle = TfLiteMaker().computing()
    other = (np.frombuffer(bundle.files["golden/outputs.bin"], np.float32) + 0.5).tobytes()

    async def main() -> None:
        async with bundles.serving(tmp_path, start=bundles.launch(tmp_path)) as service:
            with pytest.raises(GoldenMismatchError):
                await bundles.activate(service, bundle.with_file("golden/outputs.bin", other))

    running.run(main())


def _rescaled(bundle: Bundle, scale: float) -> Bundle:
    """Another scale in the manifest than in the file."""
    artifact = bundle.manifest.artifact
    assert artifact
    changed = [
        tensor.model_copy(update={"quantisation": tensor.quantisation.model_copy(update={"scale": scale})})
        for tensor in (*artifact.inputs, *artifact.outputs)
        if tensor.quantisation
    ]
    tensors = Artifact(inputs=(changed[0],), outputs=(changed[1],))
    return replace(bundle, manifest=Manifest.model_validate({**dict(bundle.manifest), "artifact": tensors}))
