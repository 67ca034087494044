"""A model file -> what the host puts into a bundle for one kind of board."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from converters.artifact import Artifact, LayerError
from converters.draft import Draft
from converters.edge_tpu.compiler import Compiler
from converters.edge_tpu.report import EdgeTpuReport
from converters.golden import Case
from converters.int8_options import Int8Options
from converters.kept import Original, original_of
from converters.plan import Target, plan
from converters.proto import serialise
from converters.signature import Shape, Signature
from converters.tensorrt import artifact_of
from converters.weights import count_weights

_METADATA_KEY = "boardfit"
_USUAL = Int8Options()
_ON_PATH = Compiler()


@dataclass(frozen=True)
class Converted:
    """A converted model.

    model        one self-contained file; the same source, shapes and calibration inputs give the same bytes
    signature    names, element types and static shapes, as measured in ONNX Runtime
    weights      of the model as it came, see `count_weights`; None where it came as no ONNX
    inspection   the text of ``metadata_props["boardfit"]``: what the model knows of its inspection, or None
    notices      what was decided for the user, one sentence each
    steps        names of the host-site steps done, in order
    board_steps  names of the steps that the board has to do, in order
    typed        the precision is in the model, and the board's builder is not told it again
    artifact     the file's inputs and outputs, where they are not those of the signature
    layers       how far each layer of a quantised file is from the model's, where that was measured
    edge_tpu     what the Edge TPU's compiler made of it, where it was compiled
    """

    model: bytes
    signature: Signature
    weights: int | None
    inspection: str | None
    notices: tuple[str, ...]
    steps: tuple[str, ...]
    board_steps: tuple[str, ...] = ()
    typed: bool = False
    artifact: Artifact | None = None
    layers: tuple[LayerError, ...] = ()
    edge_tpu: EdgeTpuReport | None = None


def format_of(path: Path) -> str:
    """Of a model file, by its name: "onnx" where that says nothing else."""
    return "tflite" if path.suffix.lower() == ".tflite" else "onnx"


def convert(
    path: Path,
    target: Target,
    input_shapes: Mapping[str, Shape] | None = None,
    on_step: Callable[[str], None] = lambda name: None,
    *,
    calibration: Sequence[Case] = (),
    options: Int8Options = _USUAL,
    compiler: Compiler = _ON_PATH,
) -> Converted:
    """Do the host-site steps from the model file at `path` to `target`; `on_step` hears each step's name before it.

    `input_shapes` has whole shapes, batch included, by input name, for what the model leaves open. `calibration` has
    inputs as the model takes them, like those on the board: int8 needs them, and what a step may have changed is
    measured on the first of them. `options` and `compiler` are for what becomes int8 TFLite. Raises ConversionError
    (converters/errors.py draws the tree).
    """
    steps = plan(format_of(path), target)
    draft = Draft(
        path,
        dict(input_shapes or {}),
        target=target,
        calibration=calibration,
        options=options,
        compiler=compiler,
    )
    original = None
    for step in steps:
        if step.site == "host":
            on_step(step.name)
            if step.alters != "nothing":
                original = original or original_of(draft)
            import_module(f"converters.steps.{step.name}").apply(draft)  # its heavy imports wait until it is wanted
            if original and step.alters != "nothing":
                original.check(draft, step)
    board_builds = target.runtime == "trt"
    return Converted(
        model=serialise(draft.model) if draft.content is None else draft.content,
        signature=draft.signature,
        weights=_weights(draft, original),
        inspection=next((entry.value for entry in draft.model.metadata_props if entry.key == _METADATA_KEY), None),
        notices=tuple(draft.notices),
        steps=tuple(step.name for step in steps if step.site == "host"),
        board_steps=tuple(step.name for step in steps if step.site == "board"),
        typed=target.typed,
        artifact=draft.artifact or (artifact_of(draft.signature, target.runtime_version) if board_builds else None),
        layers=draft.layers,
        edge_tpu=draft.edge_tpu,
    )


def _weights(draft: Draft, original: Original | None) -> int | None:
    if original:
        return original.weights
    return count_weights(draft.model) if draft.model.HasField("graph") else None
