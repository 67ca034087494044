"""What is done with one binding of CUDA in a process of its own: `python scenarios.py SCENARIO BINDING` prints JSON.

It runs under every Python of the workers, from 3.6 on, with their code on PYTHONPATH and the stand-in as libcuda.so.1.
"""

import contextlib
import ctypes
import importlib
import json
import os
import sys
import threading
import time

import numpy

SIZES = (1, 3, 511, 512, 4097, 1 << 20)
DTYPES = ("bool", "int8", "uint8", "float16", "int32", "float32", "int64", "float64")
LAUNCH_FAILED = 719
REFUSALS = (34, 46, 100, 801, 803, 804, 999)
SLEEP_S = 0.02
CYCLES = 1000


def part(name):
    return importlib.import_module("boardfit_worker.runtimes._trt." + name)


def stand_in():
    library = ctypes.CDLL("libcuda.so.1")
    library.boardfit_counters.restype = ctypes.c_char_p
    return library


def counters():
    rows = [line.split() for line in stand_in().boardfit_counters().decode("ascii").splitlines()]
    return {name: int(value) for name, value in rows}


def told(error):
    """An error as JSON has it."""
    kept = {name: getattr(error, name, None) for name in ("call", "status", "name")}
    return dict(kept, type=type(error).__name__, message=str(error))


def outcome(act, *arguments):
    """The error that it ends with; None where it does not."""
    try:
        act(*arguments)
    except Exception as error:
        return told(error)
    return None


@contextlib.contextmanager
def opened(binding):
    cuda = part(binding).open_device()
    try:
        yield cuda
    finally:
        cuda.close()


@contextlib.contextmanager
def equipped(binding, size=1 << 16):
    """Open, with one of everything: cuda, stream, the two events, address, pinned array."""
    with contextlib.ExitStack() as taken:
        cuda = taken.enter_context(opened(binding))
        stream = cuda.stream()
        taken.callback(cuda.destroy_stream, stream)
        events = []
        for _ in range(2):
            events.append(cuda.event())
            taken.callback(cuda.destroy_event, events[-1])
        address = cuda.allocate(size)
        taken.callback(cuda.free, address)
        pinned = cuda.pinned(size)
        taken.callback(cuda.unpin, pinned)
        yield cuda, stream, events, address, pinned


def facts(binding):
    with opened(binding) as cuda:
        before = cuda.free_bytes()
        address = cuda.allocate(1000000)
        after = cuda.free_bytes()
        cuda.free(address)
        return dict(cuda.device()._asdict(), binding=cuda.binding, before=before, after=after)


