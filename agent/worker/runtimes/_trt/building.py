"""From an ONNX file to an engine, on the board that will run it."""

import json
import os
import re
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ...errors import BuildFailedError, ModelRefusedError, WorkerError
from .._tiny import TINY_MODEL
from ..base import Order, Problem
from .messages import explained
from .module import TensorRt

TINY_ENGINE = "tiny.engine"
"""Beside every engine: run before the model is loaded, so that what TensorRT itself takes is known (the baseline)."""

_TENSORS = "tensors.json"
"""Beside the engine, the names of its inputs and outputs in the model's order: an engine can have them in another one
(PaddlePaddle/FastDeploy#18, pytorch/TensorRT#1646).
"""

_SAY_PROGRESS_EVERY_S = 0.5
_NO_IMPORTER = re.compile(r"No importer registered for op: (\w+)")
_NO_NODE = -1  # of an error that is of none


def parse(tensorrt: TensorRt, source: str) -> List[Problem]:
    """What the parser of this board refuses. The file is read where it lies: weights beside it are found."""
    heard = []  # type: List[str]
    tensorrt.log.say = heard.append
    try:
        parsed = _parsed(tensorrt, lambda parser: parser.parse_from_file(source), typed=False)
    finally:
        tensorrt.log.say = None
    if parsed.is_accepted:
        return []
    errors = [parsed.parser.get_error(index) for index in range(parsed.parser.num_errors)]
    return [_problem(tensorrt, error, heard) for error in errors] or [Problem("", "", _said(tensorrt))]


def build(tensorrt: TensorRt, order: Order, say: Callable[[str], None]) -> None:
    """Writes the engine, and the tiny one beside it. ModelRefusedError, BuildFailedError, OutOfMemoryError."""
    tensorrt.log.say = say
    try:
        engine, names = _engine(tensorrt, lambda parser: parser.parse_from_file(order.source), order, say)
        tiny, _ = _engine(tensorrt, lambda parser: parser.parse(TINY_MODEL), order._replace(precision="fp32"), say)
    finally:
        tensorrt.log.say = None
    _write(_beside(order.target, TINY_ENGINE), tiny)
    _write(_beside(order.target, _TENSORS), json.dumps(names).encode("ascii"))
    _write(order.target, engine)


def names_of(engine: str) -> List[str]:
    """Of its inputs, then of its outputs, in the order of the model it was built of; none for a tiny engine."""
    if os.path.basename(engine) == TINY_ENGINE:
        return []
    names: List[str] = json.loads(_read(_beside(engine, _TENSORS)).decode("ascii") or "[]")
    return names


def _beside(engine: str, name: str) -> str:
    return os.path.join(os.path.dirname(engine), name)


class _Parsed(NamedTuple):
    """All of them are held until a build is over: a network is its builder's, and a parser's weights are its own."""

    builder: Any
    network: Any
    parser: Any
    is_accepted: bool


def _parsed(tensorrt: TensorRt, read: Callable[[Any], bool], typed: bool) -> _Parsed:
    trt = tensorrt.trt
    tensorrt.log.take()
    builder = trt.Builder(tensorrt.logger)
    network = builder.create_network(_network_flags(tensorrt, typed))
    parser = trt.OnnxParser(network, tensorrt.logger)
    return _Parsed(builder, network, parser, bool(read(parser)))


def _network_flags(tensorrt: TensorRt, typed: bool) -> int:
    flags, known = 0, tensorrt.trt.NetworkDefinitionCreationFlag
    if tensorrt.differences.asks_explicit_batch:
        flags |= 1 << int(known.EXPLICIT_BATCH)
    if typed and tensorrt.differences.can_be_typed:
        flags |= 1 << int(known.STRONGLY_TYPED)
    return flags


