"""How a model was trained, as it travels with it."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onnx import ModelProto, helper

if TYPE_CHECKING:
    from compression.training.loop import Trained
    from compression.training.pace import Pace
    from compression.training.recipe import Recipe

METADATA_KEY = "boardfit.training"


def write_record(model: ModelProto, held_out_seed: int, recipe: "Recipe", pace: "Pace", trained: "Trained") -> None:
    """Into the model's metadata, beside what is there: JSON with `held_out_seed`, which says what images it was not
    trained on, `recipe`, `pace`, and of the last stage of a gradual compression `best` and all epochs.
    """
    told = {
        "recipe": asdict(recipe),
        "pace": asdict(pace),
        "best": asdict(trained.best),
        "history": [asdict(epoch) for epoch in trained.history],
    }
    _write(model, {"held_out_seed": held_out_seed, **told})


def forget_record(model: ModelProto) -> None:
    """All but the `held_out_seed`: the weights are not those that were trained."""
    seed = held_out_seed(model)
    _write(model, {} if seed is None else {"held_out_seed": seed})


def held_out_seed(model: ModelProto) -> int | None:
    """Of the split of the images that it was trained on; None where the model does not say."""
    text = next((entry.value for entry in model.metadata_props if entry.key == METADATA_KEY), None)
    try:
        seed = json.loads(text)["held_out_seed"] if text is not None else None
    except (ValueError, KeyError, TypeError):  # of others, or damaged: a record is no more than that
        return None
    return seed if isinstance(seed, int) else None


def _write(model: ModelProto, record: dict[str, Any]) -> None:
    metadata = {entry.key: entry.value for entry in model.metadata_props if entry.key != METADATA_KEY}
    if record:
        metadata[METADATA_KEY] = json.dumps(record, separators=(",", ":"))
    helper.set_model_props(model, metadata)
