"""The measures beside other people's definitions, brute force and closed forms.

    python -m experiments bench agreements             # measure; write record and page

Every row computes one figure twice: by the measure, and by code written here from the original
description, which shares no line with it. Random weights (a definition does not depend on them;
see `classifiers`), bundled photographs. A minute or two on a laptop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.benchmarks.photographs import middles
from experiments.core.benchmark import Benchmark
from experiments.core.experiment import DOCS, View
from experiments.core.table import Table
from experiments.core.timm_models import timm_model
from wavevit.data.photographs import NAMES
from wavevit.measure import (
    attention_distance,
    center_crop,
    certified_lipschitz,
    cost,
    local_lipschitz,
    receptive_field,
    shift_consistency,
)
from wavevit.models import create_model
from wavevit.progress import in_steps

CROP = 112  # of windows 8/7 as large, as 224 is of 256
PAIRS, SEED = 16, 0
ROUNDS = 60
# GMAC at 224 pixels, as the papers' tables have them.
PUBLISHED = {
    "deit_small_patch16_224": (4.6, "Touvron et al. 2021"),
    "swin_tiny_patch4_window7_224": (4.5, "Liu et al. 2021"),
    "convnext_tiny": (4.5, "Liu et al. 2022"),
    "pvt_v2_b2": (4.0, "Wang et al. 2022"),
}

Row = dict[str, Any]
Model = Callable[[Tensor], Tensor]


def row(measure: str, against: str, subject: str, ours: float, theirs: float) -> Row:
    """One agreement."""
    difference = abs(ours - theirs) / abs(theirs) if theirs else abs(ours)
    return {
        "measure": measure,
        "against": against,
        "subject": subject,
        "ours": ours,
        "theirs": theirs,
        "relative_difference": difference,
    }


def windows(side: int = CROP * 8 // 7) -> Tensor:
    """Middles of all photographs as three channels, (18, 3, side, side)."""
    return middles(side).expand(-1, 3, -1, -1)


def classifiers(images: Tensor) -> dict[str, Any]:
    """Two small models, of ours and of timm's, that answer differently to different images.

    At random weights nearly every image gets one class and nearly every query looks everywhere,
    and any two definitions agree. So attention is made ten times sharper, and the mean answer is
    taken off the head.
    """
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"img_size": images.shape[-1], "num_classes": 50}
    models: dict[str, Any] = {
        "ours: test_vit": create_model("test_vit", **arguments).eval(),
        "timm: test_vit": timm_model("test_vit", **arguments),
    }
    for model in models.values():
        with torch.no_grad():
            for module in model.modules():
                if hasattr(module, "qkv"):
                    module.qkv.weight.mul_(10)
            model.head.bias.sub_(model(images).mean(dim=0))
    return models


def offsets_drawn(low: int, high: int, images: int) -> list[tuple[Tensor, Tensor]]:
    """The offsets that `shift_consistency` draws for its pairs, drawn again."""
    generator = torch.Generator().manual_seed(SEED)

    def draw() -> Tensor:
        return torch.randint(low, high + 1, (images, 2), generator=generator)

    return [(draw(), draw()) for _ in range(PAIRS)]


def zhang(model: Model, image: Tensor, first: list[int], second: list[int]) -> bool:
    """Zhang 2019: the classes of two windows of one larger image, by the windows' corners."""
    classes = []
    for top, left in (first, second):
        view = image[:, top : top + CROP, left : left + CROP]
        classes.append(int(model(view[None])[0].argmax()))
    return classes[0] == classes[1]


def rojas_gomez(model: Model, image: Tensor, first: list[int], second: list[int]) -> bool:
    """Rojas-Gomez et al. 2024: the classes of two circular shifts of one image."""
    classes = []
    for down, right in (first, second):
        rows = (np.arange(image.shape[1]) - down) % image.shape[1]
        columns = (np.arange(image.shape[2]) - right) % image.shape[2]
        classes.append(int(model(image[None, :, rows][..., columns])[0].argmax()))
    return classes[0] == classes[1]


