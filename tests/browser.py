"""Headless Chromium for tests of pages; skipped, with the reason, where there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from selenium import webdriver

from experiments.explorer.browser import NEEDED, find_chromium, start_chromium

__all__ = ["contrast", "requested_addresses", "start_browser"]


def start_browser(profile: Path) -> webdriver.Chrome:
    """A browser with an empty profile that logs its requests.

    Skips the test where Debian's ``chromium`` and ``chromium-driver`` are not installed; fails
    where the environment says that they must be (``WAVEVIT_BROWSER=required``, as in CI).
    """
    found = find_chromium()
    if found is None:
        if os.environ.get("WAVEVIT_BROWSER") == "required":
            pytest.fail(f"needs {NEEDED}")
        pytest.skip(f"needs {NEEDED}")
    return start_chromium(found, profile)


def requested_addresses(browser: webdriver.Chrome) -> list[str]:
    """What pages have asked for since the last call, by address."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]


def contrast(one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """WCAG 2 contrast of two sRGB colours of 0 to 255; AA asks text for 4.5."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [
            c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
            for c in (level / 255 for level in colour)
        ]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    dark, light = sorted((luminance(one), luminance(two)))
    return (light + 0.05) / (dark + 0.05)
