"""Transforms of this library and of others on the CPU: what benchmarks time and compare.

Contenders, each in the modes that it has: a copy of the image (``x.clone()``, one read and one
write), which is the limit; ours, eager and compiled; grouped convolutions for Haar;
pytorch-wavelets, for the undecimated transform level by level, because its ``SWTForward`` fails
beyond the first (1.3.0); ptwt, for longer filters whichever of its two convolutions is faster on
the shape, and for one undecimated level an axis at a time, because it has no two-dimensional one;
torchwavelets, eager or compiled, whichever is faster on the shape.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.benchmarks.alone import Comparison, Seen, installed, same_coefficients
from experiments.benchmarks.interleaved import (
    LIBRARIES,
    LIMIT,
    OURS,
    Shape,
    Transform,
    clocked,
    medians,
)
from experiments.core.records import environment
from experiments.core.table import Table
from wavevit.checks import fail
from wavevit.wavelets import dtcwt2, dwt2, swt2, wavedec2
from wavevit.wavelets.compat import ScatLayerj2

_LIBRARIES = (*LIBRARIES, "torchwavelets")
# Its analysis refuses all others (1.3.0).
_MODES_OF_PYTORCH_WAVELETS = ("zero", "symmetric", "reflect", "periodization", "periodic")
GROUPED, DILATED = "grouped convolution", "grouped dilated convolution"


@dataclass(frozen=True)
class Case:
    """What is timed: ``"decimated"``, ``"undecimated"``, ``"dual tree"`` or ``"scattering"`` (of
    second order, in the channel order of pytorch-wavelets), and of what."""

    kind: str
    wavelet: str
    mode: str
    level: int
    shape: Shape

    @property
    def haar(self) -> bool:
        """Whether it is decimated Haar."""
        return (self.kind, self.wavelet) == ("decimated", "haar")


def limit(case: object) -> Transform:
    """The copy that all are compared with."""
    return lambda x: (x.clone(),)


def _scattered(layer: Callable[[Tensor], Tensor]) -> Transform:
    """A scattering layer with the low-passes apart, which all layers put first."""

    def transform(x: Tensor) -> Sequence[Tensor]:
        paths = layer(x)
        return paths.split([x.shape[1], paths.shape[1] - x.shape[1]], dim=1)

    return transform


def _ours(case: Case) -> Transform:
    if case.kind == "scattering":
        return _scattered(ScatLayerj2(case.wavelet, mode=case.mode))

    def transform(x: Tensor) -> Sequence[Tensor]:
        if case.kind == "undecimated":
            return (swt2(x, case.wavelet, case.level),)
        if case.kind == "dual tree":
            low, bands = dtcwt2(x, case.level, case.wavelet, mode=case.mode)
            return (low, *bands)
        if case.haar and case.level == 1:
            return (dwt2(x),)
        approx, details = wavedec2(x, case.wavelet, case.mode, case.level)
        return (approx, *details)

    return transform


def _compiled(case: Case) -> Transform:
    return torch.compile(_ours(case), fullgraph=True, dynamic=False)


def haar_kernel() -> Tensor:
    """Haar's four filters as kernels (4, 1, 2, 2)."""
    signs = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    return (signs / 2).view(4, 1, 2, 2)


def grouped_haar(x: Tensor, kernel: Tensor, **options: Any) -> Tensor:
    """Haar as a grouped convolution, (B, C, 4, h, w) of (B, C, H, W), with stride or dilation."""
    channels = x.shape[1]
    grouped = kernel.to(x).repeat(channels, 1, 1, 1)
    return F.conv2d(x, grouped, groups=channels, **options).unflatten(1, (channels, 4))


def _convolution(case: Case) -> Transform:
    kernel = haar_kernel()

    def transform(x: Tensor) -> Sequence[Tensor]:
        results = []
        for _ in range(case.level):
            x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
            bands = grouped_haar(x, kernel, stride=2)
            x = bands[:, :, 0]
            results.append(bands[:, :, 1:])
        return (x, *results)

    return transform


def _dilated_convolution(case: Case) -> Transform:
    kernel = haar_kernel()

    def transform(x: Tensor) -> Sequence[Tensor]:
        levels: list[Tensor] = []
        for step in range(case.level):
            padded = F.pad(x, (0, 2**step, 0, 2**step), mode="circular")
            levels.append(grouped_haar(padded, kernel, dilation=2**step))
            x = levels[-1][:, :, 0]
        return (torch.stack(levels[::-1], dim=2),)

    return transform


