"""`python -m benchmarks.gpu`: it says why there is nothing to measure, and over the stand-ins what it does is whole."""

import os
import subprocess
import sys
from pathlib import Path

import live
import pytest
from gpu.conftest import Machine

from benchmarks.gpu import compressed, fidelity
from benchmarks.gpu.board import PROFILE, Board, device
from compression.autoencoder import AutoencoderSpec
from host.client import AgentClient

pytestmark = pytest.mark.timeout(1800)
ROOT = Path(__file__).parents[2]
SMALL = AutoencoderSpec(32, (16, 32))
RATES, PRECISIONS = (0.0, 0.9), ("int8",)


def test_without_a_gpu_it_says_so_and_ends_with_2() -> None:
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # from the driver, where there is one
    command = [sys.executable, "-m", "benchmarks.gpu"]
    ended = subprocess.run(command, cwd=ROOT, env=hidden, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    [told] = ended.stderr.splitlines()
    assert told.startswith("benchmarks.gpu needs an NVIDIA GPU and TensorRT: ")
    assert "driver" in told


def test_both_measure(machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whether a bar is met is not asked: what a stand-in takes says nothing, and so few runs say little."""
    with (
        live.listening(tmp_path / "data", profile=PROFILE, **machine.facts) as agent,
        AgentClient.connect(PROFILE, f"http://127.0.0.1:{agent.port}", None) as client,
    ):
        board = Board(client, tmp_path / "data", machine.variables)
        fidelity.main(board, tmp_path, fidelity.Size(SMALL, pairs=2, runs=5))
        compressed.main(board, tmp_path, compressed.Size(SMALL, 1, 5, RATES, PRECISIONS))
        line = device(board, "identity")
    said = capsys.readouterr().out
    assert said.count("PASS") + said.count("FAIL") == 2 + len(PRECISIONS)
    for rate in RATES:
        for precision in PRECISIONS:
            assert f"  {precision} {rate:4.0%}: " in said
    assert ", sm_" in line
