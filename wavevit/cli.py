"""The command line: ``wavevit audit MODEL``, ``wavevit transform IMAGE`` and ``wavevit models``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import torch
import tyro

from wavevit.auditing import Samples, audit, parse_bounds
from wavevit.checks import check_choice
from wavevit.measure import cost
from wavevit.models import Backbone, list_models, model_config

__all__ = ["Audit", "Models", "Transform", "main"]

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

    def run(self) -> int:
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
        return 0


@dataclass
class Models:
    """List the backbones: size, cost at 224 pixels, strides, and the shifts they keep."""

    pattern: Annotated[str, tyro.conf.Positional] = "*"
    """A shell-style pattern, such as 'haar*'."""

    def run(self) -> int:
        """Prints the table."""
        head = ("model", "parameters", "GMAC", "strides", "tokenizer", "mixers", "keeps shifts by")
        rows = [head, *(_model_row(name) for name in list_models(self.pattern))]
        if len(rows) == 1:
            check_choice("pattern", self.pattern, list_models())
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        return 0


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


@dataclass
class Audit:
    """Examine a model: shifts, continuity, scale, depth, vocabulary, cost. Writes a page and JSON.

    Exits with 1 where a --fail-under or --fail-over bound is broken, with 2 on bad input.
    """

    model: Annotated[str, tyro.conf.Positional]
    """A name of `wavevit models`, timm:NAME, hub:ID or path/to/file.py:factory (which is run);
    with +METHOD, such as haar_pyramid_tiny+phase_lock, aligned."""
    against: tuple[str, ...] = ()
    """Other models, side by side."""
    images: Path | None = None
    """A folder of pictures, or one picture; the bundled photographs by default."""
    pretrained: bool = False
    """timm's weights (downloaded) instead of random ones."""
    size: int | None = None
    """Side of the input in pixels; by default what each model declares."""
    out: Path = Path()
    """Folder of audit.html and audit.json; this one by default."""
    fail_under: tuple[str, ...] = ()
    """Lower limits of the model, such as s_cons=80 c_cons=99, for somebody's CI."""
    fail_over: tuple[str, ...] = ()
    """Upper limits, such as r_crop=0.1 condition=50."""
    seed: int = 0
    """Of random weights, shifts and directions."""
    device: str | None = None
    """Such as cuda; by default where each model is."""
    samples: Samples = field(default_factory=Samples)
    """How much to look at."""

    def run(self) -> int:
        """Measures, prints, writes; the exit code."""
        bounds = parse_bounds("fail-under", self.fail_under, "high")
        bounds += parse_bounds("fail-over", self.fail_over, "low")
        report = audit(
            self.model,
            against=self.against,
            images=self.images,
            size=self.size,
            pretrained=self.pretrained,
            samples=self.samples,
            seed=self.seed,
            device=self.device,
            progress=sys.stderr.isatty(),
        )
        print(report.table())
        report.to_json(self.out / "audit.json")
        report.to_html(self.out / "audit.html")
        print(f"\n{self.out / 'audit.html'}\n{self.out / 'audit.json'}")
        broken = report.broken(bounds)
        for words in broken:
            print(f"wavevit: {words}", file=sys.stderr)
        return 1 if broken else 0


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``wavevit``; complaints about arguments come without a traceback."""
    command = tyro.cli(Audit | Transform | Models, prog="wavevit", args=arguments)
    try:
        code = command.run()
    except (ImportError, ValueError) as error:
        print(f"wavevit: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if code:
        raise SystemExit(code)
