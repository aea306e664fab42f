"""Bundled real images; nothing is downloaded."""

from wavevit.data.photographs import load_photograph
from wavevit.data.scenes import SceneBatch, Scenes

__all__ = ["SceneBatch", "Scenes", "load_photograph"]
