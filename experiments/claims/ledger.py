"""All claims, in order."""

from __future__ import annotations

from experiments.claims.c01_zoom import CLAIM as C1
from experiments.claims.c06_capacity import CLAIM as C6
from experiments.claims.c07_augmentation import CLAIM as C7
from experiments.claims.c08_positions import CLAIM as C8
from experiments.claims.c09_stems import CLAIM as C9
from experiments.claims.c10_hierarchy import CLAIM as C10
from experiments.claims.c17_haar_is_patchify import CLAIM as C17
from experiments.claims.c18_phase_lock import CLAIM as C18
from experiments.claims.claim import Claim

__all__ = ["CLAIMS"]

CLAIMS: tuple[Claim, ...] = (C1, C6, C7, C8, C9, C10, C17, C18)
