"""Workers that misbehave: a script in the place of `python -m boardfit_worker`, with no numpy to wait for.

The script finds `channel` (its socket), send(message), receive(), hello() and load(), which answers a load properly.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from agent.process import Launch

_PRELUDE = """
import json, os, signal, socket, struct, subprocess, sys, time
options = dict(argument[2:].split("=", 1) for argument in sys.argv[2:])
channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=int(options["channel"]))

def send(message):
    body = json.dumps(message).encode()
    channel.sendall(struct.pack("<I", len(body)) + body)

def receive():
    head = channel.recv(4, socket.MSG_WAITALL)
    if not head:
        os._exit(0)
    return json.loads(channel.recv(struct.unpack("<I", head)[0], socket.MSG_WAITALL))

def hello():
    send({"hello": 1, "python": "3.11.0", "numpy": "2.0"})

LOADED = {
    "runtime_version": "1",
    "baseline_bytes": 1,
    "available_bytes": None,
    "load_peak_bytes": 2,
    "details": {},
    "unmet": {},
}

def load():
    send({"id": receive()["id"], "ok": LOADED})

"""


@dataclass(frozen=True)
class RogueLaunch(Launch):
    """Starts `script`."""

    script: str

    def command(self, verb: str, *arguments: str) -> list[str]:
        return [self.python, "-S", "-c", _PRELUDE + self.script, verb, *arguments]


def launch(folder: Path, script: str) -> Launch:
    return RogueLaunch(sys.executable, folder, {}, script)


_OBEDIENT = """
import mmap, shutil
hello()

def site(request):
    options, order = request["options"], request.get("order")
    if request["op"] == "identify":
        version, architecture = options.get("version", 1), options.get("architecture", 0)
        return {"runtime_version": str(version), "architecture": "null_%d" % architecture}
    if request["op"] == "parse":
        return {"problems": []}
    time.sleep(options.get("build_delay_ms", 0) / 1000)
    shutil.copyfile(order["source"], order["target"])
    return {"engine_bytes": os.path.getsize(order["target"]), "build_peak_bytes": 4, "unmet": {}}

model = receive()
while model["op"] != "load":
    send({"id": model["id"], "ok": site(model)})
    model = receive()
faults = model["options"]
arena = mmap.mmap(int(options["arena"]), int(options["arena-bytes"]))
time.sleep(faults.get("load_delay_ms", 0) / 1000)
if faults.get("crash_on_load"):
    os.kill(os.getpid(), signal.SIGSEGV)
send({"id": model["id"], "ok": LOADED})
runs = 0

def run(slot):
    global runs
    runs += 1
    time.sleep(faults.get("delay_ms", 0) / 1000)
    if faults.get("crash_on_run") == runs:
        os.kill(os.getpid(), signal.SIGSEGV)
    for tensor, source, target in zip(model["inputs"], slot["inputs"], slot["outputs"]):
        size = {"float32": 4, "uint8": 1}[tensor["dtype"]]
        for dimension in tensor["shape"]:
            size *= dimension
        content = arena[source : source + size]
        wrong = bytes((1 - value) % 256 for value in content) if faults.get("wrong") else content
        arena[target : target + size] = wrong

while True:
    request = receive()
    if request["op"] == "infer":
        run(model["slots"][request["slot"]])
        send({"id": request["id"], "ok": {"run_ns": 1, "accelerator_ns": None, "convert_ns": None}})
        continue
    if request["op"] == "profile":
        for _ in range(request["runs"]):
            run(model["slots"][request["slot"]])
        send({"id": request["id"], "ok": {"layers": [["copy", 0.5], ["copy again", 2]]}})
        continue
    for number in range(request["runs"]):
        run(model["slots"][number % request["slots"]])
        arena[request["samples"] + 8 * number : request["samples"] + 8 * number + 8] = struct.pack("<q", 1)
        send({"id": request["id"], "progress": {"done": number + 1, "total": request["runs"]}})
    figures = {"run_peak_bytes": 3, "unmet": {}}
    figures |= dict.fromkeys(("accelerator_ns", "convert_ns", "accelerator_bytes"))
    send({"id": request["id"], "ok": figures})
"""


def obedient(folder: Path) -> Launch:
    """No rogue at all: the null runtime without numpy, for float32 and uint8, which starts in a fifth of the time.

    Of the null runtime's options it knows delay_ms, load_delay_ms, crash_on_load, crash_on_run, version, architecture,
    build_delay_ms and, for uint8, wrong.
    """
    return launch(folder, _OBEDIENT)
