"""crop_shift: what makes the class survive when a camera moves, and at what cost?

The plain ViT of `patch_vs_wavelet`, trained with each alignment and with none; the same alignments
added to the plain ViT after training; and models that choose no grid offset: magnitudes of a dual
tree as the ViT's tokens, the dual-tree pyramid of `backbones`, the alias-free pyramid of
`alias_free`. The plain ViT has no shift period (learned positions), so the period of its alignments
is the whole image. ``conv positions`` has convolutional positions and a shift period of a patch:
its lock moves the image by half a patch at most and mirrors the border. (A lock of `alias_free`
would have a period of one pixel and do nothing.)

Beside the standard measures: accuracy under the worst of 81 crops within ±8 px, two pixels apart,
on 240 crops. ``group_average``, the oracle of 64 calls an image, has a study of its own,
`phase_average`, since it needs a GPU.

Command: ``python -m experiments run crop_shift && python -m experiments report crop_shift``. Runs
of `alias_free`, `backbones` or `patch_vs_wavelet` in the same folder and of the same code are not
trained again. 2 logical cores of an Intel Xeon, about 30 minutes. Expected: S-Cons 92 % for dtcwt
tokens, 90 for alias_free and dtcwt_pyramid, 74 to 80 for the plain ViT with any alignment and with
none. Record: ``experiments/records/crop_shift/``. Nothing in it was chosen on data.
The peak learning rate is the one that `patch_vs_wavelet` chose for the plain ViT.

Target, set before the first run: S-Cons at least 6 points above ``vit``, top-1 not lower by more
than a standard deviation, at most 1.1 times the time.
"""

from __future__ import annotations

from typing import Any

from experiments.core.config import RunConfig, changed
from experiments.core.study import Contrast, Study
from experiments.studies.alias_free import ALIAS_FREE
from experiments.studies.backbones import BACKBONES

# Alignments of the plain ViT, in training ("vit + …") and added after it ("vit then …").
_ALIGNMENTS: dict[str, dict[str, Any]] = {
    "blur": {"model.alignment": "blur"},
    "polyphase": {"model.alignment": "polyphase"},
    "phase_lock": {"model.alignment": "phase_lock"},
    "phase_lock fractional": {
        "model.alignment": "phase_lock",
        "model.alignment_options": {"shift": "fractional"},
    },
    "phase_lock window": {"model.alignment": "phase_lock", "model.alignment_boundary": "window"},
    "weighted_frame": {"model.alignment": "weighted_frame"},
}
# Alignments added after training to the ViT whose shift period is a patch.
_MIRROR = {"model.alignment": "phase_lock", "model.alignment_boundary": "mirror"}
_AFTER_CONV: dict[str, dict[str, Any]] = {
    "phase_lock": _ALIGNMENTS["phase_lock"],
    "phase_lock mirror": _MIRROR,
    "weighted_frame": _ALIGNMENTS["weighted_frame"],
}


def _variants() -> dict[str, RunConfig]:
    families = BACKBONES.configs()
    vit = families["vit"]
    conv = changed(vit, {"model.position": "conv", "model.padding": "circular"})
    aligned = {name: changed(vit, fields) for name, fields in _ALIGNMENTS.items()}
    after_conv = {name: changed(conv, fields) for name, fields in _AFTER_CONV.items()}
    return {
        "vit": vit,
        **{f"vit + {name}": run for name, run in aligned.items()},
        "conv positions": conv,
        "conv positions + phase_lock mirror": changed(conv, _MIRROR),
        "dtcwt tokens": changed(vit, {"model.tokenizer": "dtcwt"}),
        "dtcwt_pyramid": families["dtcwt_pyramid"],
        "alias_free": ALIAS_FREE.configs()["alias_free"],
        **{f"vit then {name}": run for name, run in aligned.items()},
        **{f"conv positions then {name}": run for name, run in after_conv.items()},
    }


CROP_SHIFT = Study(
    name="crop_shift",
    question="Which models keep their class when a camera moves, and at what cost?",
    variants=_variants,
    baseline="vit",
    contrasts=(
        Contrast("vit + blur", "vit", "model.alignment"),
        Contrast("vit + polyphase", "vit", "model.alignment"),
        Contrast("vit + phase_lock", "vit", "model.alignment"),
        Contrast("vit + phase_lock fractional", "vit + phase_lock", "model.alignment_options"),
        Contrast("vit + phase_lock window", "vit + phase_lock", "model.alignment_boundary"),
        Contrast("vit + weighted_frame", "vit", "model.alignment"),
        Contrast("conv positions", "vit", "model"),
        Contrast("conv positions + phase_lock mirror", "conv positions", "model"),
        Contrast("dtcwt tokens", "vit", "model.tokenizer"),
        Contrast("dtcwt_pyramid", "vit", "model"),
        Contrast("alias_free", "vit", "model"),
        Contrast("vit then blur", "vit", "model.alignment"),
        Contrast("vit then phase_lock", "vit", "model.alignment"),
        Contrast("vit then weighted_frame", "vit", "model.alignment"),
    ),
    applied={
        **{f"vit then {name}": "vit" for name in _ALIGNMENTS},
        **{f"conv positions then {name}": "conv positions" for name in _AFTER_CONV},
    },
    measures=("worst_case",),
    pictured=(
        "vit",
        "vit + phase_lock",
        "conv positions + phase_lock mirror",
        "dtcwt tokens",
        "dtcwt_pyramid",
        "alias_free",
    ),
)
