"""What can be wrong where a model is compiled for the Edge TPU.

::

    ConversionError
    ├── AlreadyCompiledError           edge_tpu_already           a compiled file where one to compile is needed
    └── EdgeTpuError                   edge_tpu_failed            `uncompiled` is the int8 file, which a CPU runs
        ├── CompilerAbsentError        edge_tpu_compiler_absent   not on PATH, and none of the other ways was asked for
        ├── ContainerError             edge_tpu_container         Docker is absent, or its image cannot be made
        ├── NotQuantisedError          edge_tpu_not_quantised     a float model
        ├── OperatorVersionError       edge_tpu_operator_version  an operator newer than the compiler
        ├── ModelRefusedError          edge_tpu_model_refused     it cannot read the file, or TFLite cannot run it
        ├── LargeActivationsError      edge_tpu_large_activations the feature maps do not fit on the chip
        ├── InternalCompilerError      edge_tpu_internal          it gives up without a reason
        ├── CompilerTimeoutError       edge_tpu_timeout           it did not end in time
        ├── CompilerCrashedError       edge_tpu_crashed           a signal or an exception ended it
        ├── NothingMappedError         edge_tpu_nothing_mapped    it succeeded, and nothing would run on the chip
        │   └── DataTypeError          edge_tpu_data_type         because of the tensors' element types
        ├── UnexpectedOutputError      edge_tpu_output            it says something that we do not understand
        ├── CompiledFileError          edge_tpu_compiled_file     no compiled file, or a damaged one
        └── OtherModelError            edge_tpu_other_model       compiled, but of another model
"""

from converters.errors import ConversionError


class EdgeTpuError(ConversionError):
    """`uncompiled` is the int8 file that was to be compiled: it is whole, and runs on a CPU."""

    code = "edge_tpu_failed"
    uncompiled: bytes = b""


class CompilerAbsentError(EdgeTpuError):
    """The compiler is not on PATH, and none of the other ways was asked for."""

    code = "edge_tpu_compiler_absent"


class ContainerError(EdgeTpuError):
    """Docker is absent or does not answer, or the image with the compiler cannot be made."""

    code = "edge_tpu_container"


class NotQuantisedError(EdgeTpuError):
    """The compiler takes 8-bit models alone."""

    code = "edge_tpu_not_quantised"


class OperatorVersionError(EdgeTpuError):
    """An operator, or a version of one, that came after the compiler; `version` is None where it knows none."""

    code = "edge_tpu_operator_version"

    def __init__(self, operator: str, version: int | None) -> None:
        super().__init__(
            f"the Edge TPU's compiler does not know the operator {operator}"
            + ("" if version is None else f" in version {version}"),
            "boardfit writes none of those: of a .onnx, please report it with the model; in a .tflite of your own, "
            "replace it by operators of 2021, or run the int8 file on the board's CPU: --cpu",
        )
        self.operator = operator
        self.version = version


class ModelRefusedError(EdgeTpuError):
    """The compiler cannot read the file, or TFLite cannot run it."""

    code = "edge_tpu_model_refused"


class LargeActivationsError(EdgeTpuError):
    """A feature map is too large for the chip."""

    code = "edge_tpu_large_activations"


class InternalCompilerError(EdgeTpuError):
    """The compiler gives up without a reason."""

    code = "edge_tpu_internal"


class CompilerTimeoutError(EdgeTpuError):
    """The compiler did not end in time, or says so itself."""

    code = "edge_tpu_timeout"


class CompilerCrashedError(EdgeTpuError):
    """A signal, or an exception that it did not handle, ended the compiler."""

    code = "edge_tpu_crashed"


class NothingMappedError(EdgeTpuError):
    """The compiler succeeded, and every operator would run on the CPU."""

    code = "edge_tpu_nothing_mapped"


class DataTypeError(NothingMappedError):
    """Nothing is mapped, because of the tensors' element types."""

    code = "edge_tpu_data_type"


class UnexpectedOutputError(EdgeTpuError):
    """The compiler says something that we do not understand, or that contradicts itself."""

    code = "edge_tpu_output"


class CompiledFileError(EdgeTpuError):
    """No file that the compiler made, or a damaged one."""

    code = "edge_tpu_compiled_file"


class OtherModelError(EdgeTpuError):
    """The compiled file takes or gives something else than the model."""

    code = "edge_tpu_other_model"


class AlreadyCompiledError(ConversionError):
    """The file is for the chip alone: nothing else can tell what it should compute."""

    code = "edge_tpu_already"
