"""From a study to what shows it to others: one HTML file, its figures as files, its rows for other programs."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from host import disk
from host.choosing.choice import Request as Question
from host.choosing.choose import choose
from host.errors import InputError
from host.progress import Progress
from host.report import parquet
from host.report.html.examples import examples_of, left_out
from host.report.html.figures import figures_of
from host.report.html.page import Report, page
from host.report.html.series import by_board_and_rate
from host.report.html.texts import LANGUAGES, Language
from host.report.records import rows_as_csv, rows_as_json
from host.study.results import StudyResults, read_study

PNG_SCALE = 2.0


@dataclass(frozen=True)
class Request:
    """What to write, and where; None: not that. `html` None with `is_page`: a file named for the study, here.

    `study` None: the newest. `question`: which rate to name. `language` of the page, None as the reader's browser says,
    and of the figures in the folder `figures`.
    """

    study: str | None
    question: Question
    html: Path | None = None
    csv: Path | None = None
    json: Path | None = None
    parquet: Path | None = None
    figures: Path | None = None
    language: Language | None = None
    examples: bool = True

    @property
    def is_page(self) -> bool:
        """The page is what is written unless something else was asked for."""
        return self.html is not None or not any((self.csv, self.json, self.parquet, self.figures))


def report(request: Request, progress: Progress) -> tuple[Path, ...]:
    """The files that were written, each whole. InputError: no such study, board or figure, or a file that cannot be."""
    if request.parquet:
        parquet.check_pyarrow()
    progress.stage("reading the study")
    results = _read(request.study)
    written: list[Path] = []
    if request.is_page:
        path = request.html or Path(f"{results.study.name}.html")
        written.append(_write(path, _page(results, request, progress)))
    if request.figures:
        written += _write_figures(results, request, request.figures, progress)
    if request.csv:
        written.append(_write(request.csv, _csv(results)))
    if request.json:
        written.append(_write(request.json, rows_as_json(results.rows).encode("utf-8")))
    if request.parquet:
        written.append(_write(request.parquet, parquet.rows_as_parquet(results.rows)))
    return tuple(written)


def _read(name: str | None) -> StudyResults:
    """Rows of no study are shown elsewhere: it is said where."""
    try:
        return read_study(name)
    except InputError as error:
        if error.code != "no_study":
            raise
        raise InputError(error.message, f"{error.hint}; benches of no study: `host results`", error.code) from error


def _page(results: StudyResults, request: Request, progress: Progress) -> bytes:
    """The examples come from another thread: ONNX Runtime does not wait for Python, nor Python for it."""
    progress.stage("running the models on example images, choosing a rate, drawing")
    with ThreadPoolExecutor(1) as beside:
        examples = beside.submit(examples_of, results).result if request.examples else left_out
        choice = choose(results, request.question)
        return page(Report(results, choice, examples, datetime.now(UTC), request.language)).encode("utf-8")


def _write_figures(results: StudyResults, request: Request, folder: Path, progress: Progress) -> list[Path]:
    """Each as SVG and as PNG; a figure that no row has is none."""
    import vl_convert

    choice = choose(results, request.question)
    language = request.language or LANGUAGES[0]
    written = []
    for figure in figures_of(results, by_board_and_rate(results), choice):
        if figure.empty:
            progress.note(f"no {figure.name} figure: no row has it")
            continue
        progress.stage(f"drawing {figure.name}")
        svg = vl_convert.vegalite_to_svg(figure.whole(language))
        written.append(_write(folder / f"{figure.name}.svg", svg.encode("utf-8")))
        written.append(_write(folder / f"{figure.name}.png", vl_convert.svg_to_png(svg, scale=PNG_SCALE)))
    return written


def _csv(results: StudyResults) -> bytes:
    rows_as_csv(results.rows, file := io.StringIO(newline=""))
    return file.getvalue().encode("utf-8")


def _write(path: Path, content: bytes) -> Path:
    """Whole or not at all; replaced where it is there."""
    try:
        disk.replace(path, content, durable=False)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", "name another file or folder") from error
    return path
