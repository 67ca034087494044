"""Give every input a static shape: a board wants to know all sizes before it runs."""

import shlex
from collections.abc import Mapping

from onnx import GraphProto, ValueInfoProto

from converters.draft import Draft
from converters.errors import BadInputShapeError, DynamicShapeError, InvalidModelError, UnknownInputError, nearest
from converters.proto import initialiser_names, real_inputs, walk_graphs
from converters.signature import Shape, Signature, TensorSpec
from converters.value_info import Dim, dims_of, dtype_of, set_shape

MAX_INPUT_BYTES = 2**30
"""Of one input: far above any image, far below what wakes the kernel's out-of-memory killer."""

_EXAMPLE_SIZE = 256

Dims = tuple[Dim, ...]


def apply(draft: Draft) -> None:
    """Make the shapes of all inputs static and put them into ``draft.signature``; ``draft.notices`` tells what was
    decided for the user.

    Sizes come from the model, from ``draft.input_shapes`` (whole shapes by input name; a symbol they settle is settled
    in every input), and are 1 for a dynamic batch: dimension 0 of an input that has more than one.

    Raises UnknownInputError, BadInputShapeError, DynamicShapeError, InvalidModelError or UnsupportedTypeError.
    """
    graph = draft.model.graph
    inputs = {value.name: value for value in real_inputs(graph)}
    if not inputs:
        raise InvalidModelError("the model has no input: its outputs are constants", "export it again, with its inputs")
    if draft.model.ir_version >= 4:
        _fix_defaults(graph, draft.notices)
    for name in draft.input_shapes:
        if name not in inputs:
            raise UnknownInputError(f"the model has no input {name!r}", nearest(name, inputs))
    declared = {name: _dims(value, draft.input_shapes) for name, value in inputs.items()}
    shapes = _static_shapes(declared, draft.input_shapes, draft.notices)
    specs = tuple(TensorSpec(name, dtype_of(value), shapes[name]) for name, value in inputs.items())
    for spec in specs:
        if spec.size_bytes > MAX_INPUT_BYTES:
            raise _bad_shape(spec.name, spec.shape, f"that is {spec.size_bytes:,} bytes for one input")
        set_shape(inputs[spec.name].type.tensor_type, spec.shape)
    draft.signature = Signature(specs, ())
    if shapes != declared:
        # Shapes declared inside the graph may hold for the old sizes alone; every runtime infers them again.
        for part in walk_graphs(graph):
            del part.value_info[:]


def _fix_defaults(graph: GraphProto, notices: list[str]) -> None:
    """From IR version 4 on, an initialiser that is an input too is a default that a caller may override.

    ONNX Runtime neither folds nor fuses such a one, and no board overrides it.
    Source: https://github.com/microsoft/onnxruntime/blob/main/tools/python/remove_initializer_from_input.py
    """
    constants = initialiser_names(graph)
    defaults = [value for value in graph.input if value.name in constants]
    if defaults:
        notices.append(f"inputs with a default are fixed to it: {_listed([value.name for value in defaults])}")
    for value in defaults:
        graph.input.remove(value)


def _dims(value: ValueInfoProto, given: Mapping[str, Shape]) -> Dims:
    """The declared dimensions; where the model does not even tell their number, as many unknown ones as are given."""
    dims = dims_of(value)
    if dims is not None:
        return dims
    if value.name not in given:
        example = f"{value.name}=1,3,{_EXAMPLE_SIZE},{_EXAMPLE_SIZE}"
        raise DynamicShapeError(
            f"the model declares no shape for its input {value.name!r}",
            f"give it: --input-shape {shlex.quote(example)}",
        )
    return (None,) * len(given[value.name])


def _static_shapes(declared: Mapping[str, Dims], given: Mapping[str, Shape], notices: list[str]) -> dict[str, Shape]:
    sizes = _given_sizes(declared, given)
    dims = {name: given.get(name) or _substitute(known, sizes) for name, known in declared.items()}
    batched = [name for name, known in dims.items() if len(known) > 1 and not isinstance(known[0], int)]
    if batched:
        notices.append(f"batch dimension fixed to 1: {_listed(batched)}")
    sizes.update({symbol: 1 for name in batched if isinstance(symbol := dims[name][0], str)})
    dims.update({name: (1, *dims[name][1:]) for name in batched})
    dims = {name: _substitute(known, sizes) for name, known in dims.items()}
    shapes = {name: tuple(size for size in known if isinstance(size, int)) for name, known in dims.items()}
    dynamic = {name: known for name, known in dims.items() if known != shapes[name]}
    if dynamic:
        raise _dynamic_shape(dynamic)
    return shapes


def _given_sizes(declared: Mapping[str, Dims], given: Mapping[str, Shape]) -> dict[str, int]:
    """What the given shapes say of the model's symbols; BadInputShapeError where they contradict it or one another."""
    sizes: dict[str, int] = {}
    for name, shape in given.items():
        dims = declared[name]
        if len(shape) != len(dims):
            raise _bad_shape(name, shape, f"the input has {len(dims)} dimensions: {_written(dims)}")
        for size, dim in zip(shape, dims, strict=True):
            if size < 1:
                raise _bad_shape(name, shape, "every dimension must be at least 1")
            if isinstance(dim, int) and dim != size:
                raise _bad_shape(name, shape, f"the model is made for {_written(dims)}")
            if isinstance(dim, str) and sizes.setdefault(dim, size) != size:
                raise _bad_shape(name, shape, f"{dim!r} is both {sizes[dim]} and {size}")
    return sizes


def _substitute(dims: Dims, sizes: Mapping[str, int]) -> Dims:
    return tuple(sizes.get(dim, dim) if isinstance(dim, str) else dim for dim in dims)


def _bad_shape(name: str, shape: Shape, why: str) -> BadInputShapeError:
    return BadInputShapeError(
        f"the shape {_written(shape)} does not suit the input {name!r}: {why}",
        "give the whole shape, batch included, with --input-shape NAME=N,N,...",
    )


def _dynamic_shape(dynamic: Mapping[str, Dims]) -> DynamicShapeError:
    inputs = "; ".join(
        f"{', '.join('?' if dim is None else dim for dim in dims if not isinstance(dim, int))} of {name!r} "
        f"({_written(dims)})"
        for name, dims in dynamic.items()
    )
    example = " ".join(
        "--input-shape "
        + shlex.quote(f"{name}={','.join(str(dim if isinstance(dim, int) else _EXAMPLE_SIZE) for dim in dims)}")
        for name, dims in dynamic.items()
    )
    return DynamicShapeError(f"the model leaves dimensions open: {inputs}", f"give them, for example {example}")


def _written(dims: Dims) -> str:
    return "x".join("?" if dim is None else str(dim) for dim in dims) or "scalar"


def _listed(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
