"""Photographs the explorer for the README: ``python -m experiments.explorer.picture``.

Needs the built site (``make docs``), Debian's ``chromium`` and ``chromium-driver``, and selenium,
which ``pip install -e '.[test]'`` brings.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from experiments.core.usage import run_command
from experiments.explorer.browser import SITE, open_explorer
from wavevit.files import write_whole

_STATE = "photo=coins&left=vit&right=mirror_lock&move=crop&right_px=3"
_WIDTH = 1000  # pixels


@dataclass
class Options:
    """Open the explorer in headless Chromium and photograph its two models."""

    site: Path = SITE
    out: Path = SITE.parent / "_static" / "explorer" / "explorer.webp"


def take_picture(options: Options) -> None:
    """Writes the picture.

    Raises:
        ValueError: no built site, or no browser.
    """
    from PIL import Image, ImageOps

    with open_explorer(options.site, options.out, "--force-device-scale-factor=1.5") as (
        window,
        show,
    ):
        finished = "return document.querySelector('#explorer').dataset.shown?.includes('coins')"
        show(_STATE, lambda w: w.execute_script(finished))
        board = window.find_element("css selector", ".ex-board")
        picture = Image.open(io.BytesIO(board.screenshot_as_png)).convert("RGB")
        picture = ImageOps.expand(picture, 24, "white")
    file = io.BytesIO()
    # The only picture in git: the README has no built site to take it from. At most 60 kB.
    picture.thumbnail((_WIDTH, _WIDTH), Image.Resampling.LANCZOS)
    picture.save(file, "WEBP", quality=80, method=6)
    write_whole(options.out, file.getvalue())
    print(f"{options.out}: {len(file.getvalue()) / 1e3:.0f} kB")


if __name__ == "__main__":
    run_command("experiments.explorer.picture", Options, take_picture)