def _engine(
    tensorrt: TensorRt, read: Callable[[Any], bool], order: Order, say: Callable[[str], None]
) -> Tuple[Any, List[str]]:
    """The plan: its bytes, by the buffer protocol; and the names of the network's inputs and outputs."""
    flags = _precision_flags(tensorrt, order)
    parsed = _parsed(tensorrt, read, order.typed)
    if not parsed.is_accepted:
        raise _refusal(tensorrt, parsed.parser)
    config = _config(tensorrt, parsed.builder, order, say)
    for flag in flags:
        config.set_flag(flag)
    cache = _timing_cache(config, order.cache)
    tensorrt.log.take()
    plan = parsed.builder.build_serialized_network(parsed.network, config)
    if plan is None:
        doing = "TensorRT %s built nothing" % tensorrt.version
        raise explained(doing, tensorrt.log.take(), BuildFailedError)
    _write(order.cache, cache.serialize())
    network = parsed.network
    inputs = [network.get_input(index).name for index in range(network.num_inputs)]
    return plan, inputs + [network.get_output(index).name for index in range(network.num_outputs)]


def _config(tensorrt: TensorRt, builder: Any, order: Order, say: Callable[[str], None]) -> Any:
    trt = tensorrt.trt
    config = builder.create_builder_config()
    if tensorrt.differences.has_memory_pools:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, order.workspace_bytes)
    else:
        config.max_workspace_size = order.workspace_bytes
    if order.precision == "fp32":
        config.clear_flag(trt.BuilderFlag.TF32)  # it is set by default, and has 10 bits of 23
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # layers by name, for `host profile`
    if tensorrt.differences.tells_progress:
        config.progress_monitor = _monitor(trt, tensorrt.log.tell)
    return config


def _timing_cache(config: Any, path: str) -> Any:
    """That of earlier builds, unless it is of another device or version; the builder adds to it."""
    cache = config.create_timing_cache(_read(path))
    if cache is None or not config.set_timing_cache(cache, False):  # None of one that is damaged
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _precision_flags(tensorrt: TensorRt, order: Order) -> List[Any]:
    """Of the builder, unless the types in the model are to be kept. ModelRefusedError where only they would do."""
    known = tensorrt.differences
    if order.typed and (known.can_be_typed or not known.has_precision_flags):
        return []
    flags = tensorrt.trt.BuilderFlag
    if known.has_precision_flags:
        # With INT8 alone, what is not quantised would run as fp32.
        wanted = {"fp16": [flags.FP16], "int8": [flags.INT8, flags.FP16]}  # type: Dict[str, List[Any]]
        return wanted.get(order.precision, [])
    if order.precision == "fp16":
        raise ModelRefusedError(
            "TensorRT %s takes the precision from the model, and this one is float32" % tensorrt.version,
            "convert it for this version: host deploy does so for a board that answers",
        )
    return []  # of int8 the model says itself what is quantised


def _refusal(tensorrt: TensorRt, parser: Any) -> WorkerError:
    lines = [_told(parser.get_error(index)) for index in range(parser.num_errors)] or tensorrt.log.take()
    return explained("TensorRT %s refused the model" % tensorrt.version, lines, ModelRefusedError)


def _problem(tensorrt: TensorRt, error: Any, heard: List[str]) -> Problem:
    """Before 10 an error has a node's number, and only the log says which operator it could not import."""
    if tensorrt.differences.names_nodes:
        return Problem(str(error.node_name()), str(error.node_operator()), str(error.desc()))
    node = error.node()
    operators = _NO_IMPORTER.findall("\n".join(heard))
    return Problem("" if node == _NO_NODE else "#%d" % node, operators[-1] if operators else "", str(error.desc()))


def _said(tensorrt: TensorRt) -> str:
    return " | ".join(tensorrt.log.take()) or "it did not say why"


def _told(error: Any) -> str:
    """One of the parser's errors in its own words, with the place."""
    return "In node %s (%s): %s" % (error.node(), error.func(), error.desc())


def _monitor(trt: Any, say: Callable[[str], None]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # a class of a module that is only known at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: Dict[str, int] = {}
            self._said_at = 0.0

        def phase_start(self, phase_name: str, parent_phase: Optional[str], num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def step_complete(self, phase_name: str, step: int) -> bool:
            now = time.monotonic()
            if now - self._said_at >= _SAY_PROGRESS_EVERY_S:
                self._said_at = now
                say("%s: %d of %d" % (phase_name, step + 1, self._steps.get(phase_name, step + 1)))
            return True  # go on

    return Monitor()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # FileNotFoundError, mostly: it is the first build
        return b""


def _write(path: str, content: Any) -> None:
    """Whole or not at all, also where the power is cut."""
    unfinished = path + ".unfinished"
    with open(unfinished, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(unfinished, path)
