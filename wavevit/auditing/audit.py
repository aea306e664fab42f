"""`audit`: every section of every model, on the same pictures."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from wavevit.auditing.health import examined_health
from wavevit.auditing.images import load_pictures, window_side
from wavevit.auditing.metrics import METRICS, value_of
from wavevit.auditing.report import AuditReport
from wavevit.auditing.samples import QUICK_SAMPLES, Samples
from wavevit.auditing.scene import BATCH, Scene
from wavevit.auditing.sections import QUICK, SECTIONS, WORK, run_section
from wavevit.auditing.targets import Target, make_target
from wavevit.auditing.verdicts import THRESHOLDS, verdict_of
from wavevit.checks import check_at_least, check_device, fail, require_extra
from wavevit.measure import center_crop, latency_ratios
from wavevit.measure.evaluation import evaluation_mode
from wavevit.progress import Progress

__all__ = ["FORMAT", "audit"]

FORMAT = 1  # of the JSON; a reader of another one should complain
_LEFT_OUT = "left out of the quick audit"
_SHIFT_MODELS = {
    "circular": "torch.roll by whole pixels",
    "crop": "two windows of one larger picture; half pixels by a Fourier shift of the window",
    "subpixel": "Fourier shift, circular, ending on half a pixel",
}
_PACKAGES = ("wavevit", "torch", "numpy", "pillow", "scikit-image", "timm")


def audit(
    model: Any,
    *,
    against: Sequence[Any] | Mapping[str, Any] = (),
    images: Any = None,
    size: int | None = None,
    channels: int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    pretrained: bool = False,
    samples: Samples | None = None,
    quick: bool = False,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> AuditReport:
    """Examines a model: shifts, continuity, scale, depth, vocabulary and cost.

    Args:
        model: a module (a `wavevit.align` one included; compiled or wrapped ones are seen
            through), a program of `torch.export`, an onnxruntime session, any callable from images
            to outputs, or a string: a name of `wavevit.list_models`, ``"timm:NAME"``,
            ``"hub:ID"``, ``"path/to/file.py:factory"`` or ``"path/to/model.onnx"``, all but the
            last with ``"+METHOD"`` for an aligned one. Where it returns a tuple, list, dict or
            dataclass, its first matrix (B, classes) is looked at, else a map in it.
        against: more of them, side by side; a mapping names them.
        images: a folder, a file or several; a tensor (N, 1 or 3, H, W) in [0, 1]; by default the
            bundled photographs. All models see the same pictures, each normalised as it wants.
        size: side of the input in pixels, of all models; by default what each declares.
        channels: of the input, of all models; by default what each declares or takes.
        mean: of each channel of pictures in [0, 1] (or one number), for all models; by default
            what each declares: timm's in ``pretrained_cfg``, ours ½ with a standard deviation
            of ¼. A declaration counts inside a wrapper too, if the wrapper hands the pictures on
            unchanged. A model that declares nothing gets the pictures as they are. The report
            says which was used and where it comes from.
        std: standard deviation, see `mean`.
        pretrained: timm's weights (downloaded) instead of random ones.
        samples: how much to look at.
        quick: consistency, sensitivity, tokens and cost only, on fewer pictures where `samples`
            says nothing else; the report names what was left out.
        seed: of random weights, shifts and directions.
        device: where to measure; by default where each model is.
        progress: show a bar on a terminal, and a line for each section elsewhere.

    Returns:
        An `AuditReport`: ``.table()``, ``.to_json(path)``, ``.to_html(path)``.

    Raises:
        ImportError: timm or the Hub is asked for and not installed.
        ValueError: a model or pictures that cannot be looked at, before anything is measured. A
            section that breaks on the way is reported as failed, and the others are measured.

    Guarantees:
        The same JSON from the same seed, ``"timings"`` left aside; a failing measure leaves the
        others as they are; a model that ignores shifts is told so and a ViT is not
        (tests/contract/test_audit.py).

    Example:
        >>> from wavevit.auditing import Samples
        >>> few = Samples(pictures=4, sensitivity_pictures=2, worst_radius=1)
        >>> report = audit("test_vit", samples=few)
        >>> report.status("test_vit", "sensitivity")
        'measured'
    """
    for module in ("tqdm", "scipy", "PIL"):  # said before anything is computed
        require_extra(module, "audit")
    samples = samples or (QUICK_SAMPLES if quick else Samples())
    sections = QUICK if quick else tuple(SECTIONS)
    check_at_least("seed", seed, 0)
    if seed >= 2**63:
        fail("seed", "an integer below 2**63", seed)
    if device is not None:
        device = check_device("device", device)
    arguments = {"size": size, "channels": channels, "mean": mean, "std": std, "device": device}
    targets = _targets(model, against, pretrained, seed, arguments)
    sizes = [target.size for target in targets]
    pictures = load_pictures(images, samples.pictures, window_side(max(sizes)))
    entries, seconds = [], {}
    work = [WORK[name] for name in sections]
    with Progress(work * len(targets), shown=progress) as shown:
        for target in targets:
            windows = pictures.windows(target.size, target.channels)
            scene = Scene(target, windows.to(target.device, target.dtype), samples, seed)
            entry, seconds[target.name] = _examined(scene, sections, shown)
            entries.append(entry)
    record = {
        "format": FORMAT,
        "environment": _environment(targets[0]),
        "seed": seed,
        "quick": quick,
        "samples": {name: getattr(samples, name) for name in samples.__dataclass_fields__},
        "shift_models": _SHIFT_MODELS,
        "thresholds": {name: value for name, (value, _) in THRESHOLDS.items()},
        "images": pictures.facts(sizes),
        "models": entries,
        "timings": {
            "seconds": seconds,
            "time": _relative_time(targets, pictures.windows, samples.timing_rounds),
        },
    }
    return AuditReport(record, pictures.windows(max(sizes))[0])


def _targets(
    model: Any,
    against: Sequence[Any] | Mapping[str, Any],
    pretrained: bool,
    seed: int,
    arguments: Mapping[str, Any],
) -> list[Target]:
    if isinstance(against, str):
        fail("against", "a sequence of models", f"the string {against!r}")
    named = against.items() if isinstance(against, Mapping) else [(None, m) for m in against]
    targets: list[Target] = []
    models = [(None, model), *named]
    # Published weights exist for timm's models alone; beside them the others stay random.
    of_timm = [isinstance(one, str) and one.startswith("timm:") for _, one in models]
    if pretrained and not any(of_timm):
        fail("pretrained", "a timm:NAME among the models (others have no published weights)", True)
    for (name, one), theirs in zip(models, of_timm, strict=True):
        target = make_target(
            one, name=name, pretrained=pretrained and theirs, seed=seed, **arguments
        )
        if target.name in [other.name for other in targets]:
            fail("against", "models of different names (a mapping gives them)", target.name)
        targets.append(target)
    return targets


def _examined(
    scene: Scene, names: Sequence[str], progress: Progress
) -> tuple[dict[str, Any], dict[str, float]]:
    """All sections of one model, and their seconds."""
    sections: dict[str, Any] = {}
    seconds = {}
    health = examined_health(scene)
    for name in SECTIONS:
        if name in names:
            progress.begin(f"{scene.target.name}: {name}")
        if name not in names:
            entry, taken = {"status": "not applicable", "reason": _LEFT_OUT}, 0.0
        elif name in health.failed:
            entry, taken = {"status": "failed", "error": health.failed[name]}, 0.0
        elif name in health.idle:
            entry, taken = {"status": "not applicable", "reason": health.idle[name]}, 0.0
        else:
            entry, taken = run_section(name, scene)
        verdict = verdict_of(name, entry)
        sections[name] = entry | {"grade": verdict.grade, "verdict": verdict.words}
        seconds[name] = round(taken, 2)
        if name in names:
            progress.end()
    metrics = {name: value_of(name, sections) for name in METRICS}
    facts = {"name": scene.target.name, **scene.target.facts}
    facts["notes"] = [*facts["notes"], *health.notes]
    return facts | {"metrics": metrics, "sections": sections}, seconds


def _relative_time(targets: Sequence[Target], windows: Any, rounds: int) -> dict[str, float]:
    """Time of a forward pass of a picture as a multiple of the first model's, interleaved."""
    if len(targets) < 2:
        return {}
    inputs: dict[str, Tensor] = {}
    for target in targets:
        few = windows(target.size, target.channels)[:4].to(target.device, target.dtype)
        inputs[target.name] = center_crop(few, (target.size, target.size))
    calls = {t.name: (lambda _, t=t: t.timed(inputs[t.name])) for t in targets}
    first = targets[0].name
    with ExitStack() as evaluating:
        for target in targets:
            evaluating.enter_context(evaluation_mode(target.timed))
        ratios = latency_ratios(calls, inputs[first], first, rounds=rounds)
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


def _environment(target: Target) -> dict[str, Any]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "device": str(target.device),
        "threads": torch.get_num_threads(),
        "batch": BATCH,
        "packages": found,
    }
