"""Stages of a backbone: downsampling, injected details and blocks on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wavevit.layers.blocks import Block
from wavevit.layers.bounded_linear import bound_linear_maps
from wavevit.layers.inject import DetailInjection
from wavevit.layers.norms import make_norm, norm_symmetry
from wavevit.layers.symmetry import Symmetry
from wavevit.models.config import BackboneConfig
from wavevit.models.parts import make_downsample, make_mixer, make_mlp

__all__ = ["ColumnStage", "PyramidStage", "Stage", "as_map", "as_tokens"]


def as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens (B, h·w, D) on their grid as a map (B, D, h, w): a view, channels last in memory."""
    return tokens.transpose(1, 2).unflatten(2, grid)


def as_tokens(image: Tensor) -> Tensor:
    """A map (B, D, h, w) as tokens (B, h·w, D): a view where channels are last in memory."""
    return image.flatten(2).transpose(1, 2)


class Stage(nn.Module):
    """Stage of a backbone: downsampling, injection, blocks and norm of one `StageConfig`.

    A stage uses its modules inside its own call only, so that hooks, `fully_shard` and
    activation loggers work.

    Args:
        config: the whole backbone's configuration.
        index: which stage of it.
        drop_path: rate of each block of this stage.

    Attributes:
        symmetry: the shifts in pixels with which it commutes exactly.
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
        mlps = [make_mlp(config, index) for _ in range(stage.depth)]
        gain = config.layer_scale or None
        if config.spectral_control:  # one over the number of residual branches of the backbone
            gain = 1 / sum(2 * other.depth for other in config.stages)
        self.blocks = nn.ModuleList(
            Block(dim, mixer, mlp, rate, eps, config.norm, gain)
            for mixer, mlp, rate in zip(mixers, mlps, drop_path, strict=True)
        )
        self.norm = make_norm(config.norm, dim, eps) if config.ends_normed(index) else nn.Identity()
        if config.spectral_control:
            bound_linear_maps(self)
        kept = [norm_symmetry(config.norm), *(part.symmetry for part in (*mixers, *mlps))]
        if stage.inject:
            kept.append(Symmetry(1))
        declared = [symmetry.at_stride(stride) for symmetry in kept]
        if self.downsample is not None:
            declared.append(self.downsample.symmetry.at_stride(stride // 2))
        self.symmetry = Symmetry.combine(declared)  # in pixels

    def _injected(self, x: Tensor, details: Tensor | None) -> Tensor:
        """Tokens with the image's details added, where the stage injects them."""
        return x if self.inject is None else self.inject(x, details)

    def _run(self, block: nn.Module, *arguments: Any) -> Any:
        """One block or downsampler, recomputed in the backward pass if checkpointing is on."""
        if self.grad_checkpointing and self.training:
            return checkpoint(block, *arguments, use_reentrant=False)
        return block(*arguments)


class PyramidStage(Stage):
    """A stage of a hierarchical backbone: maps to maps."""

    def forward(
        self, x: Tensor, details: Tensor | None = None, cond: Tensor | None = None
    ) -> Tensor:
        """The map of the stage before (B, D, h, w) to this stage's, which is its feature.

        Args:
            x: the map of the stage before, or of the first tokens.
            details: of the image at this stage's stride, (B, C, 3, h', w'), where the stage
                injects them.
            cond: see `ModulatedBlock`.
        """
        tokens, grid = as_tokens(x), (x.shape[-2], x.shape[-1])
        if self.downsample is not None:
            tokens, grid = self._run(self.downsample, tokens, grid)
        tokens = self._injected(tokens, details)
        extra = () if cond is None else (None, cond)
        for block in self.blocks:
            tokens = self._run(block, tokens, grid, *extra)
        return as_map(self.norm(tokens), grid)


class ColumnStage(Stage):
    """The only stage of a columnar backbone: tokens to tokens, those without a place included."""

    def forward(
        self,
        x: Tensor,
        grid: tuple[int, int],
        details: Tensor | None = None,
        attn_mask: Tensor | None = None,
        taps: Sequence[int] | None = None,
        cond: Tensor | None = None,
    ) -> Tensor | list[Tensor]:
        """Tokens (B, T + h·w, D) to the same shape.

        Args:
            x: the first tokens, T of them without a place.
            grid: (h, w).
            details: of the image at this stage's stride, where the stage injects them.
            attn_mask: see `GlobalAttention`.
            taps: blocks whose tokens are asked for, ascending; None for the last one's alone.
            cond: see `ModulatedBlock`.

        Returns:
            The tokens after the last block, or with `taps` a list of the tokens after each of
            those blocks; blocks behind the last of them do not run.
        """
        extra: tuple[Tensor | None, ...] = () if attn_mask is None else (attn_mask,)
        if cond is not None:
            extra = (attn_mask, cond)
        x, kept = self._injected(x, details), []
        for index, block in enumerate(self.blocks):
            x = self._run(block, x, grid, *extra)
            if taps is not None and index in taps:
                kept.append(x)
                if index == taps[-1]:
                    break
        return x if taps is None else kept
