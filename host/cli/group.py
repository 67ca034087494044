"""The group: its commands are imported when they are called, so that `host --help` answers at once."""

import difflib
import importlib
import json
import signal
import sys
from types import FrameType
from typing import Any

import click

from contract.version import __version__

_COMMANDS = {
    "boards": ("host.cli.boards", "The boards configured, and whether each answers."),
    "deploy": ("host.cli.models", "Fit a model onto a board: convert, push, load, prove, switch."),
    "convert": ("host.cli.models", "The host's part of a deploy alone, into a folder."),
    "models": ("host.cli.models", "The models of a board."),
    "rollback": ("host.cli.models", "Serve the version before this one again."),
    "remove": ("host.cli.models", "Take a model off a board."),
    "infer": ("host.cli.serving", "Ask a deployed model about images or tensors."),
    "stats": ("host.cli.serving", "What a board's agent counts: requests, latency, memory."),
    "bench": ("host.cli.measuring", "Measure latency and peak memory on a board."),
    "results": ("host.cli.measuring", "Every bench ever run, newest first."),
    "example": ("host.cli.example", "Write an example model and images to try the others with."),
}
INTERRUPTED, TERMINATED = 130, 143  # 128 + SIGINT, 128 + SIGTERM, as shells have it


class Terminated(KeyboardInterrupt):
    """SIGTERM came: the command ends as it does on Ctrl-C, putting things back."""


class Commands(click.Group):
    """Loads a command's module when it is wanted; names the nearest where there is none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS:
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_COMMANDS)}."
            ctx.fail(f"no such command {args[0]!r}; {meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table above: importing every command for its help would cost half a second."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        from host.errors import HostError

        signal.signal(signal.SIGTERM, _terminate)
        try:
            return super().main(*args, **kwargs)
        except HostError as error:
            _tell(error)
            sys.exit(error.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Terminated:
            sys.exit(TERMINATED)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _tell(error: Any) -> None:
    """For a person on stderr; after --json for programs on stdout, in the form of the agent's errors."""
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": error.message, "code": error.code, "hint": error.hint}))
    click.echo(f"host: {error.message}\n  hint: {error.hint}", err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="boardfit")
def main() -> None:
    """boardfit fits a visual-inspection model onto a small board and proves it with numbers."""
