"""The command line: ``wavevit transform IMAGE`` and ``wavevit models``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from wavevit.checks import check_choice
from wavevit.measure import cost
from wavevit.models import Backbone, list_models, model_config

__all__ = ["Models", "Transform", "main"]

_SUFFIXES = (".png", ".svg", ".pdf", ".jpg")


@dataclass
class Transform:
    """Draw the subbands of a picture, labelled."""

    image: Annotated[str, tyro.conf.Positional]
    """A picture file, or the name of a bundled photograph such as astronaut."""
    wavelet: str = "haar"
    """A PyWavelets name, or dtcwt for the dual-tree complex transform."""
    level: int = 3
    """Number of levels."""
    mode: str = "periodization"
    """Border mode, by PyWavelets' names; the dual tree has its own."""
    out: Path | None = None
    """Where to write (.png, .svg, .pdf, .jpg); by default IMAGE-WAVELET.png in this folder."""

    def run(self) -> None:
        """Draws and writes."""
        from wavevit.pictures import draw_dual_tree, draw_pyramid, load_image
        from wavevit.wavelets import dtcwt2, wavedec2

        stem = Path(self.image).stem
        target = self.out or Path(f"{stem}-{self.wavelet.replace('.', '_')}.png")
        check_choice("out", target.suffix.lower(), _SUFFIXES)
        image = load_image(self.image)
        height, width = image.shape[-2:]
        what = f"{Path(self.image).name}, {height} × {width} pixels"
        if self.wavelet == "dtcwt":
            tree = dtcwt2(image, level=self.level)
            title = f"{what}: dual tree, magnitudes of {self.level} level(s)"
            figure = draw_dual_tree(tree, title)
        else:
            pyramid = wavedec2(image, self.wavelet, self.mode, self.level)
            title = f"{what}: {self.wavelet}, {self.level} level(s), {self.mode}"
            figure = draw_pyramid(pyramid, title)
        figure.savefig(target, dpi=150)
        print(target)


@dataclass
class Models:
    """List the backbones: size, cost at 224 pixels, strides, and the shifts they keep."""

    pattern: Annotated[str, tyro.conf.Positional] = "*"
    """A shell-style pattern, such as 'haar*'."""

    def run(self) -> None:
        """Prints the table."""
        head = ("model", "parameters", "GMAC", "strides", "tokenizer", "mixers", "keeps shifts by")
        rows = [head, *(_model_row(name) for name in list_models(self.pattern))]
        if len(rows) == 1:
            check_choice("pattern", self.pattern, list_models())
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def _model_row(name: str) -> tuple[str, ...]:
    config = model_config(name)
    with torch.device("meta"):  # shapes are enough to count
        model = Backbone(config)
        image = torch.zeros(1, config.in_chans, *config.image_size)
    found = cost(model, image)
    period = model.symmetry.lockable_period
    return (
        name,
        f"{found.parameters / 1e6:.2f} M",
        f"{found.macs / 1e9:.2f}",
        ", ".join(map(str, config.strides)),
        config.tokenizer,
        ", ".join(dict.fromkeys(stage.mixer for stage in config.stages)),
        "none" if period is None else f"{period} px (circular)",
    )


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``wavevit``; complaints about arguments come without a traceback."""
    command = tyro.cli(Transform | Models, prog="wavevit", args=arguments)
    try:
        command.run()
    except ValueError as error:
        raise SystemExit(f"wavevit: {error}") from None
