"""The page as a person has it: in Chromium, without the internet."""

import base64
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from host.study.results import StudyResults

from ..studies import study_results, with_latencies
from .browser import PHONE, WIDE, Browser, started
from .reports import html

BOARDS, RATES = ("desktop", "coral"), (0.0, 0.5, 0.9, 0.99)
FIGURES = ("latency", "auc", "memory", "pareto")
HOSTILE = "</script><script>document.documentElement.dataset.broken = 1</script><img src=x onerror=alert(1)>"


def study(trials: int = 2) -> StudyResults:
    """A small one: `coral` lacks the control."""
    return study_results(BOARDS, RATES, trials)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html(study()), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Browser, file: Path) -> Browser:
    browser.open(file)
    return browser


def symbols(page: Browser, figure: str) -> int:
    """How many marks are drawn: of means, of trials, rings."""
    count: int = page.run(
        "return document.querySelectorAll(`#plot-${arguments[0]} g.mark-symbol.role-mark path`).length", figure
    )
    return count


def expected(page: Browser, figure: str) -> int:
    """By the data that the page has."""
    count: int = page.run(
        "const {data} = JSON.parse(document.getElementById('figure-data').textContent)"
        ".find(({name}) => name === arguments[0]);"
        "return [data.points, data.trials ?? [], data.points.filter((it) => it.chosen),"
        " data.points.filter((it) => it.control)].flat().length",
        figure,
    )
    return count


def axis(page: Browser, figure: str) -> list[str]:
    """What stands at both axes."""
    texts: list[str] = page.run(
        "return [...document.querySelectorAll(`#plot-${arguments[0]} .role-axis-label text`)]"
        ".map((it) => it.textContent)",
        figure,
    )
    return texts


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_every_figure_is_drawn_and_nothing_leaves_the_page(browser: Browser, file: Path, width: int) -> None:
    browser.open(file, width)
    for figure in FIGURES:
        assert symbols(browser, figure) == expected(browser, figure) > 0
        wide, there = browser.run(
            "const plot = document.getElementById(`plot-${arguments[0]}`);"
            "return [plot.querySelector('svg').getBoundingClientRect().width, plot.clientWidth]",
            figure,
        )
        assert 0.95 * there <= wide <= there + 1
    assert browser.requests() == [file.as_uri()]
    assert browser.log() == []
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_a_board_that_is_clicked_in_the_legend_is_seen_alone_until_a_double_click(page: Browser) -> None:
    for figure in FIGURES:
        before, others = symbols(page, figure), [symbols(page, each) for each in FIGURES if each != figure]
        x, y = page.centre_of(f"#plot-{figure} .role-legend-symbol path")
        for event in ("mousePressed", "mouseReleased"):
            page.mouse(event, x, y, button="left", clickCount=1)
        page.until(lambda: symbols(page, figure) < before)  # noqa: B023 - called at once
        assert [symbols(page, each) for each in FIGURES if each != figure] == others
        for event in ("mousePressed", "mouseReleased"):
            page.mouse(event, x, y, button="left", clickCount=2)
        page.until(lambda: symbols(page, figure) == before)  # noqa: B023 - called at once
    assert page.log() == []


def test_ctrl_and_wheel_zooms_and_reset_goes_back(page: Browser) -> None:
    before = axis(page, "memory")
    x, y = page.centre_of("#plot-memory .role-frame .background")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-600)
    page.run("return new Promise((done) => setTimeout(() => requestAnimationFrame(done), 200))")
    assert axis(page, "memory") == before  # the bare wheel is the page's
    x, y = page.centre_of("#plot-memory .role-frame .background")
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-600, modifiers=2)
    page.until(lambda: axis(page, "memory") != before)
    page.click("[data-reset=memory]")
    page.until(lambda: axis(page, "memory") == before)


def test_a_logarithmic_axis(page: Browser) -> None:
    before = axis(page, "latency")
    page.click("[data-log=latency]")
    page.until(lambda: axis(page, "latency") != before and symbols(page, "latency") == expected(page, "latency"))
    assert page.log() == []


def test_an_error_bar_below_zero_leaves_a_logarithmic_axis_whole(browser: Browser, tmp_path: Path) -> None:
    wide = with_latencies(study(), {0.5: (2.0, 20.0)})  # Student's t at one degree of freedom: down to -103
    path = tmp_path / "wide.html"
    path.write_text(html(wide), encoding="utf-8")
    browser.open(path)
    low = browser.run(
        "return Math.min(...JSON.parse(document.getElementById('figure-data').textContent)[0].data.points"
        ".map(({low}) => low))"
    )
    assert low < 0
    before = axis(browser, "latency")
    browser.click("[data-log=latency]")
    browser.until(lambda: axis(browser, "latency") != before)
    assert symbols(browser, "latency") == expected(browser, "latency")
    drawn = browser.run("return document.querySelector('#plot-latency svg').outerHTML")
    assert "NaN" not in drawn
    assert "undefined" not in drawn
    labels = browser.run(
        "return [...document.querySelectorAll('#plot-latency [aria-label^=\"Y-axis\"] .role-axis-label text')]"
        ".map((it) => it.textContent).filter((it) => it)"
    )
    assert len(labels) >= 2
    edge, lowest = browser.run(
        "const box = (it) => it.getBoundingClientRect();"
        "const bars = [...document.querySelectorAll('#plot-latency g.mark-rule.role-mark line')].map(box);"
        "return [box(document.querySelector('#plot-latency .role-frame .background')).bottom,"
        " Math.max(...bars.map((it) => it.bottom))]"
    )
    assert abs(edge - lowest) <= 1
    assert browser.log() == []


