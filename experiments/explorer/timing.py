"""How long the page takes for one shift: ``python -m experiments.explorer.timing``.

Median over 40 shifts of all that one model does for a frame: moving the image, the lock, the
model, the change of its tokens. Needs what `experiments.explorer.picture` needs; run it on a quiet
machine. Record: ``experiments/records/explorer/timing.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from experiments.core.records import RECORDS, environment, write_json
from experiments.core.usage import run_command
from experiments.explorer.browser import SITE, open_explorer
from experiments.explorer.choice import MODELS

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

    site: Path = SITE
    out: Path = RECORDS / "explorer" / "timing.json"


def _complete(window: Any) -> bool:
    """Whether both curves are complete: the page has nothing else to do."""
    drawn = "return [...document.querySelectorAll('.curve')].map("
    drawn += "c => c.getAttribute('points').split(' ').length).join()"
    found: str = window.execute_script(drawn)
    return found == "65,65"


def time_models(options: Options) -> dict[str, Any]:
    """Milliseconds by model: to load it, and for one frame.

    Raises:
        ValueError: no built site, or no browser.
    """
    times = {}
    with open_explorer(options.site, options.out) as (window, show):
        for choice in MODELS:
            show(f"photo=cat&left={choice.name}&right={choice.name}&move=crop", _complete)
            measured = window.execute_script(_SCRIPT, choice.name, _SHIFTS)
            times[choice.name] = {key: round(value, 1) for key, value in measured.items()}
            print(f"{choice.name}: {times[choice.name]} ms")
        version = window.capabilities["browserVersion"]
    record = {
        "unit": "ms",
        "shifts": _SHIFTS,
        "models": times,
        "chromium": version,
        "environment": environment(torch.device("cpu"), 1),
    }
    write_json(options.out, record)
    return record


if __name__ == "__main__":
    run_command("experiments.explorer.timing", Options, time_models)
