"""All claims, in order."""

from __future__ import annotations

from experiments.claims.c01_zoom import CLAIM as C1
from experiments.claims.c02_turnover import CLAIM as C2
from experiments.claims.c03_permutation import CLAIM as C3
from experiments.claims.c04_continuity import CLAIM as C4
from experiments.claims.c05_noise import CLAIM as C5
from experiments.claims.c06_capacity import CLAIM as C6
from experiments.claims.c07_augmentation import CLAIM as C7
from experiments.claims.c08_positions import CLAIM as C8
from experiments.claims.c09_stems import CLAIM as C9
from experiments.claims.c10_hierarchy import CLAIM as C10
from experiments.claims.c11_convolutions import CLAIM as C11
from experiments.claims.c12_attention import CLAIM as C12
from experiments.claims.c13_vocabulary import CLAIM as C13
from experiments.claims.c14_dense import CLAIM as C14
from experiments.claims.c15_generation import CLAIM as C15
from experiments.claims.c16_text import CLAIM as C16
from experiments.claims.c17_haar_is_patchify import CLAIM as C17
from experiments.claims.c18_phase_lock import CLAIM as C18
from experiments.claims.claim import Claim

__all__ = ["CLAIMS"]

CLAIMS: tuple[Claim, ...] = (
    C1,
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    C8,
    C9,
    C10,
    C11,
    C12,
    C13,
    C14,
    C15,
    C16,
    C17,
    C18,
)
