"""How a model was trained, as it travels with it."""

import json
from dataclasses import asdict

from onnx import ModelProto, helper

from compression.training.loop import Trained
from compression.training.pace import Pace
from compression.training.recipe import Recipe

METADATA_KEY = "boardfit.training"


def write_record(model: ModelProto, recipe: Recipe, pace: Pace, trained: Trained) -> None:
    """Into the model's metadata, beside what is there: JSON with `recipe`, `pace`, `best` and all epochs."""
    record = {
        "recipe": asdict(recipe),
        "pace": asdict(pace),
        "best": asdict(trained.best),
        "history": [asdict(epoch) for epoch in trained.history],
    }
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata[METADATA_KEY] = json.dumps(record, separators=(",", ":"))
    helper.set_model_props(model, metadata)
