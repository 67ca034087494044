"""What an engine computes, by ONNX Runtime, with a trace of the precision it was built for."""

import numpy

_NUMPY = {
    "FLOAT": numpy.float32,
    "HALF": numpy.float16,
    "INT8": numpy.int8,
    "INT32": numpy.int32,
    "INT64": numpy.int64,
    "BOOL": numpy.bool_,
    "UINT8": numpy.uint8,
}
_ONNX = {
    "tensor(float)": numpy.float32,
    "tensor(float16)": numpy.float16,
    "tensor(double)": numpy.float64,
    "tensor(int8)": numpy.int8,
    "tensor(uint8)": numpy.uint8,
    "tensor(int32)": numpy.int32,
    "tensor(int64)": numpy.int64,
    "tensor(bool)": numpy.bool_,
}


class CannotComputeError(Exception):
    """ONNX Runtime does not run the model."""


def numpy_type(name):
    """Of a DataType's name."""
    return numpy.dtype(_NUMPY[name])


class Computer(object):
    """A model; `precision` is fp32, tf32 or fp16, and shows in the last bits of every float32 output."""

    def __init__(self, model, precision):
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        settings.log_severity_level = 4
        self._precision = precision
        try:
            self._session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # a dozen classes of its own, of no common base in 1.10
            raise CannotComputeError(str(error)) from error
        self._inputs = self._session.get_inputs()
        self._outputs = [it.name for it in self._session.get_outputs()]

    def run(self, arrays):
        """Outputs by name, for inputs by name; types are ONNX's, whatever they were."""
        feed = {it.name: numpy.asarray(arrays[it.name], _ONNX[it.type]) for it in self._inputs}
        try:
            results = self._session.run(None, feed)
        except Exception as error:
            raise CannotComputeError(str(error)) from error
        with numpy.errstate(over="ignore"):  # more than a float16 can be is infinity there too
            return {name: self._rounded(it) for name, it in zip(self._outputs, results)}

    def _rounded(self, array):
        if array.dtype != numpy.float32 or self._precision == "fp32":
            return array
        if self._precision == "fp16":
            return array.astype(numpy.float16).astype(numpy.float32)
        bits = numpy.ascontiguousarray(array).view(numpy.uint32)
        rounded = (bits + numpy.uint32(1 << 12)) & numpy.uint32(0xFFFFE000)  # 10 of 23 bits of mantissa
        return numpy.where(numpy.isfinite(array), rounded.astype(numpy.uint32).view(numpy.float32), array)
