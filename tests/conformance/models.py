"""What the suite runs, made for each runtime: a new file in agent/worker/runtimes/ needs a maker here by its name."""

from collections.abc import Mapping
from typing import Any, Protocol

import bundles
import numpy as np
import zoo
from bundles import Bundle
from onnx import helper

from contract.manifest import TensorSpec

HEAVY_BYTES = 20_000_000


class Maker(Protocol):
    """Models for one runtime. `bad_option`: one it has, with a value that it does not take."""

    bad_option: Mapping[str, Any]

    def echo(self, *specs: TensorSpec) -> Bundle:
        """Output i is input i, bit by bit."""

    def computing(self) -> Bundle:
        """Outputs that are not there already: the golden ones say which."""

    def heavy(self) -> Bundle:
        """At least HEAVY_BYTES of memory are held once it has run."""


class NullMaker:
    bad_option: Mapping[str, Any] = {"delay_ms": "long"}

    def echo(self, *specs: TensorSpec) -> Bundle:
        return bundles.null(*specs)

    def computing(self) -> Bundle:
        return bundles.null(wrong=True)

    def heavy(self) -> Bundle:
        return bundles.null(grow_bytes=HEAVY_BYTES)


class OrtMaker:
    bad_option: Mapping[str, Any] = {"threads": -1}

    def echo(self, *specs: TensorSpec) -> Bundle:
        values = [(spec.name, helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), spec.shape) for spec in specs]
        return bundles.ort(
            zoo.model(
                [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in values],
                [zoo.tensor(name, dims, element) for name, element, dims in values],
                [zoo.tensor(f"{name}_out", dims, element) for name, element, dims in values],
            )
        )

    def computing(self) -> Bundle:
        return bundles.ort(zoo.autoencoder())

    def heavy(self) -> Bundle:
        columns = HEAVY_BYTES // 4 // 1000
        return bundles.ort(
            zoo.model(
                [helper.make_node("MatMul", ["x", "w"], ["y"])],
                [zoo.tensor("x", (1, 1000))],
                [zoo.tensor("y", (1, columns))],
                [zoo.weights("w", 1000, columns)],
            )
        )


MAKERS: Mapping[str, Maker] = {"null": NullMaker(), "ort": OrtMaker()}
