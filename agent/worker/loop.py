"""Read a message, do it, reply. Signature checks, timing and memory figures are here, never in a runtime."""

import mmap
import socket
import sys
import threading
import time
import traceback
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy

from . import memory, runtimes, wire
from .building import Building
from .errors import AcceleratorLostError, SignatureMismatchError, WorkerError
from .quantise import Converter
from .runtimes.base import Quantisation, Runtime, Tensor

PROGRESS_EVERY_S = 0.25
_RECEIVE_BYTES = 1 << 16
_LONGEST_TEXT = 4000  # characters: a runtime may quote a whole model, and a frame has a limit


class Channel:
    """The worker's end of the socket: blocking; one thread receives, any may send."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unpacker = wire.Unpacker()
        self._waiting: List[wire.Message] = []
        self._sending = threading.Lock()  # a builder speaks from threads of its own

    def send(self, message: wire.Message) -> None:
        with self._sending:
            self._connection.sendall(wire.pack(message))

    def receive(self) -> Optional[wire.Message]:
        """The next message; None at the end of the stream."""
        while not self._waiting:
            data = self._connection.recv(_RECEIVE_BYTES)
            if not data:
                return None
            self._waiting.extend(self._unpacker.feed(data))
        return self._waiting.pop(0)


class _Slot(NamedTuple):
    """Its arrays, of the signature; `binding` is of the file's own where those are others."""

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    binding: Any


class _Times(NamedTuple):
    """Of one run, in seconds; `accelerator` None where the runtime cannot tell, `convert` where nothing is."""

    run: float
    accelerator: Optional[float]
    convert: Optional[float]


