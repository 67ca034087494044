"""A headless Chromium with a page in it. A machine without one skips what needs it."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
WIDE, PHONE = 1280, 375
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
)
_PATIENCE_S = 30


class Browser:
    """What a test does with a page, and what the page did."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path, width: int = WIDE) -> None:
        """The file, with all its figures drawn."""
        phone = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width <= PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        self.log()  # what went before is another page's
        self.requests()
        self.driver.get(path.as_uri())
        self.until(lambda: self.run("return document.documentElement.dataset.drawn === document.documentElement.lang"))

    def run(self, script: str, *arguments: object) -> Any:
        """What `return`s of it."""
        return self.driver.execute_script(script, *arguments)

    def until(self, is_so: Callable[[], bool]) -> None:
        """AssertionError where it does not become true."""
        end = time.monotonic() + _PATIENCE_S
        while not is_so():
            assert time.monotonic() < end, f"it is not so after {_PATIENCE_S} s"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def log(self) -> list[dict[str, Any]]:
        """What is in the console, broken security policies among it, since the last call."""
        said: list[dict[str, Any]] = self.driver.get_log("browser")
        return said

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def mouse(self, kind: str, x: float, y: float, **more: object) -> None:
        """An event of the mouse, at a point in the window."""
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})

    def centre_of(self, selector: str) -> tuple[float, float]:
        """In the window, scrolled there."""
        x, y = self.run(
            "const it = document.querySelector(arguments[0]);"
            "it.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2];",
            selector,
        )
        return x, y


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """Its profile and its downloads are in the folder."""
    for program in (CHROMIUM, DRIVER):
        if not shutil.which(program):
            pytest.skip(f"no {program}: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
