"""Grafts: a wavelet branch beside the patch embedding of a pretrained model."""

from wavevit.grafting.blocks import first_blocks
from wavevit.grafting.branch import GraftBranch
from wavevit.grafting.distillation import distil
from wavevit.grafting.distillation_loss import shift_averaged
from wavevit.grafting.distillation_report import Distillation, DistillationError
from wavevit.grafting.embedding import find_embedding
from wavevit.grafting.grafted import GraftedEmbedding
from wavevit.grafting.merging import merge
from wavevit.grafting.options import GraftOptions
from wavevit.grafting.pooled import pooled_features
from wavevit.grafting.storing import load_graft, read_graft, save_graft
from wavevit.grafting.surgery import branch_parameters, graft, ungraft

__all__ = [
    "Distillation",
    "DistillationError",
    "GraftBranch",
    "GraftOptions",
    "GraftedEmbedding",
    "branch_parameters",
    "distil",
    "find_embedding",
    "first_blocks",
    "graft",
    "load_graft",
    "merge",
    "pooled_features",
    "read_graft",
    "save_graft",
    "shift_averaged",
    "ungraft",
]
