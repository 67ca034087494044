"""Between the tensors of a signature, which lie in the slots, and those that the runtime's file takes and gives.

An integer is ``clip(round(real / scale) + zero_point)`` as in TFLite's QUANTIZE, in float32
(tensorflow/lite/kernels/internal/reference/quantize.h), where ties go to the even one as in ONNX's QuantizeLinear and
in XNNPACK's kernels; TFLite's own reference takes the one away from zero. NaN becomes the least integer. The way back
is ``scale * (integer - zero_point)``, exact but for one rounding (.../reference/dequantize.h).
"""

from typing import Any, Dict, List, Sequence, Tuple

import numpy

from .runtimes.base import Quantisation


class _Tensor:
    """One tensor of the file, and what is between it and the signature's. A conversion allocates nothing."""

    def __init__(self, declared: Dict[str, Any], dtype: str) -> None:
        """`declared`: contract.tensors.ArtifactTensor; `dtype`: the signature's."""
        axes = range(len(declared["shape"]))
        self._order = [int(axis) for axis in declared["order"]] or list(axes)
        self._inverse = [self._order.index(axis) for axis in axes]
        self.quantisation = None  # type: Quantisation
        if declared["quantisation"] is not None:
            self.quantisation = float(declared["quantisation"]["scale"]), int(declared["quantisation"]["zero_point"])
        self._is_narrowed = self.quantisation is None and declared["dtype"] != dtype
        self.is_same = self.quantisation is None and not self._is_narrowed and self._order == list(axes)
        self.own = numpy.zeros(tuple(declared["shape"]), numpy.dtype(declared["dtype"]))
        needs_scratch = self.quantisation is not None or self._is_narrowed
        self._numbers = numpy.empty(self.own.size, numpy.dtype(dtype)) if needs_scratch else None

    def encode(self, real: Any) -> None:
        """From the signature's array to the file's."""
        numbers = real
        if self.quantisation is not None:
            numbers = self._scratch(real.shape)
            scale, zero_point, least, most = self._constants()
            numpy.divide(real, scale, out=numbers)
            numpy.rint(numbers, out=numbers)
            numpy.add(numbers, zero_point, out=numbers)
            numpy.fmax(numbers, least, out=numbers)  # of NaN and a number it is the number
            numpy.minimum(numbers, most, out=numbers)
        elif self._is_narrowed:
            limits = numpy.iinfo(self.own.dtype)
            numbers = self._scratch(real.shape)
            numpy.clip(real, limits.min, limits.max, out=numbers)
        numpy.copyto(self.own, numbers.transpose(self._order), casting="unsafe")  # whole numbers, in range

    def decode(self, real: Any) -> None:
        """From the file's array to the signature's. The reordering is last: it reads what is in the cache by then."""
        numbers = self.own
        if self.quantisation is not None:
            numbers = self._scratch(self.own.shape)
            scale, zero_point, _, _ = self._constants()
            numpy.subtract(self.own, zero_point, out=numbers)
            numpy.multiply(numbers, scale, out=numbers)
        real[...] = numbers.transpose(self._inverse)

    def _scratch(self, shape: Tuple[int, ...]) -> Any:
        assert self._numbers is not None, "it is computed"
        return self._numbers.reshape(shape)

    def _constants(self) -> Tuple[Any, ...]:
        """Scale, zero point, least and greatest integer: as float32, or numpy 1 would compute in float64."""
        assert self.quantisation is not None
        limits = numpy.iinfo(self.own.dtype)
        return tuple(numpy.float32(number) for number in (*self.quantisation, limits.min, limits.max))


class Converter:
    """Of all tensors of one model. The file's arrays are shared by the slots: one run at a time.

    A tensor that is the same on both sides is not copied: the file's array is then the slot's own.
    """

    def __init__(self, artifact: Dict[str, List[Dict[str, Any]]], signature: Dict[str, Any]) -> None:
        """`artifact`: contract.tensors.Artifact; `signature`: its inputs and outputs, and whatever else."""
        self._inputs = _tensors(artifact["inputs"], signature["inputs"])
        self._outputs = _tensors(artifact["outputs"], signature["outputs"])

    @property
    def quantisation(self) -> Tuple[List[Quantisation], List[Quantisation]]:
        """Of the file's inputs and outputs, as the manifest says."""
        return [tensor.quantisation for tensor in self._inputs], [tensor.quantisation for tensor in self._outputs]

    def bound(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Tuple[List[Any], List[Any]]:
        """What a runtime reads and writes for a slot with these arrays of the signature."""
        return _bound(self._inputs, inputs), _bound(self._outputs, outputs)

    def encode(self, inputs: Sequence[Any]) -> None:
        """From a slot to the file's inputs."""
        for tensor, real in zip(self._inputs, inputs):
            if not tensor.is_same:
                tensor.encode(real)

    def decode(self, outputs: Sequence[Any]) -> None:
        """From the file's outputs to a slot."""
        for tensor, real in zip(self._outputs, outputs):
            if not tensor.is_same:
                tensor.decode(real)


def _tensors(declared: Sequence[Dict[str, Any]], specs: Sequence[Dict[str, Any]]) -> List[_Tensor]:
    return [_Tensor(tensor, spec["dtype"]) for tensor, spec in zip(declared, specs)]


def _bound(tensors: Sequence[_Tensor], of_slot: Sequence[Any]) -> List[Any]:
    return [view if tensor.is_same else tensor.own for tensor, view in zip(tensors, of_slot)]
