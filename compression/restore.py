"""A decomposed model with dense layers again: what gradual compression decomposes anew after a retraining."""

from onnx import ModelProto, NodeProto, helper

from compression.errors import NotCompressedError
from compression.graph import Names, add_initializer, attribute, inlined, remove_unread, set_attribute
from compression.layers import Layer, Use, find_layers
from compression.surgery import Parts
from compression.table import METADATA_KEY, read_table
from compression.tucker import Factors, Floats, Kind, to_blocks


def restore_layers(model: ModelProto) -> ModelProto:
    """A copy of a model that `compress` made in which each layer's parts are one kernel again, with what they are now.

    It computes the same. Its table is gone from the metadata. NotCompressedError.
    """
    draft = inlined(model)
    found = {layer.constant.name: layer for layer in find_layers(draft)}
    names, gone = Names(draft), []
    for row in read_table(draft).layers:
        if row.kernels is None:
            continue
        parts = [name for name in (row.kernels.first, row.kernels.core, row.kernels.last) if name is not None]
        missing = [name for name in parts if name not in found or found[name].constant.tensor is None]
        if missing:
            raise NotCompressedError(
                f"the model no longer has the kernel {missing[0]!r} of the layer {row.name!r}",
                "keep the names of initializers when you change a compressed model",
            )
        kernel = names.fresh(row.kernels.core.removesuffix(".core"))
        add_initializer(draft, kernel, _rebuilt(row.kernels, found))
        for use in found[row.kernels.core].uses:
            gone += use.node.input[2:]  # the zero that an old Gemm has for a bias
            _merge(use, row.kernels, kernel)
        gone += parts
    remove_unread(draft, gone)
    helper.set_model_props(
        draft, {entry.key: entry.value for entry in draft.metadata_props if entry.key != METADATA_KEY}
    )
    return draft


def _rebuilt(parts: Parts, found: dict[str, Layer]) -> Floats:
    core = found[parts.core]
    kind, groups = core.form.kind, core.form.groups
    outer: Kind = kind if kind in ("Linear", "MatMul") else "Conv"
    first, last = (
        None if name is None else to_blocks(found[name].kernel(), outer, groups)[:, 0]
        for name in (parts.first, parts.last)
    )
    blocks = to_blocks(core.kernel(), kind, groups)
    return Factors(kind, core.shape[2:], first, blocks, last).rebuild().astype(core.dtype)


def _merge(use: Use, parts: Parts, kernel: str) -> None:
    """The nodes of one use become one."""
    core, side = use.node, 1 - use.index
    merged = NodeProto()
    merged.CopyFrom(core)
    merged.name = core.name.removesuffix(".core")
    merged.input[use.index] = kernel
    absorbed = [core]
    if parts.first is not None:
        first = next((node for node in use.graph.node if core.input[side] in node.output), None)
        if first is None or parts.first not in first.input:
            raise _torn_apart(core, parts.first)
        merged.input[side] = first.input[0]
        absorbed.append(first)
    if parts.last is not None:
        last = next((node for node in use.graph.node if core.output[0] in node.input), None)
        if last is None or parts.last not in last.input:
            raise _torn_apart(core, parts.last)
        merged.output[0] = last.output[0]
        del merged.input[2:]
        merged.input.extend(last.input[2:])
        for name in ("alpha", "beta") if core.op_type == "Gemm" else ():
            set_attribute(merged, name, attribute(last, name, None))
        absorbed.append(last)
    place = list(use.graph.node).index(core)
    use.graph.node.insert(place, merged)
    for node in absorbed:
        use.graph.node.remove(node)


def _torn_apart(core: NodeProto, kernel: str) -> NotCompressedError:
    return NotCompressedError(
        f"the node {core.name!r} no longer has that with {kernel!r} beside it", "keep the order of a layer's parts"
    )
