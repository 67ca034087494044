"""What the suite runs, made for each runtime: a new file in agent/worker/runtimes/ needs a maker here.

The bundles of a runtime that builds say so (Bundle.to_build): a worker builds what the others then load.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import bundles
import numpy as np
import tflite_models
import zoo
from bundles import Bundle, Tensors
from numpy.typing import NDArray
from onnx import helper
from tflite_models import T

from contract.manifest import Manifest, RuntimeSpec
from contract.tensors import ITEM_BYTES, Artifact, ArtifactTensor, Quantisation, Signature, TensorSpec

HEAVY_BYTES = 20_000_000

# Every element type, a scalar among them, in sizes that the alignment of each matters for.
EVERY_TYPE = (
    *(
        TensorSpec.model_validate({"name": dtype, "dtype": dtype, "shape": (1, 3, size)})
        for size, dtype in enumerate(ITEM_BYTES, start=3)
    ),
    TensorSpec(name="scalar", dtype="float32", shape=()),
)


class Maker(Protocol):
    """Models for one runtime.

    specs        what its echo is of: every type that it takes
    bad_options  some that it has, each with a value that it does not take
    tells_layers whether the runtime knows the time of each
    """

    runtime: str
    tells_layers: bool
    specs: tuple[TensorSpec, ...]
    bad_options: Mapping[str, Any]

    def echo(self, *specs: TensorSpec) -> Bundle:
        """Output i is input i, bit by bit."""

    def computing(self) -> Bundle:
        """Outputs that are not there already: the golden ones say which."""

    def heavy(self) -> Bundle:
        """At least HEAVY_BYTES of memory are held once it has run."""


class BuildingMaker(Maker, Protocol):
    """The same for one that builds. `refused_operator`: of a node that its parser does not take."""

    refused_operator: str

    def refused(self) -> Bundle:
        """A model with that node."""


class NullMaker:
    runtime = "null"
    tells_layers = True
    specs = EVERY_TYPE
    bad_options: Mapping[str, Any] = {"delay_ms": "long"}

    def echo(self, *specs: TensorSpec) -> Bundle:
        return bundles.null(*specs)

    def computing(self) -> Bundle:
        return bundles.null(wrong=True)

    def heavy(self) -> Bundle:
        return bundles.null(grow_bytes=HEAVY_BYTES)


class BuiltNullMaker(NullMaker):
    refused_operator = "Fancy"

    def echo(self, *specs: TensorSpec) -> Bundle:
        return super().echo(*specs).to_build()

    def computing(self) -> Bundle:
        return super().computing().to_build()

    def heavy(self) -> Bundle:
        return super().heavy().to_build()

    def refused(self) -> Bundle:
        return bundles.null(nodes=[("act", self.refused_operator)]).to_build()


class OrtMaker:
    runtime = "ort"
    tells_layers = True
    specs = EVERY_TYPE
    bad_options: Mapping[str, Any] = {"threads": -1}

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


class TrtMaker(OrtMaker):
    """Of the same ONNX models. No 64-bit integers and no bytes: TensorRT 8.2 has neither as inputs and outputs."""

    runtime = "trt"
    specs = tuple(spec for spec in EVERY_TYPE if spec.dtype in ("float32", "float16", "int32"))
    bad_options: Mapping[str, Any] = {}
    refused_operator = "Unique"

    def echo(self, *specs: TensorSpec) -> Bundle:
        return self._built(super().echo(*specs))

    def computing(self) -> Bundle:
        return self._built(super().computing())

    def heavy(self) -> Bundle:
        return self._built(super().heavy())

    def refused(self) -> Bundle:
        fancy = zoo.model(
            [helper.make_node(self.refused_operator, ["x"], ["y"], "act")],
            [zoo.tensor("x", (1, 3))],
            [zoo.tensor("y", (1, 3))],
        )
        return self.computing().with_file("model.onnx", fancy.SerializeToString())

    def _built(self, bundle: Bundle) -> Bundle:
        return bundle.for_runtime("trt").to_build()


class TfLiteMaker:
    """What computes is quantised and NHWC, as all that is converted: the worker converts on both sides."""

    runtime = "tflite"
    tells_layers = False
    specs = tuple(spec for spec in EVERY_TYPE if spec.dtype not in ("uint16", "uint64"))
    bad_options: Mapping[str, Any] = {"threads": -1, "delegate": "gpu"}

    def echo(self, *specs: TensorSpec) -> Bundle:
        outputs = tuple(spec.model_copy(update={"name": f"{spec.name}_out"}) for spec in specs)
        signature = Signature(inputs=specs, outputs=outputs)
        given = bundles.noise(signature, 2)
        return self._bundle(
            tflite_models.echo(*(T(spec.name, spec.dtype, spec.shape) for spec in specs)), signature, given, given
        )

    def computing(self) -> Bundle:
        scale, zero_point = 0.03, -5
        signature = Signature(
            inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 3, 8, 6)),),
            outputs=(TensorSpec(name="pooled", dtype="float32", shape=(1, 3, 4, 3)),),
        )
        given = bundles.noise(signature, 2)
        whole = [np.clip(np.rint(x / np.float32(scale)) + zero_point, -128, 127) for (x,) in given]
        expected = [[_pooled(numbers - zero_point) * np.float32(scale)] for numbers in whole]
        model = tflite_models.pooled(T("x", "int8", (1, 8, 6, 3), (scale, zero_point)))
        plain = self._bundle(model, signature, given, expected)
        quantisation = Quantisation(scale=scale, zero_point=zero_point)
        tensors = [
            ArtifactTensor(name=name, dtype="int8", shape=shape, order=(0, 2, 3, 1), quantisation=quantisation)
            for name, shape in (("x", (1, 8, 6, 3)), ("y", (1, 4, 3, 3)))
        ]
        artifact = Artifact(inputs=(tensors[0],), outputs=(tensors[1],))
        return Bundle(Manifest.model_validate({**dict(plain.manifest), "artifact": artifact}), plain.files)

    def heavy(self) -> Bundle:
        columns = HEAVY_BYTES // 4 // 1000
        signature = Signature(
            inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 1000)),),
            outputs=(TensorSpec(name="y", dtype="float32", shape=(1, columns)),),
        )
        given = bundles.noise(signature, 1)
        expected = [[np.zeros((1, columns), np.float32)]]  # which are not asked for
        return self._bundle(tflite_models.product(1000, columns), signature, given, expected)

    def _bundle(self, model: bytes, signature: Signature, given: list[Tensors], expected: list[Tensors]) -> Bundle:
        runtime = RuntimeSpec(key=self.runtime, file="model.tflite", options={"threads": 1})
        return bundles.make(runtime, model, signature, given, expected)


def _pooled(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The greatest of each 2 x 2, (N, C, H, W)."""
    batch, channels, height, width = numbers.shape
    return numbers.reshape(batch, channels, height // 2, 2, width // 2, 2).max((3, 5))


BUILDERS: Mapping[str, BuildingMaker] = {"null-built": BuiltNullMaker(), "trt": TrtMaker()}
EVERYWHERE: Mapping[str, Maker] = {"null": NullMaker(), "null-built": BuiltNullMaker(), "ort": OrtMaker()}
"""Those whose runtime needs nothing that a Python of a worker has not."""

MAKERS: Mapping[str, Maker] = {**EVERYWHERE, **BUILDERS, "tflite": TfLiteMaker()}
