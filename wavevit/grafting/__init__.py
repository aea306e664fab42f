"""Grafts: a wavelet branch beside the patch embedding of a pretrained model."""

from wavevit.grafting.blocks import first_blocks
from wavevit.grafting.branch import GraftBranch
from wavevit.grafting.embedding import find_embedding
from wavevit.grafting.grafted import GraftedEmbedding
from wavevit.grafting.options import GraftOptions
from wavevit.grafting.surgery import branch_parameters, graft, ungraft

__all__ = [
    "GraftBranch",
    "GraftOptions",
    "GraftedEmbedding",
    "branch_parameters",
    "find_embedding",
    "first_blocks",
    "graft",
    "ungraft",
]