class Loop:
    """One model: loaded once, then run. `_converter` is None where its file takes and gives what is in the slots."""

    def __init__(self, channel: Channel, arena: Any) -> None:
        self._channel = channel
        self._arena = arena
        self._runtime: Optional[Runtime] = None
        self._converter: Optional[Converter] = None
        self._slots: List[_Slot] = []
        self._building = Building()

    def serve(self) -> None:
        """Until the agent closes the channel, or there is no use in going on: the agent then starts another worker."""
        while True:
            message = self._channel.receive()
            if message is None:
                return
            reply = self._answer(message)
            reply["id"] = message.get("id")
            self._channel.send(reply)
            if reply.get("error", {}).get("code") == AcceleratorLostError.code:
                return

    def _answer(self, message: wire.Message) -> wire.Message:
        operations: Dict[str, Callable[[wire.Message], Dict[str, Any]]] = {
            "load": self._load,
            "infer": self._infer,
            "bench": self._bench,
            "profile": self._profile,
            "identify": self._building.identify,
            "parse": self._building.parse,
            "build": self._build,
        }
        try:
            return {"ok": operations[message["op"]](message)}
        except WorkerError as error:
            return {"error": {"code": error.code, "message": _cut(error.message), "hint": error.hint}}
        except Exception as error:  # the outer edge: a bug goes out with its traceback, the worker stays
            return {"error": _bug(error)}

    def _load(self, message: wire.Message) -> Dict[str, Any]:
        unmet: Dict[str, str] = {}
        runtime = runtimes.create(message["runtime"])
        version = runtime.open(message["options"])
        try:
            runtime.warm_up(message["path"])
            baseline_bytes = memory.attempt(unmet, "baseline_bytes", memory.resident_bytes)
            available_bytes = memory.attempt(unmet, "available_bytes", memory.available_bytes)
            inputs, outputs = runtime.load(message["path"])
            artifact = message.get("artifact")
            declared = artifact or message
            _check("input", inputs, declared["inputs"])
            _check("output", outputs, declared["outputs"])
            self._converter = Converter(artifact, message) if artifact else None
            _check_quantisation(runtime.quantisation(), self._converter, declared)
            self._slots = [self._slot(runtime, message, slot) for slot in message["slots"]]
        except BaseException:
            runtime.close()
            raise
        self._runtime = runtime
        return {
            "runtime_version": version,
            "baseline_bytes": baseline_bytes,
            "available_bytes": available_bytes,
            "load_peak_bytes": memory.attempt(unmet, "load_peak_bytes", memory.peak_bytes),
            "details": runtime.details(),
            "unmet": unmet,
        }

    def _slot(self, runtime: Runtime, message: wire.Message, slot: Dict[str, List[int]]) -> _Slot:
        inputs = [self._view(tensor, offset) for tensor, offset in zip(message["inputs"], slot["inputs"])]
        outputs = [self._view(tensor, offset) for tensor, offset in zip(message["outputs"], slot["outputs"])]
        bound = self._converter.bound(inputs, outputs) if self._converter else (inputs, outputs)
        return _Slot(inputs, outputs, runtime.bind(*bound))

    def _view(self, tensor: Dict[str, Any], offset: int) -> Any:
        return numpy.ndarray(tuple(tensor["shape"]), numpy.dtype(tensor["dtype"]), self._arena, offset)

    def _loaded(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("the agent asked for a run before a load")
        return self._runtime

    def _infer(self, message: wire.Message) -> Dict[str, Any]:
        times = self._run(self._loaded(), self._slots[message["slot"]])
        return {
            "run_ns": _ns(times.run),
            "accelerator_ns": None if times.accelerator is None else _ns(times.accelerator),
            "convert_ns": None if times.convert is None else _ns(times.convert),
        }

    def _run(self, runtime: Runtime, slot: _Slot) -> _Times:
        """From the slot's inputs to its outputs. The run alone is timed as such; what is around it apart."""
        clock = time.perf_counter
        began = clock()
        if self._converter:
            self._converter.encode(slot.inputs)
        ready = clock()
        accelerator_s = runtime.run(slot.binding)
        ran = clock()
        if not self._converter:
            return _Times(ran - ready, accelerator_s, None)
        self._converter.decode(slot.outputs)
        return _Times(ran - ready, accelerator_s, ready - began + clock() - ran)

    def _bench(self, message: wire.Message) -> Dict[str, Any]:
        runtime = self._loaded()
        slots = self._slots[: message["slots"]]
        samples = numpy.ndarray((message["runs"],), numpy.dtype("int64"), self._arena, message["samples"])
        unmet: Dict[str, str] = {}
        self._map_arena()
        memory.attempt(unmet, "run_peak_bytes", memory.reset_peak)
        accelerator_s, convert_s = self._run_many(runtime, slots, samples, message["id"])
        return {
            "run_peak_bytes": None if unmet else memory.attempt(unmet, "run_peak_bytes", memory.peak_bytes),
            "accelerator_ns": None if accelerator_s is None else 1e9 * accelerator_s,
            "convert_ns": None if convert_s is None else 1e9 * convert_s,
            "accelerator_bytes": runtime.accelerator_bytes(),
            "unmet": unmet,
        }

    def _profile(self, message: wire.Message) -> Dict[str, Any]:
        runtime, slot = self._loaded(), self._slots[message["slot"]]
        if self._converter:
            self._converter.encode(slot.inputs)
        layers = runtime.profile(slot.binding, message["runs"])
        if self._converter:
            self._converter.decode(slot.outputs)
        return {"layers": [list(layer) for layer in layers]}

    def _build(self, message: wire.Message) -> Dict[str, Any]:
        return self._building.build(message, lambda line: self._channel.send({"id": message["id"], "line": line}))

    def _map_arena(self) -> None:
        """Has every page mapped now: the faults would be in the first run of each slot (768 KB in and out: 0.4 ms)."""
        numpy.frombuffer(self._arena, numpy.uint8)[:: mmap.PAGESIZE].max()

    def _run_many(
        self, runtime: Runtime, slots: Sequence[_Slot], samples: Any, request: int
    ) -> Tuple[Optional[float], Optional[float]]:
        """Fills `samples` with nanoseconds.

        Returns the mean seconds on an accelerator, and of conversions, of all runs but the first, as of every other
        headline; None where there are none, or the runtime cannot tell, or there is but one run.
        """
        total = len(samples)
        accelerator_s: Optional[float] = 0.0
        convert_s: Optional[float] = 0.0
        clock = time.perf_counter
        report_at = clock() + PROGRESS_EVERY_S
        for index in range(total):
            times = self._run(runtime, slots[index % len(slots)])
            samples[index] = _ns(times.run)
            if index:
                accelerator_s = _sum(accelerator_s, times.accelerator)
                convert_s = _sum(convert_s, times.convert)
            if clock() >= report_at:
                self._channel.send({"id": request, "progress": {"done": index + 1, "total": total}})
                report_at = clock() + PROGRESS_EVERY_S
        return _mean(accelerator_s, total - 1), _mean(convert_s, total - 1)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9 + 0.5)  # perf_counter_ns is not in Python 3.6


