"""Image data: bundled photographs, the task `scenes`, picture files, sources of users' pictures."""

from wavevit.data.captioned import Captioned
from wavevit.data.composites import CompositeBatch, Composites, composites
from wavevit.data.elpv import SolarCells
from wavevit.data.epochs import EpochSource
from wavevit.data.fashion_mnist import FashionMNIST
from wavevit.data.hub_pictures import HubPictures
from wavevit.data.hub_stream import HubStream
from wavevit.data.image_folder import FolderPictures
from wavevit.data.labelled import LabelledPictures
from wavevit.data.near_duplicates import NearDuplicate, near_duplicates
from wavevit.data.objects import ObjectPixels, Objects, boxes_of_masks
from wavevit.data.pairs import Pair, Pairs, read_pairs
from wavevit.data.photograph_files import (
    NearDuplicateWarning,
    PhotographFolder,
    load_photograph_file,
    scan_photographs,
)
from wavevit.data.photographs import load_photograph
from wavevit.data.picture_files import (
    Picture,
    UnreadablePictureError,
    find_pictures,
    read_picture,
)
from wavevit.data.places import Places
from wavevit.data.raw_crops import RawCrops
from wavevit.data.scenes import SceneBatch, Scenes, photograph_scenes
from wavevit.data.sources import (
    SceneCrops,
    Source,
    create_source,
    list_sources,
    register_source,
)
from wavevit.data.windows import WindowCutter
from wavevit.lazy import lazy_submodules

__all__ = [
    "Captioned",
    "CompositeBatch",
    "Composites",
    "EpochSource",
    "FashionMNIST",
    "FolderPictures",
    "HubPictures",
    "HubStream",
    "LabelledPictures",
    "NearDuplicate",
    "NearDuplicateWarning",
    "ObjectPixels",
    "Objects",
    "Pair",
    "Pairs",
    "PhotographFolder",
    "Picture",
    "Places",
    "RawCrops",
    "SceneBatch",
    "SceneCrops",
    "Scenes",
    "SolarCells",
    "Source",
    "UnreadablePictureError",
    "WindowCutter",
    "boxes_of_masks",
    "composites",
    "create_source",
    "find_pictures",
    "list_sources",
    "load_photograph",
    "load_photograph_file",
    "near_duplicates",
    "photograph_scenes",
    "read_pairs",
    "read_picture",
    "register_source",
    "scan_photographs",
]

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
