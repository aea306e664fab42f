"""C17: block Haar and a linear layer are patchify; what beyond it helps?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim

_BEYOND = against("vit", ("dwt", "swt", "dtcwt", "scattering"))
_ROTATED = against("vit", ["dwt, linear"])

CLAIM = study_claim(
    id="C17",
    sentence="Block Haar and a linear layer equal patchify; what beyond it helps?",
    study="tokenizers",
    deciding=[Compared("top1", _BEYOND, "higher"), Compared("crop", _BEYOND, "higher")],
    shown=[Compared("top1", _ROTATED), Compared("crop", _ROTATED)],
    columns=("top1", "circular", "crop"),
    shifts=(1, 4),
    alt="Differences of four wavelet tokenizers and of Haar as a rotation to the plain ViT",
)