def _sum(total: Optional[float], more: Optional[float]) -> Optional[float]:
    return None if total is None or more is None else total + more


def _mean(total: Optional[float], count: int) -> Optional[float]:
    return None if total is None or count < 1 else total / count


def _check(kind: str, actual: Sequence[Tensor], expected: Sequence[Dict[str, Any]]) -> None:
    """The model must be what the manifest says: a wrong view of the arena would be read as numbers."""
    wanted = [Tensor(item["name"], item["dtype"], tuple(item["shape"])) for item in expected]
    if len(actual) != len(wanted):
        raise _mismatch(kind, "%d tensors" % len(actual), "%d" % len(wanted))
    for got, want in zip(actual, wanted):
        same_shape = len(got.shape) == len(want.shape) and all(
            g is None or g == w for g, w in zip(got.shape, want.shape)
        )
        if got.name != want.name or got.dtype != want.dtype or not same_shape:
            raise _mismatch(kind, _described(got), _described(want))


def _check_quantisation(
    said: Optional[Tuple[List[Quantisation], List[Quantisation]]],
    converter: Optional[Converter],
    declared: Dict[str, Any],
) -> None:
    """Another scale than the file's own would be wrong numbers. Scales are float32 in a file."""
    if said is None or converter is None:
        return
    for kind, actual, wanted in zip(("input", "output"), said, converter.quantisation):
        for tensor, got, want in zip(declared[kind + "s"], actual, wanted):
            if want is not None and (
                got is None or (numpy.float32(want[0]), want[1]) != (numpy.float32(got[0]), got[1])
            ):
                raise _mismatch(kind, "%s %s" % (tensor["name"], _scale(got)), _scale(want))


def _scale(quantisation: Quantisation) -> str:
    return "not quantised" if quantisation is None else "of the scale %.9g and the zero point %d" % quantisation


def _mismatch(kind: str, got: str, want: str) -> SignatureMismatchError:
    return SignatureMismatchError(
        "the model's %s is %s, the manifest says %s" % (kind, got, want), "convert and deploy the model again"
    )


def _described(tensor: Tensor) -> str:
    return "%s %s%s" % (tensor.name, tensor.dtype, list(tensor.shape))


def _bug(error: BaseException) -> Dict[str, Any]:
    return {
        "code": "worker_bug",
        "message": _cut("%s: %s" % (type(error).__name__, error)),
        "hint": "this is a fault of boardfit: please report it with the traceback",
        "traceback": _cut(traceback.format_exc()),
    }


def _cut(text: str) -> str:
    """The start and the end: a traceback says at its end what happened."""
    half = _LONGEST_TEXT // 2
    return text if len(text) <= _LONGEST_TEXT else "%s [...] %s" % (text[:half], text[-half:])


def hello() -> wire.Message:
    """The first frame."""
    return {
        "hello": wire.WIRE_VERSION,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "numpy": numpy.__version__,
    }
