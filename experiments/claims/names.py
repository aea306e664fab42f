"""Names of variants for a reader: ``"vit + phase_lock"`` is "plain ViT with phase lock"."""

from __future__ import annotations

_WHOLE = {
    "vit": "plain ViT",
    "swin": "Swin",
    "pvt_v2": "PVT v2",
    "haar_vit": "ViT with Haar tokens",
    "dtcwt_vit": "ViT with dual-tree tokens",
    "haar_pyramid": "Haar pyramid",
    "dtcwt_pyramid": "dual-tree pyramid",
    "resnet18": "ResNet-18",
    "convnext_atto": "ConvNeXt-Atto",
    "vit patch 4": "plain ViT with patches of 4 px",
    "vit patch 16": "plain ViT with patches of 16 px",
    "vit patch 16 low-passed": "plain ViT with patches of 16 px and a low-pass by time",
    "vit patch 16 gated": "plain ViT with patches of 16 px and gates for Haar bands",
    "vit patch 16 haar output": "plain ViT with patches of 16 px and Haar coefficients as output",
    "dtcwt_vit patch 16": "ViT with dual-tree tokens of 16 px",
    "vit, patch 12": "plain ViT with patches of 12 px",
    "vit, patch 16": "plain ViT with patches of 16 px",
    "adaptive": "adaptive tokens",
    "adaptive, swt": "adaptive tokens by undecimated energies",
    "adaptive, hard": "adaptive tokens with a hard split",
    "adaptive, random": "tokens at random places",
    "haar, soft": "choice by Haar energies with a soft split",
    "haar, hard": "choice by Haar energies with a hard split",
    "swt, soft": "choice by undecimated energies with a soft split",
    "random, hard": "choice at random",
    "vit raster": "plain ViT in raster order",
    "vit one level": "plain ViT with one level",
    "pixels": "pixels of patches",
    "patch": "patch projection",
    "overlap": "overlapping patches",
    "conv_stem": "convolutional stem",
    "dwt": "Haar tokens",
    "dwt, linear": "linear Haar tokens",
    "swt": "undecimated Haar tokens",
    "dtcwt": "dual-tree tokens",
    "scattering": "scattering tokens",
    "learned": "learned positions",
    "relative_bias": "relative position bias",
    "rope": "rotary positions",
    "sincos": "sine positions",
    "conv": "convolutional positions",
    "none": "no positions",
    "fixed": "fixed crops",
    "anywhere": "crops from anywhere",
    "stride-free, zero borders": "stride-free network with zero padding",
    "strided, circular": "strided network with circular padding",
    "strided after a blur, circular": "network with blurred strides and circular padding",
    "haar": "Haar transform",
    "db4": "db4 transform",
}
_ADDED = {
    "phase_lock": "phase lock",
    "polyphase": "polyphase anchoring",
    "translate": "translation",
    "resize": "resizing",
    "flip": "flips",
    "all": "all three augmentations",
}


def reader_name(variant: str) -> str:
    """A variant's name in words.

    Args:
        variant: its name in a record, such as ``"dtcwt, trained"`` or ``"fixed + resize"``.

    Returns:
        The name in words. What has no entry here is a phrase already and stays as it is.

    Example:
        >>> reader_name("vit + phase_lock"), reader_name("dwt, linear, trained")
        ('plain ViT with phase lock', 'linear Haar tokens (trained)')
    """
    if variant in _WHOLE:
        return _WHOLE[variant]
    parts = variant.split(", ")
    for count in range(len(parts) - 1, 0, -1):  # the longest name that is known, then its state
        start = ", ".join(parts[:count])
        if start in _WHOLE or count == 1:
            return f"{reader_name(start)} ({', '.join(parts[count:])})"
    start, plus, added = variant.partition(" + ")
    return f"{reader_name(start)} with {_ADDED[added]}" if plus else variant
