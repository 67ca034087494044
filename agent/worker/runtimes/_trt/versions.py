"""What the versions of TensorRT from 8.2 to 11 do differently: looked up in the module once, when the runtime opens.

By what the module has, not by its version's number: TensorRT-RTX counts anew and is like 11. Which version has what:
NVIDIA/TensorRT, python/src/infer/pyCore.cpp and parsers/pyOnnx.cpp at the tags 8.2.1, 8.5.1, v8.6.1, v10.3.0, v11.0.
"""

from typing import Any, NamedTuple


class Differences(NamedTuple):
    """One line per difference.

    names_tensors        from 8.5: inputs and outputs by name; before, bindings by index, which 10 has no more
    asks_explicit_batch  to 10: a network must be told that its shapes include the batch; 11 knows no other kind
    has_memory_pools     from 8.4: set_memory_pool_limit; before, max_workspace_size
    has_precision_flags  to 10: the builder chooses precisions within flags; 11 takes them from the model
    can_be_typed         from 10: the same by a flag of the network, which 11 has set always
    counts_memory_v2     from 10.1: device_memory_size_v2; 11 has no other
    names_nodes          from 10: a parser's error says which node it means
    tells_progress       from 10: a build can be watched
    """

    names_tensors: bool
    asks_explicit_batch: bool
    has_memory_pools: bool
    has_precision_flags: bool
    can_be_typed: bool
    counts_memory_v2: bool
    names_nodes: bool
    tells_progress: bool


def differences(trt: Any) -> Differences:
    """Of this `tensorrt` module."""
    return Differences(
        names_tensors=hasattr(trt.ICudaEngine, "num_io_tensors"),
        asks_explicit_batch=hasattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH"),
        has_memory_pools=hasattr(trt.IBuilderConfig, "set_memory_pool_limit"),
        has_precision_flags=hasattr(trt.BuilderFlag, "FP16"),
        can_be_typed=hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"),
        counts_memory_v2=hasattr(trt.ICudaEngine, "device_memory_size_v2"),
        names_nodes=hasattr(trt.ParserError, "node_name"),
        tells_progress=hasattr(trt, "IProgressMonitor"),
    )
