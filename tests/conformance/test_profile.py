"""The times of a model's layers: of every runtime that can tell, and it goes on afterwards."""

import time

import numpy as np
import pytest
from conformance import workers
from conformance.models import MAKERS
from conformance.settings import SETTINGS
from conformance.workers import Place

from agent.errors import WorkerRefusedError

RUNS = 20
TELLING = [pytest.param(each, id=each.name) for each in SETTINGS if MAKERS[each.maker].tells_layers]
SILENT = [pytest.param(each, id=each.name) for each in SETTINGS if not MAKERS[each.maker].tells_layers]


@pytest.mark.parametrize("place", SILENT, indirect=True, scope="module")
def test_a_runtime_that_cannot_tell_says_so_and_goes_on(place: Place) -> None:
    bundle = place.maker.computing()
    (image,) = (np.frombuffer(content, np.float32) for content in bundle.golden_inputs()[:1])
    with workers.loaded(place, bundle) as worker:
        computed = worker.infer(worker.arena.slots[0], [image])
        with pytest.raises(WorkerRefusedError) as refusal:
            worker.request(op="profile", slot=0, runs=RUNS)
        assert refusal.value.code == "unsupported"
        assert worker.infer(worker.arena.slots[1], [image]) == computed


@pytest.mark.parametrize("place", TELLING, indirect=True, scope="module")
def test_the_layers_have_names_and_times_within_what_the_caller_waited(place: Place) -> None:
    bundle = place.maker.computing()
    inputs = [np.frombuffer(content, np.float32) for content in bundle.golden_inputs()]
    with workers.loaded(place, bundle) as worker:
        first, second = worker.arena.slots[:2]
        computed = worker.infer(first, [inputs[0]])
        worker.fill(second, [inputs[0]])
        untouched = worker.outputs(second)
        began = time.perf_counter()
        layers = worker.request(op="profile", slot=first.index, runs=RUNS)["layers"]
        waited_ms = 1000 * (time.perf_counter() - began)
        assert layers
        assert all(isinstance(name, str) and name for name, _ in layers)
        assert len({name for name, _ in layers}) == len(layers)
        assert all(mean_ms >= 0 for _, mean_ms in layers)
        assert 0 < sum(mean_ms for _, mean_ms in layers) * RUNS < waited_ms
        assert worker.outputs(first) == computed
        assert worker.outputs(second) == untouched
        assert worker.infer(second, [inputs[0]]) == computed
