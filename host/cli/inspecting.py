"""inspect"""

from pathlib import Path

import click

from host.cli import options, output


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@options.as_json
def inspect(file: Path, as_json: bool) -> None:
    """What FILE consists of: operators, parameters, multiply-adds, memory.

    FILE is .onnx, .tflite or _edgetpu.tflite, or a folder of `host convert`: then the model in it.

    Of an int8 .tflite also what an Edge TPU would not run and an estimate of what fits on it; of a compiled one what
    stays on the chip and what is streamed, from the file itself. Nothing is run.
    """
    from host.anatomy import inspect as run
    from host.anatomy import model_file
    from host.report.anatomy import anatomy_as_json, anatomy_table

    model = model_file(file)
    found = run(model)
    name = file.name if model == file else str(model)
    output.say_json(anatomy_as_json(found)) if as_json else output.show(anatomy_table(found, name))