def tensors(size):
    """Arrays of about so many bytes, of every type, and a scalar, a transposed copy and a read-only one."""
    random = numpy.random.RandomState(size)
    made = [numpy.frombuffer(random.bytes(max(1, size // 8) * 8), dtype) for dtype in DTYPES]
    frozen = numpy.arange(size, dtype="uint8")
    frozen.flags.writeable = False
    return [*made, numpy.array(7.5), numpy.ascontiguousarray(numpy.arange(6.0).reshape(2, 3).T), frozen]


def round_trip(binding):
    """There and back on pageable memory, then by way of pinned memory."""
    wrong, early = [], []
    for size in SIZES:
        with equipped(binding, max(size, 64) + 64) as (cuda, stream, _, address, pinned):
            for index, tensor in enumerate(tensors(size)):
                expected, name = tensor.tobytes(), f"{size} bytes, tensor {index}"
                back = numpy.zeros_like(tensor)
                untouched = back.tobytes()
                cuda.copy_in(address + 16, tensor, stream)
                cuda.copy_out(back, address + 16, stream)
                if expected != untouched and back.tobytes() != untouched:
                    early.append(name)
                cuda.synchronise(stream)
                staged = pinned[: tensor.nbytes]
                staged[...] = 0
                cuda.copy_out(staged, address + 16, stream)
                cuda.synchronise(stream)
                if not back.tobytes() == staged.tobytes() == expected:
                    wrong.append(name)
    return {"wrong": wrong, "early": early, "tensors": len(SIZES) * len(tensors(1))}


def order(binding):
    """Two copies into one place, and one from there between them: each sees what was begun before it."""
    with equipped(binding) as (cuda, stream, _, address, _):
        sources = [numpy.full(100, value, "uint8") for value in (1, 2)]
        targets = [numpy.zeros(100, "uint8") for _ in sources]
        for index, source in enumerate(sources):
            cuda.copy_in(address, source, stream)
            cuda.copy_out(targets[index], address, stream)
        cuda.synchronise(stream)
        return [sorted(set(target.tolist())) for target in targets]


def apart(binding):
    """Work of the default stream waits for what other streams have, but not for this one."""
    nothing = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
    with equipped(binding) as (cuda, stream, _, address, _):
        back = numpy.zeros(100, "uint8")
        cuda.copy_in(address, numpy.full(100, 7, "uint8"), stream)
        cuda.copy_out(back, address, stream)
        stand_in().cuLaunchHostFunc(None, nothing, None)
        before = back.max()
        cuda.synchronise(stream)
        return [int(before), int(back.max())]


def timing(binding):
    """Two events around work that takes SLEEP_S."""
    sleep = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: time.sleep(SLEEP_S))
    with equipped(binding) as (cuda, stream, (start, end), _, _):
        begun = time.perf_counter()
        never_recorded = outcome(cuda.elapsed_s, start, end)
        cuda.record(start, stream)
        stand_in().cuLaunchHostFunc(ctypes.c_void_p(stream), sleep, None)
        cuda.record(end, stream)
        not_passed = outcome(cuda.elapsed_s, start, end)
        cuda.synchronise(stream)
        elapsed_s = cuda.elapsed_s(start, end)
        wall_s = time.perf_counter() - begun
        return {"never_recorded": never_recorded, "not_passed": not_passed, "elapsed_s": elapsed_s, "wall_s": wall_s}


def misuse(binding):
    """What must be refused, with how."""
    seen = {}
    with equipped(binding, 4096) as (cuda, stream, _, address, _):
        array = numpy.zeros((64, 64), "uint8")
        seen["beyond"] = outcome(cuda.copy_in, address + 1, array, stream)
        seen["too much"] = outcome(cuda.allocate, cuda.free_bytes() + 1)
        seen["too much pinned"] = outcome(cuda.pinned, cuda.free_bytes() + 1)
        seen["none"] = outcome(cuda.allocate, 0)
        seen["transposed in"] = outcome(cuda.copy_in, address, array.T[:32], stream)
        seen["strided out"] = outcome(cuda.copy_out, array[:, ::2], address, stream)
        elsewhere = threading.Thread(target=lambda: seen.update(thread=outcome(cuda.stream)))
        elsewhere.start()
        elsewhere.join()
    return seen


def use(binding):
    """Every method at least once."""
    with equipped(binding) as (cuda, stream, (start, end), address, pinned):
        cuda.device()
        cuda.free_bytes()
        cuda.record(start, stream)
        cuda.copy_in(address, pinned, stream)
        cuda.record(end, stream)
        cuda.copy_out(pinned, address, stream)
        cuda.synchronise(stream)
        cuda.elapsed_s(start, end)


def cycles(binding):
    for _ in range(CYCLES):
        use(binding)
    return counters()


def failures(binding):
    """Each call of each function fails once: [function, which call, the error, what is left, the next use's error]."""
    stand_in().boardfit_fail(b"")
    use(binding)
    calls = [(name, number) for name, number in counters().items() if name.startswith("cu") and number]
    return [
        [name, call, *failed(binding, f"{name}:{call}:{LAUNCH_FAILED}")]
        for name, number in calls
        for call in range(1, number + 1)
    ]


def failed(binding, plan):
    before = counters()
    stand_in().boardfit_fail(plan.encode("ascii"))
    error = outcome(use, binding)
    stand_in().boardfit_fail(b"")
    left = {name: number - before.get(name, 0) for name, number in counters().items() if not name.startswith("cu")}
    return [error, {name: number for name, number in left.items() if number}, outcome(use, binding)]


def refusals(binding):
    """How opening ends where cuInit gives each of REFUSALS."""
    part("missing").DEVICES = part("missing").FOLDERS = ()
    seen = {}
    for status in REFUSALS:
        stand_in().boardfit_fail(f"cuInit:1+:{status}".encode("ascii"))
        seen[status] = outcome(part(binding).open_device)
    return seen


def opening(binding):
    """`binding`: also "cuda", which chooses one. What the machine has can be said by variables of the process."""
    missing, module = part("missing"), part(binding)
    missing.LIBRARY = os.environ.get("TEST_LIBRARY", missing.LIBRARY)
    missing.FOLDERS = tuple(filter(None, [os.environ.get("TEST_FOLDER")]))
    missing.DEVICES = tuple(filter(None, [os.environ.get("TEST_DEVICE")]))
    if "TEST_USER" in os.environ:
        stand_in()  # while it can be read; so can a Python's modules
        if binding == "pycuda":
            importlib.import_module("pycuda.driver")
        os.setgroups([])
        os.setgid(int(os.environ["TEST_USER"]))
        os.setuid(int(os.environ["TEST_USER"]))
    return outcome(lambda: getattr(module, "open_cuda" if binding == "cuda" else "open_device")().close())


def choice(_):
    """What open_cuda takes here."""
    cuda = part("cuda").open_cuda()
    cuda.close()
    return cuda.binding


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](sys.argv[2])))
