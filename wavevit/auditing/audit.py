"""`audit`: measures models on the same pictures, section by section."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.auditing.health import examined_health
from wavevit.auditing.images import load_pictures, window_side
from wavevit.auditing.metrics import METRICS, value_of
from wavevit.auditing.report import AuditReport
from wavevit.auditing.samples import QUICK_SAMPLES, Samples
from wavevit.auditing.scene import BATCH, Scene
from wavevit.auditing.sections import QUICK, SECTIONS, WORK, run_section
from wavevit.auditing.targets import Target, make_target
from wavevit.auditing.verdicts import THRESHOLDS, verdict_of
from wavevit.checks import check_at_least, check_bool, check_device, fail, require_extra
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
    graft: str | Path | None = None,
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
    """Audits a model: shifts, continuity, scale, depth, vocabulary and cost.

    Args:
        model: a module (also an aligned, compiled or wrapped one), a program of `torch.export`, an
            onnxruntime session, any callable from images to outputs, or a string. The string is a
            name of `wavevit.list_models`, ``"timm:NAME"``, ``"hub:ID"``,
            ``"path/to/file.py:factory"``, ``"path/to/model.onnx"`` or ``"path/to/folder"`` of
            transformers (config.json, model.safetensors); except for ONNX it may end with
            ``"+METHOD"``, which aligns the model. If a model returns a tuple, list, dict or
            dataclass, the audit uses the first matrix (B, classes) in it, else a map.
        against: other models to compare with; a mapping gives them names.
        graft: a file of `wavevit.grafting.save_graft`. The audit then measures the model with this
            graft first, and compares it with the model itself.
        images: a folder, a file or several; a tensor (N, 1 or 3, H, W) in [0, 1]; by default the
            bundled photographs. All models see the same pictures, each with its own normalisation.
        size: side of the input in pixels, for all models; by default each model's own.
        channels: channels of the input, for all models; by default each model's own.
        mean: mean of each channel of pictures in [0, 1] (or one number), for all models. By
            default each model's own: timm's in ``pretrained_cfg``; for our models ½ with a
            standard deviation of ¼. The audit also finds it inside a wrapper, if the wrapper
            passes the pictures on unchanged. If there is none, pictures stay in [0, 1]. The report
            states the normalisation and where it comes from.
        std: standard deviation of each channel, see `mean`.
        pretrained: use timm's weights (downloaded) instead of random ones.
        samples: numbers of pictures, pairs and steps.
        quick: measure consistency, sensitivity, tokens and cost only, on fewer pictures unless
            `samples` is given; the report names the sections that were left out.
        seed: seed of random weights, shifts and directions.
        device: device to measure on; by default the device of each model.
        progress: show a progress bar on a terminal, and one line for each section elsewhere.

    Returns:
        An `AuditReport`: ``.table()``, ``.to_json(path)``, ``.to_html(path)``.

    Raises:
        ImportError: timm, the Hub's client or onnxruntime is needed and not installed.
        ValueError: a model or pictures that cannot be used, before anything is measured. An error
            in a section is reported as failed, and the other sections are measured.

    Guarantees:
        The same seed gives the same JSON, except for ``"timings"``. An error in one section does
        not change the others. The verdict calls an aligned model exactly invariant, and a plain
        ViT not (tests/contract/test_audit.py).

    Example:
        >>> report = audit("test_vit", quick=True)
        >>> report.status("test_vit", "sensitivity")
        'measured'
    """
    for module in ("tqdm", "scipy", "PIL"):  # said before anything is computed
        require_extra(module, "audit")
    for name, value in {"pretrained": pretrained, "quick": quick, "progress": progress}.items():
        check_bool(name, value)
    if samples is not None and not isinstance(samples, Samples):
        fail("samples", "wavevit.auditing.Samples or None", type(samples).__name__)
    samples = samples or (QUICK_SAMPLES if quick else Samples())
    sections = QUICK if quick else tuple(SECTIONS)
    check_at_least("seed", seed, 0)
    if seed >= 2**63:
        fail("seed", "an integer below 2**63", seed)
    if device is not None:
        device = check_device("device", device)
    arguments = {"size": size, "channels": channels, "mean": mean, "std": std, "device": device}
    targets = _targets(model, against, graft, pretrained, seed, arguments)
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
    graft: str | Path | None,
    pretrained: bool,
    seed: int,
    arguments: Mapping[str, Any],
) -> list[Target]:
    single = isinstance(against, str | nn.Module) or not isinstance(against, Iterable)
    if single:
        got = repr(against) if isinstance(against, str) else type(against).__name__
        fail("against", "a sequence of models, or a mapping from names to models", got)
    named = against.items() if isinstance(against, Mapping) else [(None, m) for m in against]
    targets: list[Target] = []
    models: list[tuple[str | None, Any, str | Path | None]]
    models = [(None, model, None), *((name, one, None) for name, one in named)]
    if graft is not None:
        label = model if isinstance(model, str) else type(model).__name__
        models.insert(0, (f"{label} with graft", model, graft))
    # Published weights exist for timm's models alone; beside them the others stay random.
    of_timm = [isinstance(one, str) and one.startswith("timm:") for _, one, _ in models]
    if pretrained and not any(of_timm):
        fail("pretrained", "a timm:NAME among the models (others have no published weights)", True)
    for (name, one, file), theirs in zip(models, of_timm, strict=True):
        target = make_target(
            one, name=name, graft=file, pretrained=pretrained and theirs, seed=seed, **arguments
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
    found["torch"] = torch.__version__  # with the build, such as "+cu130"; a wheel's data lacks it
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "device": str(target.device),
        "threads": torch.get_num_threads(),
        "batch": BATCH,
        "packages": found,
    }
