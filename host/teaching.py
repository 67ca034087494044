"""What `host train` and `host compress` share: torch, its device and pace, the epochs told, the model file written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from host import disk
from host.errors import InputError
from host.progress import Progress

if TYPE_CHECKING:
    from onnx import ModelProto

    from compression.training.checkpoint import Checkpoint
    from compression.training.loop import Lesson, OnEpoch
    from compression.training.pace import Pace
    from compression.training.recipe import Epoch, Recipe


@dataclass(frozen=True)
class Compute:
    """Where and how fast: `threads` and `precision` None are chosen by measuring."""

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int | None = None
    precision: Literal["fp32", "bf16"] | None = None


def check_output(path: Path) -> None:
    """InputError where the name would hide what the file is: every other command goes by it."""
    if path.suffix != ".onnx":
        raise InputError(f"{path} is not named .onnx, and a model is written to it", f"-o {path.with_suffix('.onnx')}")


def check_torch() -> None:
    """TorchMissingError: training needs it, nothing else does."""
    from compression.errors import TorchMissingError

    try:
        import torch  # noqa: F401  # the first import of it
    except ModuleNotFoundError as error:
        raise TorchMissingError(
            "training needs torch, which is not installed here",
            "pip install 'boardfit[train]', in a checkout '.[train]'; for a CPU alone with "
            "--extra-index-url https://download.pytorch.org/whl/cpu",
        ) from error


def pace_of(
    checkpoint: "Checkpoint",
    model: "ModelProto",
    lesson: "Lesson",
    recipe: "Recipe",
    compute: Compute,
    progress: Progress,
) -> "Pace":
    """That of the training taken up again, else the fastest. DeviceError, CheckpointError, TrainingMemoryError."""
    from compression.training.loop import one_step
    from compression.training.pace import checked_device, fastest

    device = checked_device(compute.device)
    state = checkpoint.read()
    if state:
        _check_compute(compute, state.pace, checkpoint.path)
        progress.note(f"going on with {checkpoint.path}, after {len(state.history)} epochs of stage {state.stage + 1}")
        return state.pace
    progress.stage("measuring how many threads and which precision are fastest")
    pace = fastest(one_step(model, lesson, recipe), device, compute.threads, compute.precision)
    progress.note(
        f"training on {pace.device}, {pace.threads} {'thread' if pace.threads == 1 else 'threads'}, {pace.precision}"
    )
    return pace


def _check_compute(compute: Compute, begun: "Pace", path: Path) -> None:
    """A training goes on as it began: its last digits depend on it."""
    from compression.errors import CheckpointError

    for name in ("device", "threads", "precision"):
        asked, had = getattr(compute, name), getattr(begun, name)
        if asked not in (None, had):
            raise CheckpointError(
                f"{path} was begun with {name} {had}, not {asked}", f"take {had} again, or --restart to train anew"
            )


def checkpoint_path(output: Path) -> Path:
    """Beside the model that it becomes."""
    return output.with_name(f"{output.name}.training")


def told(progress: Progress) -> "OnEpoch":
    """Each epoch, as a line of the progress."""

    def on_epoch(epoch: "Epoch", count: int) -> None:
        auc = "" if epoch.auc is None else f", AUC {epoch.auc:.3f}"
        progress.advance(epoch.number, count, f"held-out error {epoch.held_out_error:.3g}{auc}")

    return on_epoch


@contextmanager
def resumable(checkpoint: "Checkpoint", progress: Progress) -> Iterator[None]:
    """Within, an interrupt leaves what the same command goes on with; a disk that is full is the user's to know."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint.path.exists():
            progress.note(f"interrupted: the same command goes on from {checkpoint.path}")
        raise
    except OSError as error:
        raise InputError(
            f"{checkpoint.path} cannot be written: {error.strerror}", "name another output with -o"
        ) from error


def write_model(path: Path, model: "ModelProto") -> None:
    """Whole or not at all. InputError where it cannot be written."""
    try:
        disk.replace(path, model.SerializeToString(deterministic=True))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", "name another output with -o") from error


def images_told(progress: Progress, what: str) -> Callable[[int, int], None]:
    """Of images that are read or judged one after the other."""
    progress.stage(what)
    return progress.advance
