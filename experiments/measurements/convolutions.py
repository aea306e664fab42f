"""Are convolutional networks equivariant to shifts? (claim C11)

A small CNN of four layers, random weights, float64, one property changed at a time, and two of
timm's: the distance between the map of the shifted image and the shifted map of the image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.core.measurement import Measurement
from experiments.core.timm_models import timm_model
from experiments.measurements.samples import CROP, mean_over, photographs
from experiments.measurements.subjects import SEEDS
from wavevit.measure import equivariance_error
from wavevit.measure.shifting import center_crop
from wavevit.progress import in_steps

SHIFTS = (1, 2, 4, 32)
_Padding = Literal["circular", "zeros"]
CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "stride-free, circular": {},
    "stride-free, zero borders": {"padding": "zeros"},
    "strided, circular": {"stride": 2},
    "strided after a blur, circular": {"stride": 2, "blur": True},
}
TIMM = ("resnet18", "convnext_atto")


class SmallCnn(nn.Module):
    """Four 3 x 3 convolutions with ReLU; the second and the fourth may stride.

    Args:
        padding: ``"circular"`` or ``"zeros"``.
        stride: of the second and fourth layer.
        blur: a binomial low-pass before each stride, on a circle.
    """

    def __init__(self, padding: _Padding = "circular", stride: int = 1, blur: bool = False) -> None:
        super().__init__()
        self.stride, self.blur = stride, blur
        self.layers = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else 16, 16, 3, padding=1, padding_mode=padding) for i in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 1, H, W) to maps (B, 16, h, w)."""
        for index, layer in enumerate(self.layers):
            x = F.relu(layer(x))
            if index % 2:
                if self.blur:
                    taps = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype) / 4
                    kernel = (taps[:, None] * taps).expand(x.shape[1], 1, 3, 3)
                    x = F.conv2d(F.pad(x, (1, 1, 1, 1), "circular"), kernel, groups=x.shape[1])
                x = x[..., :: self.stride, :: self.stride]
        return x


def _subject(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    if name in CONVOLUTIONS:
        return SmallCnn(**CONVOLUTIONS[name]).double().eval()
    return timm_model(name, in_chans=1, num_classes=0).double()


def measure(runs: Path, crops: int = 1) -> dict[str, Any]:
    """Relative equivariance error by subject and circular shift, photograph by photograph."""
    scenes, batch = photographs(crops)
    images = center_crop(batch.images, (CROP, CROP)).double()
    groups = [images[batch.labels == label] for label in range(len(scenes.classes))]
    found: dict[str, Any] = {}
    for name in in_steps((*CONVOLUTIONS, *TIMM)):
        by_shift: dict[str, list[list[float]]] = {str(shift): [] for shift in SHIFTS}
        for seed in SEEDS:
            model = _subject(name, seed)
            features = getattr(model, "forward_features", model)
            for shift in SHIFTS:
                by_shift[str(shift)].append(
                    [equivariance_error(features, group, (0, shift)).relative for group in groups]
                )
        found[name] = {shift: mean_over(values) for shift, values in by_shift.items()}
    return {"photographs": list(scenes.classes), "seeds": list(SEEDS), "error": found}


MEASUREMENT = Measurement(
    name="convolutions",
    question="Are convolutional networks equivariant to shifts?",
    measure=measure,
)
