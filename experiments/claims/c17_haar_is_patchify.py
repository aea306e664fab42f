"""C17: block Haar and a linear layer are patchify; what beyond it helps?"""

from __future__ import annotations

from experiments.claims.studies import Compared, against, study_claim

__all__ = ["CLAIM"]

_BEYOND = against("vit", ("dwt", "swt", "dtcwt", "scattering"))
_ROTATED = against("vit", ["dwt, linear"])

CLAIM = study_claim(
    id="C17",
    sentence="Block Haar and a linear layer equal patchify; what beyond it helps?",
    hypothesis=(
        "The equality is a law and has tests. Its complement can be false: wavelet tokens that a "
        "linear map of one block cannot make (gains and GELU on each subband, undecimated and "
        "dual-tree magnitudes, scattering) learn more than patches and keep the class under crops."
    ),
    test=(
        "Study `tokenizers`, `dwt`, `swt`, `dtcwt` and `scattering`, each − `vit`, in top-1 and in "
        "S-Cons, paired by seed; `dwt, linear` is the mere rotation of the patch."
    ),
    study="tokenizers",
    deciding=[Compared("top1", _BEYOND, "higher"), Compared("crop", _BEYOND, "higher")],
    shown=[Compared("top1", _ROTATED), Compared("crop", _ROTATED)],
    columns=("top1", "circular", "crop"),
    shifts=(1, 4),
    alt="Differences of four wavelet tokenizers and of Haar as a rotation to the plain ViT",
)
