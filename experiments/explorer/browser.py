"""Headless Chromium, as Debian packages it, with an empty profile."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wavevit.checks import fail, require_extra
from wavevit.files import check_output_file

SITE = Path(__file__).parents[2] / "docs" / "_build"
NEEDED = "chromium and chromedriver (Debian: apt install chromium chromium-driver)"
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1500",
)


def find_chromium() -> tuple[str, str] | None:
    """Paths of the browser and of its driver, or None where one is missing."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return None if browser is None or driver is None else (browser, driver)


def start_chromium(found: tuple[str, str], profile: Path, *extra: str) -> Any:
    """A browser that logs its requests, as selenium's ``Chrome``."""
    webdriver = require_extra("selenium.webdriver", "test")
    service = require_extra("selenium.webdriver.chrome.service", "test")
    options = webdriver.ChromeOptions()
    options.binary_location, driver = found
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}", *extra):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options=options, service=service.Service(driver))


@contextmanager
def open_explorer(
    site: Path, out: Path, *extra: str
) -> Iterator[tuple[Any, Callable[[str, Callable[[Any], object]], None]]]:
    """A browser for the explorer of a built site, and what shows a state of it and waits.

    Raises:
        ValueError: no built site, or no browser.
    """
    page, found = site / "explorer.html", find_chromium()
    if not page.exists():
        fail("site", "a built site (make docs)", site)
    if found is None:
        fail("PATH", NEEDED, "neither or one of them")
    check_output_file("out", out, make_folder=True)
    wait = require_extra("selenium.webdriver.support.ui", "test")

    with tempfile.TemporaryDirectory() as profile:
        window = start_chromium(found, Path(profile), *extra)

        def show(state: str, shown: Callable[[Any], object]) -> None:
            window.get("about:blank")
            window.get(f"{page.resolve().as_uri()}#{state}")
            wait.WebDriverWait(window, 300).until(shown)

        try:
            yield window, show
        finally:
            window.quit()
