"""What can go wrong on the user's machine, and the exit code each gives the command line.

HostError                     1   host_error            anything that is nobody's bug, by itself not more precise
+-- MemoryShortError          1   out_of_memory         this machine has too little memory for what was asked
+-- ProgramError              1   program_failed        a program that is needed here is missing or has failed; what
|                                                       the converters say of it keeps its own code
+-- InputError                3   bad_input             a model, an image or an option's value is wrong; what other
|   |                                                   rooms say of these (`as_input_error`) keeps its own code
|   +-- UnknownBoardError     3   unknown_board         no board of that name is configured
|   +-- BoardsFileError       3   bad_boards_file       boards.toml is not what it should be
|   +-- TokenFileError        3   bad_token_file        no token in it, or others can read it
|   +-- ModelFileError        3   bad_model             as the converter's error says; its own code is kept
|   +-- UnknownRowError       3   unknown_row           no result has that id
|   +-- AmbiguousRowError     3   ambiguous_row         more than one result's id starts like that
+-- UnreachableError          4   board_unreachable     the board does not answer
|   +-- LocalAgentError       4   local_agent_failed    the agent of this machine does not come up
|   +-- UnansweredError       4   unanswered            it was reached, and its reply did not come in time
+-- BoardError                5   board_refused         the board answered, and refused or failed; its own code is kept
|   +-- ApiVersionError       5   other_api_version     the agent speaks another version of the API
|   +-- DoesNotRunError       5   does_not_run          the model does not run on this board: a result
|   +-- NotFitError           5   not_fit_for_bench     --strict: a bench there may not show what the board can do
|   +-- BusyError             5   board_busy            not now: it says after how many seconds; its own code is kept
|   +-- NotAnAgentError       5   not_an_agent          what answers there is no agent of boardfit
+-- ResultsError              6   results_failed        the results database
    +-- ResultsReadOnlyError  6   results_read_only     it cannot be written
    +-- ResultsNewerError     6   results_newer         made by a newer boardfit
    +-- ResultsBrokenError    6   results_broken        not a results database, or a corrupt one
    +-- ResultsFullError      6   results_full          no room left on its disk
    +-- ResultsLockedError    6   results_locked        another process holds it
    +-- UnstoredError         6   not_stored            measured, and then not stored; the database's own code is kept

Exit code 2 is click's own: the command line itself is wrong. A bug is no HostError: it keeps its traceback.

To add an error: subclass the branch whose exit code is right, give it a `code`, and draw it above (a test compares).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from contract.results import BenchRow


class HostError(Exception):
    """What the user reads: `message` says what happened, with the value; `hint` says what to do about it."""

    code = "host_error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.code


class MemoryShortError(HostError):
    """This machine has too little memory for what was asked; `what` could not be had, in words, where that is known."""

    code = "out_of_memory"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"this machine has too little memory for that: {what or 'no more could be had'}",
            "the model or its images are too large for it: give smaller sizes (--input-shape, where the model leaves "
            "them open), end other programs, or take a machine with more memory",
        )


class ProgramError(HostError):
    """A program that is needed on this machine is missing, or has failed: another model would not help."""

    code = "program_failed"


class InputError(HostError):
    """A model, an image or an option's value is wrong: another one is needed."""

    code = "bad_input"
    exit_code = 3


class UnknownBoardError(InputError):
    """No board of that name is configured."""

    code = "unknown_board"


class BoardsFileError(InputError):
    """boards.toml cannot be read, or has a key it should not have."""

    code = "bad_boards_file"


class TokenFileError(InputError):
    """A token file that is missing, empty, or open to others."""

    code = "bad_token_file"


class ModelFileError(InputError):
    """The model file cannot be converted: the converter's message, hint and code."""

    code = "bad_model"


class UnknownRowError(InputError):
    """No result has an id that starts like this; `nearest` is the one most like it."""

    code = "unknown_row"

    def __init__(self, prefix: str, nearest: str | None) -> None:
        super().__init__(
            f"no result has an id that starts with {prefix!r}" + (f"; did you mean {nearest}?" if nearest else ""),
            "`host results` lists the ids",
        )
        self.nearest = nearest


class AmbiguousRowError(InputError):
    """More than one result has an id that starts like this."""

    code = "ambiguous_row"

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"{prefix!r} is the start of more than one id: {', '.join(candidates)}",
            "give more characters of the id",
        )
        self.candidates = tuple(candidates)


class UnreachableError(HostError):
    """The board does not answer."""

    code = "board_unreachable"
    exit_code = 4


class LocalAgentError(UnreachableError):
    """The agent of this machine does not come up; the message has the last lines of its log."""

    code = "local_agent_failed"


class UnansweredError(UnreachableError):
    """The board was reached, and its reply did not come in time."""

    code = "unanswered"


class BoardError(HostError):
    """The board answered, and refused or failed."""

    code = "board_refused"
    exit_code = 5


class ApiVersionError(BoardError):
    """The agent speaks another version of the management API."""

    code = "other_api_version"


class DoesNotRunError(BoardError):
    """The model does not run on this board: worth a row of its own."""

    code = "does_not_run"


class NotFitError(BoardError):
    """Something was found for which a bench may not show what the board can do, and the user wants none then."""

    code = "not_fit_for_bench"


class BusyError(BoardError):
    """The board is busy, and says after how many seconds to ask again."""

    code = "board_busy"

    def __init__(self, message: str, hint: str, code: str | None = None, retry_after_s: float = 1.0) -> None:
        super().__init__(message, hint, code)
        self.retry_after_s = retry_after_s


class NotAnAgentError(BoardError):
    """What answers at the board's address is no agent of boardfit."""

    code = "not_an_agent"


class ResultsError(HostError):
    """The results database cannot do what was asked."""

    code = "results_failed"
    exit_code = 6


class ResultsReadOnlyError(ResultsError):
    """The results database can be read, not written."""

    code = "results_read_only"


class ResultsNewerError(ResultsError):
    """A newer boardfit made the results database: `found` and `known` are the two schema versions."""

    code = "results_newer"

    def __init__(self, where: str, found: str, known: str) -> None:
        super().__init__(
            f"{where} has schema {found}, made by a newer boardfit; this one knows up to schema {known}",
            "upgrade boardfit, or name another results database",
        )
        self.found = found
        self.known = known


class ResultsBrokenError(ResultsError):
    """Not a results database, or a corrupt one."""

    code = "results_broken"


class ResultsFullError(ResultsError):
    """No room is left where the results database is."""

    code = "results_full"


class ResultsLockedError(ResultsError):
    """Another process has held the results database for longer than we wait."""

    code = "results_locked"


class UnstoredError(ResultsError):
    """`row` was measured, and could not be stored: it is shown instead, so that it is not lost."""

    code = "not_stored"

    def __init__(self, row: "BenchRow", cause: ResultsError) -> None:
        super().__init__(f"result {row.id} is measured, but not stored: {cause.message}", cause.hint, cause.code)
        self.row = row


@contextmanager
def as_input_error() -> Iterator[None]:
    """Within, what compression, its data sets and inspection say of a user's model, images or figures is an InputError.

    Message, hint and code stay theirs.
    """
    from compression.data.errors import DatasetError
    from compression.errors import CompressionError
    from inspection.errors import InspectionError

    try:
        yield
    except (CompressionError, DatasetError, InspectionError) as error:
        raise InputError(str(error), error.hint, error.code) from error
