"""example"""

from pathlib import Path

import click

from host.cli import output


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the photographs.")
def example(folder: Path, seed: int) -> None:
    """Write a trained inspection model, the same with 5 % of its weights, and photographs of capsules into FOLDER."""
    from compression.example import write_example
    from host.errors import InputError

    try:
        paths = write_example(folder, seed)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", "name another folder") from error
    output.say(
        f"wrote {paths.model}, the same with 5 % of its weights ({paths.compressed.name}), "
        f"{len(paths.good)} good images, {len(paths.defective)} defective ones"
    )
    output.say(f"next: host deploy --board desktop {paths.model}")
