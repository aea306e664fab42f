"""Headless Chromium, as Debian packages it, with an empty profile."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from wavevit.checks import require_extra

__all__ = ["NEEDED", "find_chromium", "start_chromium"]

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
    """A browser that logs its requests, as selenium's ``Chrome``.

    Args:
        found: from `find_chromium`.
        profile: an empty folder.
        *extra: further arguments.
    """
    webdriver = require_extra("selenium.webdriver", "test")
    service = require_extra("selenium.webdriver.chrome.service", "test")
    options = webdriver.ChromeOptions()
    options.binary_location, driver = found
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}", *extra):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return webdriver.Chrome(options=options, service=service.Service(driver))
