"""The group: its commands are imported when they are called, so that `host --help` answers at once; and how it ends.

Exit codes: 0, and those of host/errors.py; 2 where the command line is wrong; 128 + the signal's number after one.
After --json an error is JSON on stdout as well, in the form of the agent's errors.
"""

import difflib
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from contract.version import __version__
from host import interrupts
from host.cli import output
from host.errors import HostError, MemoryShortError

_COMMANDS = {
    "boards": ("host.cli.boards", "The boards there are, and whether each answers."),
    "deploy": ("host.cli.models", "Fit a model onto a board: convert, push, load, prove, switch."),
    "convert": ("host.cli.models", "The host's part of a deploy alone, into a folder."),
    "inspect": ("host.cli.inspecting", "What a model file consists of: operators, parameters, memory."),
    "models": ("host.cli.models", "The models of a board."),
    "rollback": ("host.cli.models", "Serve the version before this one again."),
    "remove": ("host.cli.models", "Take a model off a board."),
    "infer": ("host.cli.serving", "Ask a deployed model about images or tensors."),
    "stats": ("host.cli.serving", "What a board's agent counts: requests, latency, memory."),
    "tune": ("host.cli.tuning", "What would make a stable bench on a board, and --apply to do it."),
    "bench": ("host.cli.measuring", "Measure latency and peak memory on a board."),
    "profile": ("host.cli.measuring", "The time of each layer of a deployed model."),
    "verify": ("host.cli.verifying", "Try the whole chain on a board with small models of our own."),
    "results": ("host.cli.measuring", "Every bench ever run, newest first."),
    "compare": ("host.cli.choosing", "Which of two benches is faster, as far as they can tell."),
    "train": ("host.cli.training", "Train a reference model on good images."),
    "compress": ("host.cli.training", "Remove a share of a model's weights, and retrain it."),
    "dataset": ("host.cli.dataset", "Make a data set of images to train and test with."),
    "evaluate": ("host.cli.evaluating", "How well a model tells good images from defective ones."),
    "study": ("host.cli.studying", "Which rate, on which board: every rate measured on every board."),
    "choose": ("host.cli.choosing", "Which compression rate of a study to take, under your conditions."),
    "report": ("host.cli.reporting", "A study as one HTML file that opens without the internet."),
    "reproduce": ("host.cli.reproducing", "The published experiment: every rate, its AUC, latency and memory."),
    "example": ("host.cli.example", "Write trained example models and images to try the others with."),
}


class Group(click.Group):
    """Names the nearest command where there is none."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], names, n=1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."
            ctx.fail(f"No such command {args[0]!r}: {meant}")
        return super().resolve_command(ctx, args)


class Commands(Group):
    """The whole of `host`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(importlib.import_module(_COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table above: importing every command for its help would cost half a second."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        output.take_any_character()
        with interrupts.listening():
            sys.exit(self._ended(words, *rest, **extra))

    def _ended(self, words: list[str], *rest: Any, **extra: Any) -> int:
        """The exit code of the command, what went wrong told."""
        as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
        try:
            result = super().main(words, *rest, **{**extra, "standalone_mode": False})
            output.flush()
        except HostError as error:
            output.tell(error, as_json)
            return error.exit_code
        except MemoryError as error:
            short = MemoryShortError(str(error))
            output.tell(short, as_json)
            return short.exit_code
        except click.ClickException as error:
            output.tell_usage(error, as_json)
            return error.exit_code
        except click.Abort as abort:
            cause = abort.__cause__  # click's form of a KeyboardInterrupt
            number = cause.number if isinstance(cause, interrupts.Terminated) else signal.SIGINT
            click.echo("interrupted" if number == signal.SIGINT else signal.strsignal(number), err=True)
            return 128 + number
        return result if isinstance(result, int) else 0  # that of context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="boardfit")
def main() -> None:
    """boardfit fits a visual-inspection model onto a small board and proves it with numbers."""
