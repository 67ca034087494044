"""A model file -> what the host puts into a bundle for one kind of board."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from converters.draft import Draft
from converters.golden import Case
from converters.kept import original_of
from converters.plan import Target, plan
from converters.proto import serialise
from converters.signature import Shape, Signature
from converters.weights import count_weights

_METADATA_KEY = "boardfit"


@dataclass(frozen=True)
class Converted:
    """A converted model.

    model        one self-contained file; the same source, shapes and calibration inputs give the same bytes
    signature    names, element types and static shapes, as measured in ONNX Runtime
    weights      of the model as it came, see `count_weights`
    inspection   the text of ``metadata_props["boardfit"]``: what the model knows of its inspection, or None
    notices      what was decided for the user, one sentence each
    steps        names of the host-site steps done, in order
    board_steps  names of the steps that the board has to do, in order
    typed        the precision is in the model, and the board's builder is not told it again
    """

    model: bytes
    signature: Signature
    weights: int
    inspection: str | None
    notices: tuple[str, ...]
    steps: tuple[str, ...]
    board_steps: tuple[str, ...] = ()
    typed: bool = False


def convert(
    path: Path,
    target: Target,
    input_shapes: Mapping[str, Shape] | None = None,
    on_step: Callable[[str], None] = lambda name: None,
    *,
    calibration: Sequence[Case] = (),
) -> Converted:
    """Do the host-site steps from the ONNX file at `path` to `target`; `on_step` hears each step's name before it.

    `input_shapes` has whole shapes, batch included, by input name, for what the model leaves open. `calibration` has
    inputs as the model takes them, like those on the board: int8 needs them, and what a step may have changed is
    measured on the first of them. Raises ConversionError (converters/errors.py draws the tree).
    """
    steps = plan("onnx", target)
    draft = Draft(path, dict(input_shapes or {}), target=target, calibration=calibration)
    original = None
    for step in steps:
        if step.site == "host":
            on_step(step.name)
            if step.alters != "nothing":
                original = original or original_of(draft)
            import_module(f"converters.steps.{step.name}").apply(draft)  # its heavy imports wait until it is wanted
            if original and step.alters != "nothing":
                original.check(draft, step)
    return Converted(
        model=serialise(draft.model),
        signature=draft.signature,
        weights=original.weights if original else count_weights(draft.model),
        inspection=next((entry.value for entry in draft.model.metadata_props if entry.key == _METADATA_KEY), None),
        notices=tuple(draft.notices),
        steps=tuple(step.name for step in steps if step.site == "host"),
        board_steps=tuple(step.name for step in steps if step.site == "board"),
        typed=target.typed,
    )
