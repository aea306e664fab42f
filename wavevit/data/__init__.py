"""Image data without downloads: bundled photographs, the task `scenes`, picture files."""

from wavevit.data.captioned import Captioned
from wavevit.data.composites import CompositeBatch, Composites, composites
from wavevit.data.objects import ObjectPixels, Objects, boxes_of_masks
from wavevit.data.pairs import Pair, Pairs, read_pairs
from wavevit.data.photographs import load_photograph
from wavevit.data.picture_files import (
    Picture,
    UnreadablePictureError,
    find_pictures,
    read_picture,
)
from wavevit.data.places import Places
from wavevit.data.raw_crops import RawCrops
from wavevit.data.scenes import SceneBatch, Scenes
from wavevit.data.sources import (
    SceneCrops,
    Source,
    create_source,
    list_sources,
    register_source,
)
from wavevit.lazy import lazy_submodules

__all__ = [
    "Captioned",
    "CompositeBatch",
    "Composites",
    "ObjectPixels",
    "Objects",
    "Pair",
    "Pairs",
    "Picture",
    "Places",
    "RawCrops",
    "SceneBatch",
    "SceneCrops",
    "Scenes",
    "Source",
    "UnreadablePictureError",
    "boxes_of_masks",
    "composites",
    "create_source",
    "find_pictures",
    "list_sources",
    "load_photograph",
    "read_pairs",
    "read_picture",
    "register_source",
]

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