def consistency() -> list[Row]:
    """C-Cons and S-Cons, first with the same shifts, then with the shifts that they would draw."""
    large, rows, spread = windows(), [], CROP // 7
    crops = center_crop(large, (CROP, CROP))
    middle = (large.shape[-1] - CROP) // 2
    kinds = {
        "crop": ("S-Cons", "Zhang 2019, Rojas-Gomez et al. 2024", zhang, large),
        "circular": ("C-Cons", "Rojas-Gomez et al. 2024", rojas_gomez, crops),
    }
    for subject, model in classifiers(crops).items():
        for kind, (name, against, definition, images) in kinds.items():
            found = shift_consistency(
                model, images, kind=kind, crop_size=CROP, pairs_per_image=PAIRS, seed=SEED
            )
            low, high = (-(spread // 2), spread // 2) if kind == "crop" else (-spread, spread)
            with torch.no_grad():
                same = [
                    definition(model, image, *_corners(one, two, kind, middle))
                    for first, second in offsets_drawn(low, high, len(images))
                    for image, one, two in zip(images, first, second, strict=True)
                ]
                drawn = _as_they_draw(model, images, definition, kind, spread)
            measure = f"shift_consistency, {name}, %"
            rows.append(
                row(measure, f"{against}, same shifts", subject, found.percent, _percent(same))
            )
            other = row(
                measure, f"{against}, their own draw", subject, found.percent, _percent(drawn)
            )
            rows.append(other | {"interval": list(found.interval)})
    return rows


def _corners(one: Tensor, two: Tensor, kind: str, middle: int) -> tuple[list[int], list[int]]:
    """Our offsets move the content; their crops are named by where the window begins."""
    if kind == "circular":
        return one.tolist(), two.tolist()
    return (middle - one).tolist(), (middle - two).tolist()


def _as_they_draw(
    model: Model, images: Tensor, definition: Callable[..., bool], kind: str, spread: int
) -> list[bool]:
    """One pair of offsets for a whole batch of 6, the upper end left out; `ROUNDS` batches."""
    random, low = np.random.default_rng(SEED), 0 if kind == "crop" else -spread
    found = []
    for _ in range(ROUNDS):
        first, second = random.integers(low, spread, (2, 2)).tolist()
        batch = random.permutation(len(images))[:6]
        found += [definition(model, images[int(i)], first, second) for i in batch]
    return found


def _percent(same: list[bool]) -> float:
    return 100 * (sum(same) / len(same))


def jacobians() -> list[Row]:
    """The steepest slope at three photographs against the SVD of the whole Jacobian."""
    images = center_crop(windows(), (32, 32))[:3, :1].double()
    rows = []
    for name in ("test_vit", "test_haar_pyramid", "test_lipschitz_pyramid", "timm: test_vit"):
        torch.manual_seed(0)
        arguments: dict[str, Any] = {"in_chans": 1, "img_size": 32, "num_classes": 5}
        if name.startswith("timm"):
            model = timm_model("test_vit", **arguments).double()
        else:
            model = create_model(name, **arguments).double().eval()
        matrices = [
            torch.func.jacrev(model)(image[None]).detach().reshape(5, -1) for image in images
        ]
        theirs = max(float(torch.linalg.svdvals(matrix)[0]) for matrix in matrices)
        for iterations in (10, 50):
            ours = max(local_lipschitz(model, images, iterations=iterations).absolute)
            title = f"local_lipschitz, {iterations} iterations"
            rows.append(row(title, "jacrev and SVD", name, ours, theirs))
    return rows


def distances() -> list[Row]:
    """Dosovitskiy et al. 2021, appendix D.7, one query, one key, one head at a time."""
    images = windows(96)[:2]
    rows = []
    for name, model in classifiers(images).items():
        owners: list[Any] = [module for module in model.modules() if hasattr(module, "qkv")]
        outputs: list[Tensor] = []
        hooks = [
            owner.qkv.register_forward_hook(lambda _, __, output, kept=outputs: kept.append(output))
            for owner in owners
        ]
        with torch.no_grad():
            model(images)
        for hook in hooks:
            hook.remove()
        pairs = zip(outputs, owners, strict=True)
        heads = [_mean_distances(output, int(owner.num_heads), 16, 6) for output, owner in pairs]
        ours = attention_distance(model, images).pixels
        for depth, (found, expected) in enumerate(zip(ours, heads, strict=True)):
            worst = max(range(len(found)), key=lambda h: abs(found[h] - expected[h]))
            title = f"attention_distance, layer {depth}, px"
            rows.append(
                row(title, "Dosovitskiy et al. 2021, by loops", name, found[worst], expected[worst])
            )
    return rows


def _mean_distances(qkv: Tensor, heads: int, stride: int, columns: int) -> list[float]:
    """One mean for each head: loops over images, queries and keys; the first token has no place."""
    array = qkv.double().numpy()
    _, tokens, width = array.shape
    size = width // 3 // heads
    found = []
    for head in range(heads):
        total = []
        for image in array:
            query = image[:, head * size : (head + 1) * size]
            key = image[:, width // 3 + head * size : width // 3 + (head + 1) * size]
            for i in range(1, tokens):
                weights = [math.exp(query[i] @ key[j] / math.sqrt(size)) for j in range(1, tokens)]
                lengths = [
                    stride * math.hypot(*np.subtract(divmod(i - 1, columns), divmod(j, columns)))
                    for j in range(tokens - 1)
                ]
                total.append(np.dot(weights, lengths) / sum(weights))
        found.append(float(np.mean(total)))
    return found


def macs() -> list[Row]:
    """GMAC at 224 pixels against the tables of the papers."""
    rows = []
    for name, (published, source) in PUBLISHED.items():
        model = timm_model(name)
        counted = cost(model, torch.zeros(1, 3, 224, 224)).macs / 1e9
        rows.append(row("cost, GMAC", source, f"timm: {name}", counted, published))
    return rows


def fields() -> list[Row]:
    """Receptive fields whose size follows from the layers."""
    images = windows(64)[:2]
    rows = []
    for kernel in (3, 7):
        box = nn.AvgPool2d(kernel, 1, kernel // 2)
        found = receptive_field(box, images)
        subject = f"mean over {kernel} x {kernel} pixels"
        extent = float(max(found.extent))
        rows.append(row("receptive_field, extent, px", "closed form", subject, extent, kernel))
        radius = math.sqrt((kernel**2 - 1) / 6)
        rows.append(
            row("receptive_field, radius, px", "closed form", subject, found.radius, radius)
        )
    torch.manual_seed(0)
    stack = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(6)])
    extent = float(max(receptive_field(stack, images).extent))
    title = "receptive_field, extent, px"
    rows.append(row(title, "closed form, 1 + 2 n", "six 3 x 3 convolutions", extent, 13))
    strided = nn.Sequential(*[nn.Conv2d(3, 3, 3, stride=2, padding=1) for _ in range(3)])
    extent = float(max(receptive_field(strided, images).extent))
    rows.append(row(title, "closed form, 2ⁿ⁺¹ - 1", "three of stride 2", extent, 15))
    return rows


def certificates() -> list[Row]:
    """What is proved beside what is measured, for the models that have a proof."""
    rows = []
    for name, side in (
        ("test_lipschitz_vit", 64),
        ("test_lipschitz_pyramid", 64),
        ("lipschitz_vit_tiny", 224),
        ("lipschitz_pyramid_tiny", 224),
    ):
        torch.manual_seed(0)
        model = create_model(name, img_size=side, num_classes=0).eval()
        images = middles(side, ["astronaut"], 256).expand(-1, 3, -1, -1)
        proved = certified_lipschitz(model, images).bound
        steepest = max(local_lipschitz(model, images, iterations=10).absolute)
        rows.append({"model": name, "side": side, "certified": proved, "measured": steepest})
    return rows


def measure() -> dict[str, Any]:
    """Everything that the page shows."""
    agreements: list[dict[str, Any]] = []
    certified: list[dict[str, Any]] = []
    parts = (consistency, jacobians, distances, macs, fields, certificates)
    for part in in_steps(parts, lambda part: part.__name__):
        (certified if part is certificates else agreements).extend(part())
    return {
        "agreements": agreements,
        "certificates": certified,
        "weights": "random",
        "photographs": len(NAMES),
        "crop": CROP,
        "pairs_per_image": PAIRS,
    }


def render(record: dict[str, Any]) -> str:
    """The page's tables, every number out of the record."""
    head = ["measure", "compared with", "model or function", "ours", "theirs"]
    head += ["relative difference"]
    rows = []
    for entry in record["agreements"]:
        ours = f"{entry['ours']:.5g}"
        if "interval" in entry:
            low, high = entry["interval"]
            ours += f" ({low:.1f} to {high:.1f})"
        difference = entry["relative_difference"]
        cells = [
            f"`{entry['measure'].partition(',')[0]}`{''.join(entry['measure'].partition(',')[1:])}",
            entry["against"],
            entry["subject"],
            ours,
            f"{entry['theirs']:.5g}",
            "0" if difference == 0 else f"{difference:.1e}",
        ]
        rows.append(cells)
    certified = []
    for entry in record["certificates"]:
        ratio = entry["certified"] / entry["measured"]
        cells = [f"`{entry['model']}`", str(entry["side"])]
        cells += [f"{entry['certified']:.3g}", f"{entry['measured']:.3g}", f"{ratio:.0f}"]
        certified.append(cells)
    proved = Table(
        ["model", "side, px", "certified constant", "steepest slope found", "certified / found"],
        certified,
    )
    return f"{Table(head, rows).markdown()}\n\n{proved.markdown()}"


BENCHMARK = Benchmark(
    name="agreements",
    question="Do the measures agree with other definitions, brute force and closed forms?",
    measure=lambda options, save: measure(),
    records={"agreements/agreements.json": ""},
    shown=lambda record: (View(DOCS / "agreements.md", render, "agreements"),),
)

if __name__ == "__main__":
    BENCHMARK.run_old_command()
