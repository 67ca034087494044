"""onnx2tf (https://github.com/PINTO0309/onnx2tf), each version in an environment of its own under .environments/."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".environments"
GB = 10**9
SPARE_BYTES = 2 * GB
"""What must be left on the disk beside an environment: pip unpacks what it downloads."""
SAMPLES = "calibration_image_sample_data_20x128x128x3_float32.npy"
"""What 1.29 would download, and finds in the folder it is run in: it looks through a model of 3 channels with them."""


class NotInstalledError(Exception):
    """It cannot be had; the message says why."""


@dataclass(frozen=True)
class Onnx2tf:
    """A version for a Python; `size_bytes` is what its environment takes, measured."""

    version: str
    python: str
    size_bytes: int
    path: None = None
    """It imports nothing of ours."""

    @property
    def name(self) -> str:
        return f"onnx2tf-{self.version}"

    @property
    def interpreter(self) -> Path:
        return FOLDER / self.name / "bin" / "python"

    def command(self, model: Path, input_name: str, images: Path, out: Path) -> Sequence[str]:
        """Full-integer quantisation of images that are as the model takes them: less a mean of 0, over 1."""
        quantised = ["-oiqt", "-cind", input_name, str(images), "[[[[0,0,0]]]]", "[[[[1,1,1]]]]"]
        return [str(self.interpreter), "-m", "onnx2tf", "-n", "-i", str(model), "-o", str(out), *quantised]

    def file(self, model: Path, out: Path) -> Path:
        return out / f"{model.stem}_full_integer_quant.tflite"

    def prepare(self) -> None:
        """Installs it where it is not there yet, by rename when complete. NotInstalledError."""
        FOLDER.mkdir(exist_ok=True)
        with (FOLDER / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.interpreter.exists():
                return
            free = shutil.disk_usage(FOLDER).free
            if free < self.size_bytes + SPARE_BYTES:
                raise NotInstalledError(f"{self.size_bytes / GB:.1f} GB are too much for {free / GB:.1f} GB of disk")
            unfinished = FOLDER / f".unfinished-{self.name}"
            shutil.rmtree(unfinished, ignore_errors=True)
            _run([self._base(), "-m", "venv", str(unfinished)])
            pip = [str(unfinished / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input", "--retries=1"]
            _run([*pip, f"onnx2tf=={self.version}"])
            unfinished.rename(FOLDER / self.name)  # its scripts name the other folder: `python -m` takes their place

    def _base(self) -> str:
        """The interpreter it is made from: pyenv's newest of its version, or the PATH's."""
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
        found = sorted(pyenv.glob(f"versions/{self.python}.*/bin/python{self.python}"), key=_patch)
        on_path = shutil.which(f"python{self.python}")
        if not found and on_path is None:
            raise NotInstalledError(f"there is no Python {self.python} under {pyenv} or on the PATH")
        return str(found[-1]) if found else str(on_path)


# The last for Python 3.11, by TensorFlow's converter; the newest, which writes the file itself unless told otherwise.
VERSIONS = (Onnx2tf("1.29.24", "3.11", 2_600_000_000), Onnx2tf("2.6.9", "3.12", 700_000_000))


def _patch(interpreter: Path) -> int:
    return int(interpreter.parents[1].name.rpartition(".")[2])


def _run(command: Sequence[str]) -> None:
    """NotInstalledError has the last line it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise NotInstalledError(f"{' '.join(command[1:4])!r} ended with {done.returncode}: {''.join(said)}")
