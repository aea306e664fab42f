"""C23: do wavelet inputs help diffusion on large patches?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim

_LARGE = "vit patch 16"
_WAVELETS = against(_LARGE, (f"{_LARGE} gated", f"{_LARGE} haar output", "dtcwt_vit patch 16"))

CLAIM = study_claim(
    id="C23",
    sentence="Wavelet inputs help diffusion on large patches.",
    study="diffusion",
    deciding=[Compared("flow", _WAVELETS, "lower")],
    shown=[
        Compared("flow", [(f"{_LARGE} low-passed", _LARGE)]),
        Compared("flow", [(_LARGE, "vit")]),
    ],
    columns=("flow",),
    variants=(
        *("vit", "dtcwt_vit", _LARGE, f"{_LARGE} low-passed"),
        *(variant for variant, _ in _WAVELETS),
    ),
    alt="Differences of wavelet inputs and outputs to the plain ViT with patches of 16 pixels in "
    "the flow-matching loss",
)