def pytorch_wavelets() -> ModuleType:
    """The package, without the warning that its import gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks setuptools for what setuptools deprecates
        return import_module("pytorch_wavelets")


def _pytorch_wavelets(case: Case) -> Transform:
    library = pytorch_wavelets()
    if case.kind == "scattering":
        layers = import_module("pytorch_wavelets.scatternet.layers")
        return _scattered(layers.ScatLayerj2(biort=case.wavelet, mode=case.mode))
    if case.kind == "undecimated":
        return _level_by_level(import_module("pytorch_wavelets.dwt.lowlevel"), case)
    if case.kind == "dual tree":
        module = library.DTCWTForward(J=case.level, biort=case.wavelet)
    else:
        module = library.DWTForward(J=case.level, wave=case.wavelet, mode=case.mode)

    def transform(x: Tensor) -> Sequence[Tensor]:
        approx, details = module(x)
        return (approx, *details[::-1])

    return transform


def _level_by_level(lowlevel: ModuleType, case: Case) -> Transform:
    taps = import_module("pywt").Wavelet(case.wavelet)
    filters = lowlevel.prep_filt_afb2d(taps.dec_lo, taps.dec_hi, taps.dec_lo, taps.dec_hi)

    def transform(x: Tensor) -> Sequence[Tensor]:
        channels, levels = x.shape[1], []
        for step in range(case.level):
            bands = lowlevel.afb2d_atrous(x, filters, case.mode, 2**step)
            levels.append(bands.unflatten(1, (channels, 4)))
            x = levels[-1][:, :, 0]
        return (torch.stack(levels[::-1], dim=2),)

    return transform


def _ptwt(case: Case) -> Transform:
    library = import_module("ptwt")
    mode = "zero" if case.haar else case.mode

    def both_axes(x: Tensor) -> Sequence[Tensor]:
        bands = [
            band
            for half in library.swt(x, case.wavelet, 1, axis=-1)
            for band in library.swt(half, case.wavelet, 1, axis=-2)
        ]
        return (torch.stack(bands, dim=2)[:, :, None],)

    def whole(x: Tensor) -> Sequence[Tensor]:
        approx, *details = library.wavedec2(x, case.wavelet, mode=mode, level=case.level)
        return (approx, *(band for bands in details for band in bands))

    def separable(x: Tensor) -> Sequence[Tensor]:
        approx, *details = library.fswavedec2(x, case.wavelet, mode=mode, level=case.level)
        return (approx, *(band for bands in details for band in bands.values()))

    if case.kind == "undecimated" or case.haar:
        return both_axes if case.kind == "undecimated" else whole
    return fastest(case.shape, whole, separable)


def _torchwavelets(case: Case) -> Transform:
    library = import_module("torchwavelets")
    modules = {
        "decimated": lambda: library.DWT2D(case.level, case.wavelet, case.mode),
        "undecimated": lambda: library.SWT2D(case.wavelet, case.level),
        "dual tree": lambda: library.DTCWT2D(biort=case.wavelet, J=case.level),
        "scattering": lambda: library.ScatLayerj2(biort=case.wavelet),
    }
    module = modules[case.kind]()

    def of(decompose: Callable[[Tensor], Any]) -> Transform:
        def transform(x: Tensor) -> Sequence[Tensor]:
            if case.kind == "undecimated":
                levels = [torch.stack([low, *bands], dim=2) for low, bands in decompose(x)]
                return (torch.stack(levels, dim=2),)
            approx, details = decompose(x)
            if case.kind == "dual tree":
                details = [torch.view_as_real(bands) for bands in details]
            return (approx, *details)

        return _scattered(decompose) if case.kind == "scattering" else transform

    compiled = torch.compile(module, fullgraph=True, dynamic=False)
    return fastest(case.shape, of(module), of(compiled))


def fastest(shape: tuple[int, ...], *transforms: Transform) -> Transform:
    """The one whose second run on this shape takes least."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))

    def second_run(transform: Transform) -> float:
        transform(x)
        return clocked(lambda: transform(x))()

    return min(transforms, key=second_run)


CONTENDERS: dict[str, Callable[[Case], Transform]] = {
    LIMIT: limit,
    **dict(zip(OURS, (_ours, _compiled), strict=True)),
    GROUPED: _convolution,
    DILATED: _dilated_convolution,
    **dict(zip(_LIBRARIES, (_pytorch_wavelets, _ptwt, _torchwavelets), strict=True)),
}


def serves(name: str, case: Case) -> bool:
    """Whether a contender has the transform of a case."""
    if name == GROUPED:
        return case.haar
    if name == DILATED:
        return case.kind == "undecimated"
    if name == "pytorch-wavelets" and case.kind == "decimated":
        return case.mode in _MODES_OF_PYTORCH_WAVELETS
    if name == "ptwt":
        decimated = case.kind == "decimated" and (case.haar or case.mode != "periodization")
        return decimated or (case.kind == "undecimated" and case.level == 1)
    return True


def _best(seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Where a library is among the contenders, how many times faster ours are than the best."""
    own = medians(seconds)
    best = min((own[name] for name in _LIBRARIES if name in own), default=None)
    if best is None:
        return {}
    return {"times_faster_than_best_library": {name: round(best / own[name], 2) for name in OURS}}


def _check(case: Case, name: str, seen: Seen, ours: Seen) -> None:
    """Haar's first result is another one for everyone: the whole energy must be the image's."""
    if not case.haar:
        same_coefficients(case, name, seen, ours)
        return
    energy = seen.approx + seen.details
    whole = not any(side % (1 << case.level) for side in case.shape[-2:])
    if whole and abs(energy - 1) > 1e-4:  # an odd side is extended, by each in its own way
        fail(name, "coefficients with the image's energy", f"{energy:.6g} of it")


def comparison() -> Comparison[Case]:
    """All contenders that are installed."""
    return Comparison(installed(CONTENDERS, _LIBRARIES), serves, _best, _check)


def by_shape(cells: Sequence[Mapping[str, Any]], figure: Callable[[Any], str]) -> str:
    """A row for each filter, pass and number of threads, a column for each shape."""
    found: dict[tuple[str, str, str], dict[tuple[int, ...], str]] = {}
    for cell in sorted(cells, key=lambda cell: cell["threads"]):
        name = f"{cell['wavelet']}, {cell['mode']}, level {cell['level']}"
        row = found.setdefault((name, cell["pass"], str(cell["threads"])), {})
        row[tuple(cell["shape"])] = figure(cell)
    shapes = list(dict.fromkeys(tuple(cell["shape"]) for cell in cells))
    head = ["", "pass", "threads", *(f"({','.join(map(str, shape))})" for shape in shapes)]
    rows = [[*row, *(own.get(s, "–") for s in shapes)] for row, own in found.items()]
    return Table(head, rows).markdown()


def packages(threads: int) -> dict[str, Any]:
    """`environment` with the versions of the contenders."""
    return environment(torch.device("cpu"), threads, ["numba", *_LIBRARIES])
