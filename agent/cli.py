"""agent serve | agent worker-probe"""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from agent.errors import AgentError
from contract.api import RuntimeInfo
from contract.profile import BrokenProfileError, UnknownProfileError, profile_names
from contract.version import __version__

DEFAULT_PORT = 8470


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="boardfit agent")
def main() -> None:
    """The service on a board: serves models, each in a worker process of its own, and measures them."""


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """A user's mistake is a message and an exit status; a bug keeps its traceback."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except AgentError as error:
            click.echo(f"agent: {error.message}\n  hint: {error.hint}", err=True)
            sys.exit(1)
        except (UnknownProfileError, BrokenProfileError) as error:
            click.echo(f"agent: {error}", err=True)
            sys.exit(2)

    return wrapped


@main.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to serve on; others than loopback need a token."
)
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where bundles and models are kept.")
@click.option("--token-file", type=click.Path(path_type=Path), help="A file with the token every request must bring.")
@click.option("--profile", default="desktop", show_default=True, help="What kind of board this is.")
@click.option(
    "--max-file-mib", default=2048, show_default=True, type=click.IntRange(1), help="Largest file of a bundle."
)
@click.option("--ready-file", type=click.Path(path_type=Path), help="Written with pid and port once it answers.")
@click.option("--verbose", is_flag=True, help="Log more.")
@_told
def serve(
    host: str,
    port: int,
    data_dir: Path | None,
    token_file: Path | None,
    profile: str,
    max_file_mib: int,
    ready_file: Path | None,
    verbose: bool,
) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    from agent.server import serve as run
    from agent.settings import Settings, read_token

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    run(
        Settings(
            host=host,
            port=port,
            data_dir=(data_dir or _default_data_dir()).absolute(),
            profile=profile,
            token=read_token(token_file) if token_file else None,
            max_file_bytes=max_file_mib << 20,
            ready_file=ready_file.absolute() if ready_file else None,
        )
    )


@main.command("worker-probe")
@click.option("--profile", default="desktop", show_default=True, help=f"One of {', '.join(profile_names())}.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the worker's code is kept.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@_told
def worker_probe(profile: str, data_dir: Path | None, as_json: bool) -> None:
    """Print which runtimes this machine's Pythons offer."""
    from agent.pythons import Pythons
    from contract.profile import read_profile

    pythons = Pythons(read_profile(profile), (data_dir or _default_data_dir()).absolute())
    found = asyncio.run(pythons.runtimes())
    click.echo(json.dumps([info.model_dump() for info in found]) if as_json else _table(found))


def _table(found: Sequence[RuntimeInfo]) -> str:
    rows = [("PYTHON", "VERSION", "RUNTIME", "OFFERED")]
    for info in found:
        offered = info.version if info.unavailable is None else f"no: {info.unavailable}"
        rows.append((info.python, info.python_version or "?", info.key, offered or "yes"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path("boardfit") / "agent"
