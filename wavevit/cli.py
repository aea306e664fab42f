"""The command line: ``wavevit audit MODEL``, ``wavevit transform IMAGE`` and ``wavevit models``.

Arguments are checked before anything is computed. Exit status:

* 0: done.
* 1: a bound of ``wavevit audit`` is broken.
* 2: wrong usage: an argument, a picture or a model that cannot be used, a missing package.
* 70: an error inside wavevit, with its traceback.
* 74: a file could not be read or written, for example because the disk is full.
* 130: interrupted. 141: output pipe closed, as in ``wavevit models | head``.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch

from wavevit.auditing import Samples, audit, parse_bounds
from wavevit.checks import check_at_least, check_choice, fail, require_extra
from wavevit.command_line import read_options
from wavevit.files import check_output_file, check_output_folder, shown_name, write_whole
from wavevit.measure import cost
from wavevit.models import Backbone, list_models, model_config
from wavevit.plugins import import_files

__all__ = ["Audit", "Models", "Transform", "main"]

tyro: Any = require_extra("tyro", "audit")

_SUFFIXES = (".png", ".svg", ".pdf", ".jpg")
# Exit status. 1 is a broken bound's alone; Python itself would end with it after any error. The
# others are those of sysexits.h and, as shells count signals, 128 + SIGINT and 128 + SIGPIPE.
_WRONG_USAGE, _INTERNAL, _FILE_ERROR, _INTERRUPTED, _NO_READER = 2, 70, 74, 130, 141


@dataclass
class Transform:
    """Draw the wavelet subbands of a picture, with labels."""

    image: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]
    """A picture file of any mode and bit depth, or the name of a bundled photograph such as
    astronaut."""
    wavelet: str = "haar"
    """A PyWavelets name, or dtcwt for the dual-tree complex transform."""
    level: int = 3
    """Number of levels."""
    mode: str | None = None
    """Border mode, as in PyWavelets; periodization by default, symmetric for dtcwt."""
    out: Path | None = None
    """Output file (.png, .svg, .pdf, .jpg) in an existing folder; by default IMAGE-WAVELET.png
    in the current folder."""

    def run(self) -> int:
        """Draws and writes."""
        from wavevit.pictures import draw_dual_tree, draw_pyramid, open_image
        from wavevit.wavelets import DTCWT_MODES, MODES, dtcwt2, filter_bank, wavedec2

        tree = self.wavelet == "dtcwt"
        check_at_least("level", self.level, 1 if tree else 0)
        if not tree:
            filter_bank(self.wavelet)
        mode = self.mode or ("symmetric" if tree else "periodization")
        check_choice("mode", mode, DTCWT_MODES if tree else MODES)
        stem = Path(self.image).stem
        target = self.out or Path(f"{stem}-{self.wavelet.replace('.', '_')}.png")
        check_choice("out", target.suffix.lower(), _SUFFIXES)
        check_output_file("out", target)
        image, note = open_image(self.image)
        height, width = image.shape[-2:]
        what = f"{shown_name(self.image)}, {height} × {width} pixels"
        if note:
            print(f"{self.image}: {note}", file=sys.stderr)
        if tree:
            title = f"{what}: dual tree, magnitudes of {self.level} level(s), {mode}"
            figure = draw_dual_tree(dtcwt2(image, level=self.level, mode=mode), title)
        else:
            title = f"{what}: {self.wavelet}, {self.level} level(s), {mode}"
            figure = draw_pyramid(wavedec2(image, self.wavelet, mode, self.level), title)
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=150, format=target.suffix[1:].lower())
        write_whole(target, drawn.getvalue())
        print(target)
        return 0


@dataclass
class Models:
    """List the backbones: parameters, cost at 224 pixels, strides and shift period."""

    pattern: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[PATTERN]")] = "*"
    """A shell-style pattern, such as 'haar*'."""
    module: tuple[str, ...] = ()
    """Python files (or module names) to run first; they register your layers and models."""

    def run(self) -> int:
        """Prints the table."""
        import_files(self.module)
        head = ("model", "parameters", "GMAC", "strides", "tokenizer", "mixers", "shift period")
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
    # Shapes give all patches of all sizes; of a picture only some are computed.
    most = "≤ " if model.weighs_tokens else ""
    return (
        name,
        f"{found.parameters / 1e6:.2f} M",
        f"{most}{found.macs / 1e9:.2f}",
        ", ".join(map(str, config.strides)),
        config.tokenizer,
        ", ".join(dict.fromkeys(stage.mixer for stage in config.stages)),
        "none" if period is None else f"{period} px (circular)",
    )


@dataclass(frozen=True, kw_only=True)
class _Numbers(Samples):
    """`Samples` as they are typed; `samples` checks them. (tyro would name a part of its own.)"""

    def __post_init__(self) -> None:
        pass

    def samples(self) -> Samples:
        """Raises a ValueError that names the option."""
        try:
            return Samples(**vars(self))
        except ValueError as error:
            name, _, words = str(error).partition(":")
            raise ValueError(f"samples.{name.replace('_', '-')}:{words}") from None


@dataclass
class Audit:
    """Audit a model: shifts, continuity, scale, depth, vocabulary, cost. Writes a page and JSON.

    Exit status: 0 done; 1 a --fail-under or --fail-over bound is broken; 2 wrong usage; 70 an
    error inside wavevit; 74 a file could not be read or written; 130 interrupted.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A name of `wavevit models`, timm:NAME, hub:ID, path/to/file.py:factory (the file is run),
    path/to/model.onnx or path/to/folder (of transformers, or ours: config.json and
    model.safetensors). Add +METHOD to align the model, as in haar_pyramid_tiny+phase_lock."""
    against: tuple[str, ...] = ()
    """Other models to compare with."""
    graft: Path | None = None
    """A file of wavevit.grafting.save_graft: compare MODEL with this graft with MODEL itself."""
    images: Path | None = None
    """A folder of pictures, or one picture; by default the bundled photographs. Fewer than four
    pictures are cut into windows."""
    pretrained: bool = False
    """Use timm's weights (downloaded) instead of random ones."""
    size: int | None = None
    """Side of the input in pixels; by default each model's own."""
    channels: int | None = None
    """Channels of the input, for all models; by default each model's own."""
    mean: tuple[float, ...] = ()
    """Mean of each channel of pictures in [0, 1], or one number; by default each model's own."""
    std: tuple[float, ...] = ()
    """Standard deviation of each channel, or one number; by default each model's own."""
    out: Path = Path()
    """Folder for audit.html and audit.json, created if missing; by default the current folder."""
    fail_under: tuple[str, ...] = ()
    """Lower limits for MODEL, such as s_cons=80 c_cons=99, to use in CI."""
    fail_over: tuple[str, ...] = ()
    """Upper limits for MODEL, such as r_crop=0.1 condition=50."""
    quick: bool = False
    """Measure consistency, sensitivity, tokens and cost only, on fewer pictures. Takes about a
    minute for a ViT-S on two cores."""
    seed: int = 0
    """Seed of random weights, shifts and directions."""
    device: str | None = None
    """Device, such as cuda; by default the device of each model."""
    module: tuple[str, ...] = ()
    """Python files (or module names) to run first; they register your layers and models."""
    samples: _Numbers = field(default_factory=_Numbers)
    """Numbers of pictures, pairs and steps."""

    def run(self) -> int:
        """Measures, prints and writes; returns the exit status."""
        import_files(self.module)
        samples = self.samples.samples()
        bounds = parse_bounds("fail-under", self.fail_under, "high")
        bounds += parse_bounds("fail-over", self.fail_over, "low")
        check_output_folder("out", self.out)
        page, data = self.out / "audit.html", self.out / "audit.json"
        for path in (page, data):
            if path.is_dir():
                fail("out", f"a folder without a folder {path.name}", self.out)
        report = audit(
            self.model,
            against=self.against,
            graft=self.graft,
            images=self.images,
            size=self.size,
            channels=self.channels,
            mean=self.mean or None,
            std=self.std or None,
            pretrained=self.pretrained,
            # The quick audit has numbers of its own, unless somebody asked for others.
            samples=None if samples == Samples() else samples,
            quick=self.quick,
            seed=self.seed,
            device=self.device,
            progress=True,
        )
        report.to_json(data)
        report.to_html(page)
        print(report.table())
        print(f"\n{page}\n{data}")
        broken = report.broken(bounds)
        for words in broken:
            print(f"wavevit: {words}", file=sys.stderr)
        return 1 if broken else 0


def main(arguments: list[str] | None = None) -> None:
    """Entry point of ``wavevit``; errors in arguments are printed without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # tables hold signs that not every terminal has
    status = _status(arguments)
    if status:
        raise SystemExit(status)


def _run(arguments: list[str] | None) -> int:
    """Reads the arguments and runs the command; its exit status."""
    try:
        command = read_options(Audit | Transform | Models, prog="wavevit", arguments=arguments)
    except SystemExit as end:  # after the help
        return end.code if isinstance(end.code, int) else 0
    return command.run()


def _status(arguments: list[str] | None) -> int:
    """The exit status, one for each kind of end."""
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()  # a reader that went away is noticed here, not while Python ends
    except (ImportError, ValueError) as error:
        print(f"wavevit: {error}", file=sys.stderr)
        return _WRONG_USAGE
    except KeyboardInterrupt:
        print("wavevit: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes its output once more when it ends: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER
    except OSError as error:
        print(f"wavevit: {error}", file=sys.stderr)
        return _FILE_ERROR
    except Exception:
        traceback.print_exc()
        print("wavevit: internal error; please report it with the lines above", file=sys.stderr)
        return _INTERNAL
    return status


if __name__ == "__main__":
    main()
