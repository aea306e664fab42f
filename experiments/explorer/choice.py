"""Which trained models and which photographs the Shift Explorer shows."""

from __future__ import annotations

from dataclasses import dataclass

SEED = 0
CROP = 64  # what a model reads
MARGIN = 16  # how far a crop may move: the studies' own windows
WINDOW = 128  # what the page shows around it


@dataclass(frozen=True)
class ModelChoice:
    """A run of a study, and how the page calls it.

    Attributes:
        name: of its file.
        study: of `experiments.studies`.
        variant: of the study.
        title: on the page.
        about: one sentence on the page: what is special about it.
    """

    name: str
    study: str
    variant: str
    title: str
    about: str


MODELS = (
    ModelChoice(
        "vit",
        "crop_shift",
        "vit",
        "Plain ViT",
        "Patches of 8 pixels on a fixed grid, learned positions.",
    ),
    ModelChoice(
        "vit-phase_lock",
        "crop_shift",
        "vit + phase_lock",
        "ViT, phase-locked",
        "The plain ViT behind a phase lock, which first shifts the image circularly to its own "
        "grid offset. Exact for circular shifts.",
    ),
    ModelChoice(
        "mirror_lock",
        "crop_shift",
        "conv positions + phase_lock mirror",
        "ViT, locked within a patch",
        "Convolutional positions. The grid follows the content by at most half a patch, and the "
        "image is padded with its mirror. Exact for no shift; made for crops.",
    ),
    ModelChoice(
        "haar_vit",
        "backbones",
        "haar_vit",
        "ViT on Haar packets",
        "Each patch as its Haar packet, with a gain for each subband and a GELU. The grid is "
        "still fixed.",
    ),
    ModelChoice(
        "dtcwt_tokens",
        "crop_shift",
        "dtcwt tokens",
        "ViT on dual-tree magnitudes",
        "Tokens from the magnitudes of complex wavelets: a small shift changes the phase of a "
        "coefficient and hardly its magnitude.",
    ),
    ModelChoice(
        "alias_free",
        "crop_shift",
        "alias_free",
        "Alias-free pyramid",
        "A low-pass filter before every coarser grid prevents aliasing, and no grid offset is "
        "chosen. Exact for circular shifts by whole pixels.",
    ),
)


@dataclass(frozen=True)
class Place:
    """A window of a photograph, in its right half, from which no training crop was taken.

    Attributes:
        photograph: of `wavevit.data.photographs`.
        title: on the page.
        row: of the upper left pixel, in the photograph as `load_photograph` gives it.
        column: likewise.
        credit: who made it and under which terms, as scikit-image states them.
    """

    photograph: str
    title: str
    row: int
    column: int
    credit: str


PHOTOGRAPHS = (
    Place("cat", "Chelsea the cat", 48, 211, "Stefan van der Walt, CC0"),
    Place("coffee", "A cup of coffee", 100, 192, "Rachel Michetti, Pikolo Espresso Bar, CC0"),
    Place("astronaut", "Behind the astronaut", 40, 128, "NASA, public domain"),
    Place("rocket", "A rocket on its pad", 40, 205, "SpaceX, public domain"),
    Place("camera", "Behind the cameraman", 30, 128, "Lav Varshney, CC0"),
    Place("coins", "Greek coins", 66, 180, "Brooklyn Museum, no known copyright restrictions"),
    Place("hubble", "Hubble eXtreme Deep Field", 90, 150, "NASA, public domain"),
    Place("brick", "A brick wall", 64, 128, "CC0Textures, CC0"),
)
