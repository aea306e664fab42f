"""How long the page takes for one shift: ``python -m experiments.explorer.timing``.

Median over 40 shifts of all that one model does for a frame: moving the image, the lock, the
model, the change of its tokens. Needs what `experiments.explorer.picture` needs; run it on a quiet
machine. Record: ``experiments/records/explorer/timing.json``.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro

from experiments.core.records import environment, write_json
from experiments.core.usage import wrong_usage
from experiments.explorer.browser import NEEDED, find_chromium, start_chromium
from experiments.explorer.choice import MODELS
from wavevit.checks import fail, require_extra
from wavevit.files import check_output_file

__all__ = ["Options", "main", "time_models"]

_ROOT = Path(__file__).parents[2]
_SHIFTS = 40
# Fractions, the dearest: the whole window is shifted by Fourier.
_SCRIPT = """
const [name, count] = arguments, E = shiftExplorer, times = [];
const window = E.windowOf(E.photographs.cat);
const start = performance.now();
const subject = new E.Subject(E.models[name], E.load(E.models[name]), window);
const load = performance.now() - start;
for (let i = 0; i < count; i++) {
  const begin = performance.now();
  subject.look(E.moved(window, [0, i % 8 + 0.5], "crop"), "first");
  times.push(performance.now() - begin);
}
times.sort((a, b) => a - b);
return {load, frame: times[count >> 1]};
"""


@dataclass
class Options:
    """Time the explorer's models in headless Chromium."""

    site: Path = _ROOT / "docs" / "_build"
    out: Path = _ROOT / "experiments" / "records" / "explorer" / "timing.json"


def time_models(options: Options) -> dict[str, Any]:
    """Milliseconds by model: to load it, and for one frame.

    Raises:
        ValueError: no built site, or no browser.
    """
    page, found = options.site / "explorer.html", find_chromium()
    if not page.exists():
        fail("site", "a built site (make docs)", options.site)
    if found is None:
        fail("PATH", NEEDED, "neither or one of them")
    check_output_file("out", options.out, make_folder=True)
    wait = require_extra("selenium.webdriver.support.ui", "test")
    times = {}
    with tempfile.TemporaryDirectory() as profile:
        window = start_chromium(found, Path(profile))
        try:
            for choice in MODELS:
                state = f"photo=cat&left={choice.name}&right={choice.name}&move=crop"
                window.get("about:blank")
                window.get(f"{page.resolve().as_uri()}#{state}")
                # Until the curve is complete: the page has nothing else to do.
                drawn = "return [...document.querySelectorAll('.curve')].map("
                drawn += "c => c.getAttribute('points').split(' ').length).join()"
                wait.WebDriverWait(window, 300).until(
                    lambda w, drawn=drawn: w.execute_script(drawn) == "65,65"
                )
                measured = window.execute_script(_SCRIPT, choice.name, _SHIFTS)
                times[choice.name] = {key: round(value, 1) for key, value in measured.items()}
                print(f"{choice.name}: {times[choice.name]} ms")
            version = window.capabilities["browserVersion"]
        finally:
            window.quit()
    record = {
        "unit": "ms",
        "shifts": _SHIFTS,
        "models": times,
        "chromium": version,
        "environment": environment(torch.device("cpu"), 1),
    }
    write_json(options.out, record)
    return record


def main() -> None:
    """The command line; complaints about arguments come without a traceback."""
    try:
        time_models(tyro.cli(Options, prog="python -m experiments.explorer.timing"))
    except (ValueError, ImportError) as error:
        wrong_usage("experiments.explorer.timing", error)


if __name__ == "__main__":
    main()