def test_the_language_switch_turns_text_and_figures(page: Browser) -> None:
    page.click("[data-language=ja]")
    page.until(lambda: page.run("return document.documentElement.dataset.drawn") == "ja")
    assert page.driver.title == "圧縮スタディ capsule-sweep"
    assert "圧縮率と推論レイテンシ" in page.run("return document.getElementById('plot-latency').textContent")
    seen = page.run("return document.body.innerText")
    assert "推奨する圧縮率" in seen
    assert "Which rate to take" not in seen
    page.click("[data-language=en]")
    page.until(lambda: page.run("return document.documentElement.dataset.drawn") == "en")
    assert "Which rate to take" in page.run("return document.body.innerText")
    assert page.log() == []


def test_a_mark_that_is_pointed_at_tells_its_figures(page: Browser) -> None:
    x, y = page.centre_of("#plot-memory g.mark-symbol.role-mark path[aria-label*='desktop']")
    page.mouse("mouseMoved", x, y)
    page.until(lambda: page.run("return document.querySelector('#vg-tooltip-element.visible') !== null"))
    told = page.run("return document.getElementById('vg-tooltip-element').innerText")
    assert "desktop" in told
    assert "95 % interval" in told


def test_the_rows_open_as_a_table_and_are_saved_as_csv(page: Browser, tmp_path: Path) -> None:
    page.click("#row-table summary")
    page.until(lambda: page.run("return document.querySelector('#row-table tbody tr') !== null"))
    results = study()
    ids = page.run("return [...document.querySelectorAll('#row-table tbody tr')].map((it) => it.cells[0].textContent)")
    assert ids == [row.id for row in results.rows]
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.click("#row-download")
    saved = tmp_path / "capsule-sweep.csv"
    page.until(saved.exists)
    rows = list(csv.DictReader(saved.read_text(encoding="utf-8-sig").splitlines()))
    assert [row["id"] for row in rows] == ids
    assert page.log() == []


def test_a_board_without_any_figure_can_be_clicked_too(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "missing.html"
    path.write_text(html(study_results(BOARDS, RATES, 1, missing=("desktop",))), encoding="utf-8")
    browser.open(path)
    before = symbols(browser, "latency")
    x, y = browser.centre_of("#plot-latency .role-legend-symbol path")
    for event in ("mousePressed", "mouseReleased"):
        browser.mouse(event, x, y, button="left", clickCount=1)
    browser.until(lambda: symbols(browser, "latency") == 0 < before)
    assert browser.log() == []


def test_a_hostile_study_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    results = study()
    rows = tuple(row.model_copy(update={"failure": HOSTILE} if row.failure else {}) for row in results.rows)
    path = tmp_path / "hostile.html"
    path.write_text(html(replace(results, study=replace(results.study, name=HOSTILE), rows=rows)), encoding="utf-8")
    browser.open(path)
    assert browser.run("return document.documentElement.dataset.broken") is None
    assert browser.run("return document.querySelectorAll('img[src=x]').length") == 0
    assert browser.run("return document.querySelector('h1').innerText") == f"Compression study {HOSTILE}"
    assert browser.log() == []


def test_a_script_that_is_not_ours_is_stopped(page: Browser) -> None:
    page.run(
        "const it = document.createElement('script'); it.textContent = 'document.documentElement.dataset.broken = 1';"
        "document.body.append(it)"
    )
    assert page.run("return document.documentElement.dataset.broken") is None
    assert "Content Security Policy" in "".join(entry["message"] for entry in page.log())


def test_on_paper_no_figure_and_no_table_is_wider_than_the_page(page: Browser) -> None:
    pdf = base64.b64decode(page.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert pdf.startswith(b"%PDF")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    paper = {"width": 688, "height": 1000, "deviceScaleFactor": 1, "mobile": False}  # A4 less its margins
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", paper)
    try:
        assert page.run("return document.documentElement.scrollWidth") <= 688
        wide = page.run(
            "return [...document.querySelectorAll('.wide, .plot')].filter((it) => it.scrollWidth > 690).length"
        )
        assert wide == 0
        assert page.run("return getComputedStyle(document.getElementById('rows')).display") == "none"
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_without_scripts_the_tables_are_there_and_it_is_said_where_the_figures_are(
    browser: Browser, file: Path
) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.driver.get(file.as_uri())
        seen = browser.driver.find_element("tag name", "body").text
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "this viewer runs none" in seen
    assert "Fewer weights" in seen
    assert "推奨する圧縮率" not in seen
