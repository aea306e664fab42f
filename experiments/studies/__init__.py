"""One module per study; the docstring of each is its lab note."""

from __future__ import annotations

from experiments.core.config import Study
from experiments.studies.alias_free import ALIAS_FREE
from experiments.studies.augmentation import AUGMENTATION
from experiments.studies.backbones import BACKBONES
from experiments.studies.borders import BORDERS
from experiments.studies.capacity import CAPACITY
from experiments.studies.crop_shift import CROP_SHIFT
from experiments.studies.dense import DENSE
from experiments.studies.learning_rate import LEARNING_RATE
from experiments.studies.patch_vs_wavelet import PATCH_VS_WAVELET
from experiments.studies.phase_average import PHASE_AVERAGE
from experiments.studies.positions import POSITIONS
from experiments.studies.smoke import SMOKE
from experiments.studies.tokenizers import TOKENIZERS
from experiments.studies.zoom import ZOOM
from wavevit.checks import check_choice, fail

__all__ = ["STUDIES", "get_study", "register_study"]

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        ALIAS_FREE,
        AUGMENTATION,
        BACKBONES,
        BORDERS,
        CAPACITY,
        CROP_SHIFT,
        DENSE,
        LEARNING_RATE,
        PATCH_VS_WAVELET,
        PHASE_AVERAGE,
        POSITIONS,
        SMOKE,
        TOKENIZERS,
        ZOOM,
    )
}


def register_study(study: Study) -> Study:
    """Adds a study of yours, for ``experiments.run NAME --module FILE``.

    Raises:
        ValueError: the name of a study that is there.
    """
    if study.name in STUDIES:
        fail("name", "that of no other study", repr(study.name))
    STUDIES[study.name] = study
    return study


def get_study(name: str) -> Study:
    """The study of that name.

    Raises:
        ValueError: an unknown name; the nearest ones are offered.
    """
    check_choice("study", name, STUDIES)
    return STUDIES[name]
