"""One stage of a backbone: a grid, what is injected into it, and its blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wavevit.layers.blocks import Block
from wavevit.layers.inject import DetailInjection
from wavevit.layers.lipschitz import bound_linear_maps
from wavevit.layers.norms import make_norm, norm_symmetry
from wavevit.layers.symmetry import Part, Symmetry
from wavevit.models.config import BackboneConfig
from wavevit.models.parts import make_downsample, make_mixer, make_mlp

__all__ = ["Stage"]


class Stage(Part):
    """Downsampling, injection and blocks of one `StageConfig`.

    Args:
        config: the whole backbone's configuration.
        index: which stage of it.
        drop_path: rate of each block of this stage.
    """

    def __init__(self, config: BackboneConfig, index: int, drop_path: list[float]) -> None:
        super().__init__()
        stage, stride = config.stages[index], config.strides[index]
        dim, eps = stage.embed_dim, config.norm_eps
        self.grad_checkpointing = False
        self.downsample = make_downsample(config, index, drop_path[0])
        self.inject = None
        if stage.inject:
            self.inject = DetailInjection(config.in_chans, dim, level=stride.bit_length() - 1)
        mixers = [make_mixer(config, index, block) for block in range(stage.depth)]
        mlps = [make_mlp(config, stage) for _ in range(stage.depth)]
        gain = None
        if config.spectral_control:  # one over the number of residual branches of the backbone
            gain = 1 / sum(2 * other.depth for other in config.stages)
        self.blocks = nn.ModuleList(
            Block(dim, mixer, mlp, rate, eps, config.norm, gain)
            for mixer, mlp, rate in zip(mixers, mlps, drop_path, strict=True)
        )
        # The last stage's norm is the backbone's own.
        ends = config.stage_norm and index < len(config.stages) - 1
        self.norm = make_norm(config.norm, dim, eps) if ends else nn.Identity()
        if config.spectral_control:
            bound_linear_maps(self)
        kept = [norm_symmetry(config.norm), *(part.symmetry for part in (*mixers, *mlps))]
        if stage.inject:
            kept.append(Symmetry(1))
        declared = [symmetry.at_stride(stride) for symmetry in kept]
        if self.downsample is not None:
            declared.append(self.downsample.symmetry.at_stride(stride // 2))
        self.symmetry = Symmetry.combine(declared)  # in pixels

    def enter(
        self, x: Tensor, grid: tuple[int, int], details: Tensor | None
    ) -> tuple[Tensor, tuple[int, int]]:
        """What precedes the blocks: the new grid, and the image's details added to it."""
        if self.downsample is not None:
            x, grid = self.run_block(self.downsample, x, grid)
        if self.inject is not None:
            assert details is not None
            prefix, places = x.split([x.shape[1] - grid[0] * grid[1], grid[0] * grid[1]], dim=1)
            places = self.inject(places, details)
            x = torch.cat([prefix, places], dim=1) if prefix.shape[1] else places
        return x, grid

    def run_block(self, block: nn.Module, x: Tensor, grid: tuple[int, int]) -> Any:
        """One block or downsampler, recomputed in the backward pass if checkpointing is on."""
        if self.grad_checkpointing and self.training:
            return checkpoint(block, x, grid, use_reentrant=False)
        return block(x, grid)
