"""The images that a model is retrained on: a data set in MVTec AD's layout, or any folder of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contract.manifest import Preprocessing
from host import images

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from compression.data.prepared import Prepared


@dataclass(frozen=True, eq=False)
class Material:
    """Prepared images as the model takes them, (n,...). `prepared`: the whole data set, where a reconstruction is
    learned from it; None where the model is to do as it did before.
    """

    train: "NDArray[np.float32]"
    held_out: "NDArray[np.float32]"
    prepared: "Prepared | None" = None


def read_material(
    folder: Path, how: Preprocessing, seed: int, reconstructs: bool, on_image: Callable[[int, int], None]
) -> Material:
    """All of `folder`; of a data set in MVTec AD's layout a model that does not reconstruct learns from the training
    images. DatasetError, InputError.
    """
    from compression.data.mvtec import read_dataset, split
    from compression.data.prepared import prepare_dataset
    from inspection.preprocess import Preprocessing as Preparing

    in_layout = (folder / "train" / "good").is_dir()
    if in_layout and reconstructs:
        found = prepare_dataset(read_dataset(folder), Preparing(**how.model_dump()), seed, on_image)
        return Material(found.train, found.held_out, found)
    files = images.image_files(folder / "train" / "good" if in_layout else folder)
    train, held_out = split(files, seed)
    parts = [_stacked(part, how, len(files), before, on_image) for part, before in ((train, 0), (held_out, len(train)))]
    return Material(parts[0], parts[1])


def _stacked(
    paths: tuple[Path, ...], how: Preprocessing, total: int, before: int, on_image: Callable[[int, int], None]
) -> "NDArray[np.float32]":
    import numpy as np

    tensors = []
    for done, path in enumerate(paths, before + 1):
        tensors.append(images.prepared(path, how, "float32"))
        on_image(done, total)
    return np.concatenate(tensors)
