"""The times of a model's layers: of every runtime that can tell, and it goes on afterwards."""

import time

import numpy as np
from conformance import workers
from conformance.workers import Place

RUNS = 20


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
