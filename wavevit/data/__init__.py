"""Image data without downloads: bundled photographs, the task `scenes`, picture files."""

from wavevit.data.photographs import load_photograph
from wavevit.data.picture_files import (
    Picture,
    UnreadablePictureError,
    find_pictures,
    read_picture,
)
from wavevit.data.scenes import SceneBatch, Scenes
from wavevit.lazy import lazy_submodules

__all__ = [
    "Picture",
    "SceneBatch",
    "Scenes",
    "UnreadablePictureError",
    "find_pictures",
    "load_photograph",
    "read_picture",
]

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
