"""From an encoded image to the model's input, from its output to a decision: as the manifest says, by inspection/.

Numpy and Pillow are imported at the first image: an agent that serves nothing, or tensors alone, does without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.errors import BadImageError, UnsupportedMediaError, WorkerFailedError
from agent.loading import Deployment
from contract.manifest import Manifest

if TYPE_CHECKING:
    from inspection.score import FloatMap


_SEND_TENSORS = "send application/octet-stream, application/x-npy or JSON tensors"


@dataclass(frozen=True)
class Verdict:
    """Of one image. `threshold` is None where good images have not set it yet: the decision is then "uncalibrated"."""

    score: float
    threshold: float | None
    decision: Literal["good", "defective", "uncalibrated"]
    anomaly: "FloatMap"

    def picture(self) -> bytes:
        """The anomaly map as a PNG; the scale ends at twice the threshold, so that pictures compare."""
        from inspection.score import render_map

        return render_map(self.anomaly, 2 * self.threshold if self.threshold else None)


def prepare(manifest: Manifest, encoded: bytes) -> memoryview:
    """The bytes of the model's one input. BadImageError; UnsupportedMediaError where the model takes no image."""
    from inspection import preprocess
    from inspection.errors import ImageError, InputMismatchError

    if manifest.preprocessing is None or len(manifest.signature.inputs) > 1:
        raise UnsupportedMediaError("this model takes tensors, no images", _SEND_TENSORS)
    steps = preprocess.Preprocessing(**dict(manifest.preprocessing))
    (spec,) = manifest.signature.inputs
    try:
        prepared = preprocess.prepare(preprocess.decode(encoded), steps, spec.dtype)
    except ImageError as error:
        raise BadImageError(str(error), error.hint, error.code) from error
    except InputMismatchError as error:
        raise UnsupportedMediaError(str(error), _SEND_TENSORS) from error
    if prepared.shape != spec.shape:
        raise UnsupportedMediaError(
            f"images become {list(prepared.shape)} as the manifest prepares them, the model takes {list(spec.shape)}",
            _SEND_TENSORS,
        )
    return prepared.data.cast("B")


def judge(deployment: Deployment, inputs: Sequence[memoryview], outputs: Sequence[memoryview]) -> Verdict | None:
    """The decision on a run's input and output; None where the model has no score."""
    rule, manifest = deployment.score, deployment.manifest
    if rule is None or manifest.preprocessing is None:
        return None
    import numpy as np

    from inspection import score
    from inspection.errors import InspectionError

    before, after = (
        np.frombuffer(view, spec.dtype).reshape(spec.shape)
        for view, spec in ((inputs[0], manifest.signature.inputs[0]), (outputs[0], manifest.signature.outputs[0]))
    )
    try:
        anomaly = score.judged_map(
            before, after, score.Score(**dict(rule)), manifest.preprocessing.layout, deployment.training_error
        )
        value = score.score(anomaly)
        return Verdict(value, rule.threshold, score.decide(value, rule.threshold), anomaly)
    except InspectionError as error:
        raise WorkerFailedError(str(error), error.hint, error.code) from error
