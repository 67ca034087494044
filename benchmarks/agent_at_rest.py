"""What does an agent without a model take? Resident set, time from exec to ready, time of `host --help`.

Bars: at most 70 MB, 1.5 s, 0.3 s. Beside them, in turn, a bare FastAPI application and a bare Python, which say how
much of it is not ours.
"""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.agents import scratch
from benchmarks.verdict import machine, spread, tell

RUNS = 7
_BARE_APP = """
import sys, uvicorn, fastapi
app = fastapi.FastAPI()
@app.get("/health/ready")
async def ready(): return True
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def main() -> bool:
    print(f"An agent at rest. {machine()}, {RUNS} runs each, in turn")
    ready_s: list[float] = []
    bare_ready_s: list[float] = []
    resident: list[float] = []
    bare_resident: list[float] = []
    helps: list[float] = []
    bares: list[float] = []
    for run in range(RUNS):
        with scratch() as folder:
            port = 18700 + 2 * run
            serve = ["-m", "agent", "serve", f"--port={port}", f"--data-dir={folder}"]
            _start(serve, port, ready_s, resident)
            _start(["-c", _BARE_APP, str(port + 1)], port + 1, bare_ready_s, bare_resident)
        helps.append(_seconds([str(Path(sys.executable).with_name("host")), "--help"]))
        bares.append(_seconds([sys.executable, "-c", "pass"]))
    print(f"  ready: {spread(ready_s, ' s')}; a bare FastAPI app {spread(bare_ready_s, ' s')}")
    print(f"  resident: {spread(resident, ' MB', 1)}; a bare FastAPI app {spread(bare_resident, ' MB', 1)}")
    print(f"  host --help: {spread(helps, ' s')}; a bare Python {spread(bares, ' s')}")
    return all(
        [
            tell("resident set with no model at most 70 MB", sorted(resident)[RUNS // 2] <= 70),
            tell("ready within 1.5 s of exec", sorted(ready_s)[RUNS // 2] <= 1.5),
            tell("host --help within 0.3 s", sorted(helps)[RUNS // 2] <= 0.3),
        ]
    )


def _start(arguments: list[str], port: int, ready_s: list[float], resident_mb: list[float]) -> None:
    """Starts it, waits until it is ready and a while longer, and takes its figures."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL)
    try:
        while not _is_ready(port):
            time.sleep(0.005)
        ready_s.append(time.perf_counter() - began)
        time.sleep(1.0)
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident_mb.append(int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6)
    finally:
        process.terminate()
        process.wait()


def _is_ready(port: int) -> bool:
    try:
        return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1).status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
