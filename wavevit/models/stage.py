"""One stage of a backbone: a grid, what is injected into it, and its blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wavevit.layers.blocks import Block
from wavevit.layers.downsample import DWTDownsample
from wavevit.layers.inject import DetailInjection
from wavevit.layers.mixers import GlobalAttention, WaveletConv
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.models.config import BackboneConfig, StageConfig

__all__ = ["Stage"]


def _make_mixer(stage: StageConfig, config: BackboneConfig) -> Part:
    if stage.mixer == "global":
        return GlobalAttention(stage.embed_dim, stage.num_heads, config.qkv_bias)
    return WaveletConv(
        stage.embed_dim, stage.kernel_size, stage.wavelet_levels, config.padding, config.wavelet
    )


class Stage(Part):
    """Downsampling, injection and blocks of one `StageConfig`.

    Args:
        config: the whole backbone's configuration.
        index: which stage of it.
        drop_path: rate of each block of this stage.
    """

    def __init__(self, config: BackboneConfig, index: int, drop_path: list[float]) -> None:
        super().__init__()
        stage = config.stages[index]
        dim, eps = stage.embed_dim, config.norm_eps
        self.grad_checkpointing = False
        self.downsample = None
        if stage.downsample == "dwt":
            previous = config.stages[index - 1].embed_dim
            self.downsample = DWTDownsample(previous, dim, config.wavelet, eps)
        stride = config.strides[index]
        self.inject = None
        if stage.inject:
            self.inject = DetailInjection(config.in_chans, dim, level=stride.bit_length() - 1)
        mixers = [_make_mixer(stage, config) for _ in range(stage.depth)]
        self.blocks = nn.ModuleList(
            Block(dim, mixer, stage.mlp_ratio, rate, eps)
            for mixer, rate in zip(mixers, drop_path, strict=True)
        )
        declared = [mixers[0].symmetry.at_stride(stride), Symmetry(stride)]
        self.symmetry = Symmetry.combine(declared)  # in pixels

    def enter(
        self, x: Tensor, grid: tuple[int, int], details: Tensor | None
    ) -> tuple[Tensor, tuple[int, int]]:
        """What precedes the blocks: the new grid, and the image's details added to it."""
        if self.downsample is not None:
            x, grid = self.downsample(x, grid)
        if self.inject is not None:
            assert details is not None
            prefix, places = x.split([x.shape[1] - grid[0] * grid[1], grid[0] * grid[1]], dim=1)
            x = torch.cat([prefix, self.inject(places, details)], dim=1)
        return x, grid

    def run_block(self, block: nn.Module, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """One block, recomputed in the backward pass if gradient checkpointing is on."""
        if self.grad_checkpointing and self.training:
            return checkpoint(block, x, grid, use_reentrant=False)
        return block(x, grid)
