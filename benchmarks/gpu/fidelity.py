"""Does `host bench` tell the model's own latency on a GPU? Its mean against a bare loop of the same engine, in turn.

Each side in a fresh process each time, the order swapped from pair to pair. The bare loop runs by both ways to copy,
and the faster one counts. Bars, as of benchmarks/fidelity.py: 0.98 to 1.02 on an autoencoder, or within 15 us where 2 %
of it are less than that; within 15 us on an identity model of 768 KB.
"""

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import onnx

from benchmarks.agents import identity_model, noise
from benchmarks.gpu.board import Board, Deployed
from benchmarks.verdict import spread, tell
from compression.autoencoder import SPECS, AutoencoderSpec, reference_model
from host.converting import GOLDEN_INPUTS

WAYS = ("pinned", "pageable")
_MOST_US, _MOST_SHARE = 15.0, 0.02


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    spec: AutoencoderSpec = SPECS["large"]
    pairs: int = 9
    runs: int = 1000


def main(board: Board, folder: Path, size: Size | None = None) -> bool:
    """Whether both bars are met."""
    asked = size or Size()
    print(f"Fidelity of host bench on a GPU, fp32, {asked.pairs} pairs of {asked.runs} runs")
    model = reference_model(asked.spec, noise(asked.spec.size), seed=0)
    return _told(board, "autoencoder", model, folder, asked, _MOST_SHARE) & _told(
        board, "identity", identity_model(), folder, asked, 0.0
    )


def _told(board: Board, name: str, model: onnx.ModelProto, folder: Path, size: Size, share: float) -> bool:
    """Whether the median difference is at most `share` of the bare loop, or 15 us."""
    deployed = board.put(name, model, folder, "fp32")
    pairs = [_pair(board, deployed, folder, size.runs, swapped=bool(number % 2)) for number in range(size.pairs)]
    bare_us = statistics.median([bare / 1e3 for _, bare in pairs])
    differences_us = [(ours - bare) / 1e3 for ours, bare in pairs]
    print(f"  {name}: bare loop {spread([bare / 1e6 for _, bare in pairs], ' ms')}, ", end="")
    print(f"ratio {spread([ours / bare for ours, bare in pairs])}, difference {spread(differences_us, ' us', 1)}")
    most_us = max(_MOST_US, share * bare_us)
    return tell(f"{name}: host bench within {most_us:.1f} us", abs(statistics.median(differences_us)) <= most_us)


def _pair(board: Board, deployed: Deployed, folder: Path, runs: int, *, swapped: bool) -> tuple[float, float]:
    """(ours, bare) mean nanoseconds."""
    if swapped:
        bare = _bare(board, deployed, folder, runs)
        return _ours(board, deployed, runs), bare
    ours = _ours(board, deployed, runs)
    return ours, _bare(board, deployed, folder, runs)


def _ours(board: Board, deployed: Deployed, runs: int) -> float:
    return float(board.measured(deployed.name, runs)[1].mean())


def _bare(board: Board, deployed: Deployed, folder: Path, runs: int) -> float:
    inputs = folder / f"{deployed.name}.bin"
    inputs.write_bytes(deployed.bundle.files[GOLDEN_INPUTS])
    command = [sys.executable, str(Path(__file__).with_name("bare_loop.py")), str(deployed.engine), str(inputs)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}  # as a worker has them
    variables = {"CUDA_MODULE_LOADING": "LAZY", **kept, **board.variables}
    return min(
        float(
            subprocess.run([*command, way, str(runs)], env=variables, check=True, capture_output=True, text=True).stdout
        )
        for way in WAYS
    )
