"""A model file -> what the host puts into a bundle for one kind of board."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import zip_longest
from pathlib import Path

import onnx

from converters.anatomy import onnx_macs, tflite_macs
from converters.artifact import Artifact, LayerError
from converters.draft import TRIAL_BUILD_S, Draft
from converters.edge_tpu.compiler import Compiler
from converters.edge_tpu.report import EdgeTpuReport
from converters.golden import Case
from converters.int8_options import Int8Options
from converters.kept import Original, original_of
from converters.plan import Step, Target, plan
from converters.proto import serialise
from converters.quantisation import is_quantised
from converters.signature import Shape, Signature
from converters.tensorrt import artifact_of
from converters.tflite_file import read_tflite
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
    macs         multiply-adds of a run of the model as it came; None where those of one operator are not known
    inspection   the text of ``metadata_props["boardfit"]``: what the model knows of its inspection, or None
    notices      what was decided for the user, one sentence each
    steps        names of the host-site steps done, in order
    board_steps  names of the steps that the board has to do, in order
    typed        the precision is in the model, and the board's builder is not told it again
    artifact     the file's inputs and outputs, where they are not those of the signature
    quantised    the model has int8 ranges of its own
    sqnr_db      how far what it computes is from the model as it came, in dB, where a step rounded; None: not measured
    layers       how far each layer of a quantised file is from the model's, where that was measured
    edge_tpu     what the Edge TPU's compiler made of it, where it was compiled
    """

    model: bytes
    signature: Signature
    weights: int | None
    macs: int | None
    inspection: str | None
    notices: tuple[str, ...]
    steps: tuple[str, ...]
    board_steps: tuple[str, ...] = ()
    typed: bool = False
    artifact: Artifact | None = None
    quantised: bool = False
    sqnr_db: float | None = None
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
    begun: Converted | None = None,
    calibration: Sequence[Case] = (),
    options: Int8Options = _USUAL,
    compiler: Compiler = _ON_PATH,
    trial_build_s: float = TRIAL_BUILD_S,
    on_part: Callable[[str], None] = lambda text: None,
) -> Converted:
    """Do the host-site steps from the model file at `path` to `target`; `on_step` hears each step's name before it.

    `input_shapes` has whole shapes, batch included, by input name, for what the model leaves open. `begun` is the same
    file with the same shapes as it came, converted for ONNX Runtime or, where it is TFLite, for a CPU: the steps that
    it begins with are not done again. `calibration` has inputs as the model takes them, like those on the board: int8
    needs them, and what a step may have changed is measured on the first of them. `options` and `compiler` are for what
    becomes int8 TFLite, `trial_build_s` and `on_part` as `Draft` says. Raises ConversionError (converters/errors.py
    draws the tree).
    """
    steps = plan(format_of(path), target)
    draft = Draft(
        path,
        dict(input_shapes or {}),
        target=target,
        calibration=calibration,
        options=options,
        compiler=compiler,
        trial_build_s=trial_build_s,
        on_part=on_part,
    )
    done = 0 if begun is None else _take_up(draft, begun, steps)
    original = None
    unchecked: list[Step] = []
    to_do = [step for step in steps[done:] if step.site == "host"]
    for step, following in zip_longest(to_do, to_do[1:]):
        on_step(step.name)
        if step.alters != "nothing":
            original = original or original_of(draft)
            unchecked.append(step)
        import_module(f"converters.steps.{step.name}").apply(draft)  # its heavy imports wait until it is wanted
        if original and unchecked and (following is None or following.alters != step.alters):
            original.check(draft, *unchecked)
            unchecked.clear()
    board_builds = target.runtime == "trt"
    weights, macs = (begun.weights, begun.macs) if begun else _counts(draft, original)
    return Converted(
        model=serialise(draft.model) if draft.content is None else draft.content,
        signature=draft.signature,
        weights=weights,
        macs=macs,
        inspection=next((entry.value for entry in draft.model.metadata_props if entry.key == _METADATA_KEY), None),
        notices=tuple(draft.notices),
        steps=tuple(step.name for step in steps if step.site == "host"),
        board_steps=tuple(step.name for step in steps if step.site == "board"),
        typed=target.typed,
        artifact=draft.artifact or (artifact_of(draft.signature, target.runtime_version) if board_builds else None),
        quantised=is_quantised(draft.model),
        sqnr_db=draft.sqnr_db,
        layers=draft.layers,
        edge_tpu=draft.edge_tpu,
    )


def _take_up(draft: Draft, begun: Converted, steps: Sequence[Step]) -> int:
    """Bring the draft to where the steps part from those of `begun`; gives how many they have in common."""
    parted = (index for index, step in enumerate(steps) if step.name not in begun.steps[index : index + 1])
    done = next(parted, len(steps))
    draft.notices += begun.notices
    if begun.artifact is None:
        draft.model = onnx.load_model_from_string(begun.model)
        draft.signature = Signature(begun.signature.inputs, ())
    else:
        draft.content, draft.artifact, draft.signature = begun.model, begun.artifact, begun.signature
    return done


def _counts(draft: Draft, original: Original | None) -> tuple[int | None, int | None]:
    """Weights and multiply-adds."""
    if original:
        return original.weights, original.macs
    if draft.model.HasField("graph"):
        return count_weights(draft.model), onnx_macs.of_model(draft.model)
    return None, None if draft.content is None else tflite_macs.of_file(read_tflite(draft.content))
