"""dataset capsule: a command for each data set that can be made"""

import shlex
from pathlib import Path

import click

from host.cli import output
from host.cli.group import Group


@click.group(cls=Group)
def dataset() -> None:
    """Make a data set of images to train and test with, in MVTec AD's folder layout."""


@dataset.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Equal seeds give equal images.")
@click.option("--train", default=219, show_default=True, type=click.IntRange(1), help="Good images to train on.")
@click.option("--good", default=23, show_default=True, type=click.IntRange(1), help="Good images to test with.")
@click.option("--bad", default=109, show_default=True, type=click.IntRange(1), help="Defective images to test with.")
@click.option("--size", default=128, show_default=True, type=click.IntRange(32, 4096), help="Pixels, of each side.")
@click.option(
    "--variation",
    type=click.Choice(["studio", "line"]),
    default="line",
    show_default=True,
    help="studio: every capsule lies the same way; line: as they happen to pass, under a noisy camera.",
)
def capsule(folder: Path, seed: int, train: int, good: int, bad: int, size: int, variation: str) -> None:
    """Draw capsules into FOLDER, good ones and ones with a defect of five kinds, with masks of the defects.

    The counts are those of MVTec AD's capsule. Interrupted, the same command goes on where it was.
    """
    from compression.data.capsule import write_dataset
    from compression.data.mvtec import read_dataset
    from host.errors import InputError, as_input_error
    from host.progress import shown

    with shown() as progress, as_input_error():
        progress.stage(f"{folder}: drawing capsules")
        try:
            write_dataset(folder, seed, train, good, bad, size, variation, progress.advance)
        except OSError as error:
            raise InputError(f"{folder} cannot be written: {error.strerror}", "name another folder") from error
        except KeyboardInterrupt:
            progress.note(f"{folder} is unfinished: the same command goes on")
            raise
        made = read_dataset(folder)
    kinds = len(set(made.kinds)) - 1
    output.say(
        f"wrote {folder}: {train:,} good images to train on; to test with, {good:,} good ones and {bad:,} defective "
        f"ones of {kinds} {'kind' if kinds == 1 else 'kinds'}, with masks"
    )
    output.say(f"next: host train --data {shlex.quote(str(folder))} -o model.onnx")
