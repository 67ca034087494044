"""A model file -> what the host puts into a bundle for one kind of board."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from converters.draft import Draft
from converters.plan import Target, plan
from converters.proto import serialise
from converters.signature import Shape, Signature
from converters.weights import count_weights

_METADATA_KEY = "boardfit"


@dataclass(frozen=True)
class Converted:
    """A converted model.

    model       one self-contained file; the same source and shapes give the same bytes
    signature   names, element types and static shapes, as measured in ONNX Runtime
    weights     see `count_weights`
    inspection  the text of ``metadata_props["boardfit"]``: what the model knows of its inspection, or None
    notices     what was decided for the user, one sentence each
    steps       names of the host-site steps done, in order
    """

    model: bytes
    signature: Signature
    weights: int
    inspection: str | None
    notices: tuple[str, ...]
    steps: tuple[str, ...]


def convert(
    path: Path,
    target: Target,
    input_shapes: Mapping[str, Shape] | None = None,
    on_step: Callable[[str], None] = lambda name: None,
) -> Converted:
    """Do the host-site steps from the ONNX file at `path` to `target`; `on_step` hears each step's name before it.

    `input_shapes` has whole shapes, batch included, by input name, for what the model leaves open. Raises
    ConversionError (converters/errors.py draws the tree).
    """
    draft = Draft(path, dict(input_shapes or {}))
    steps = tuple(step.name for step in plan("onnx", target) if step.site == "host")
    for name in steps:
        on_step(name)
        import_module(f"converters.steps.{name}").apply(draft)  # a step's heavy imports wait until it is wanted
    return Converted(
        model=serialise(draft.model),
        signature=draft.signature,
        weights=count_weights(draft.model),
        inspection=next((entry.value for entry in draft.model.metadata_props if entry.key == _METADATA_KEY), None),
        notices=tuple(draft.notices),
        steps=steps,
    )
