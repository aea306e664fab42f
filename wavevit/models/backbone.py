"""The backbone that every configuration builds, with timm's verbs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from wavevit.alignment import make_alignment
from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.layers.norms import make_norm
from wavevit.layers.padding import pad_to_multiple
from wavevit.layers.symmetry import Symmetry
from wavevit.layers.tokenizers import AliasFreeTokenizer, PacketTokenizer, PatchTokenizer
from wavevit.models.config import BackboneConfig
from wavevit.models.parts import make_position, make_tokenizer
from wavevit.models.stage import Stage
from wavevit.wavelets import wavedec2

__all__ = ["Backbone"]


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, AliasFreeTokenizer | PatchTokenizer | PacketTokenizer):
        weight = module.proj.weight
        nn.init.trunc_normal_(weight, std=weight[0].numel() ** -0.5)
        if module.proj.bias is not None:
            nn.init.zeros_(module.proj.bias)


def _spread(places: Tensor, eps: float) -> Tensor:
    """Standard deviation over places, (B, D, N) to (B, D); smooth where a channel is flat."""
    return (places.var(dim=2, correction=0) + eps).sqrt()


class Backbone(nn.Module):
    """Tokenizer, positions, stages, norm, pooling, head.

    Args:
        config: see `BackboneConfig`.

    Images are (B, in_chans, H, W) of any size from `config.min_size` pixels a side. Where the
    patch does not divide a side, the bottom and right edge are repeated up to the next multiple;
    nothing is cropped. With an alignment, features live on the aligned grid: the map of an image
    is that of its rolled version.

    Attributes:
        symmetry: the shifts in pixels that pooled features keep, alignment left aside; combined
            from what the parts declare.
        feature_info: for each intermediate that `forward_intermediates` can give, a dict with
            ``num_chs``, ``reduction`` (stride in pixels) and ``module``. A columnar model (one
            stage) has one per block, a hierarchical one has one per stage.

    Guarantees:
        The declared symmetry, aligned invariance, and equal weights from equal seeds
        (tests/properties/test_phase_lock_laws.py, tests/contract/test_backbone.py).
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes = config.num_classes
        self.num_features = self.head_hidden_size = config.stages[-1].embed_dim
        if config.pool == "power":
            self.head_hidden_size = 2 * self.num_features
        self.tokenizer = make_tokenizer(config)
        dim = config.stages[0].embed_dim
        self.token_norm = (
            make_norm(config.norm, dim, config.norm_eps) if config.token_norm else nn.Identity()
        )
        self.position = make_position(config)
        self.cls_token = None
        if config.pool == "token":
            self.cls_token = nn.Parameter(torch.empty(1, 1, config.stages[0].embed_dim))
            nn.init.normal_(self.cls_token, std=1e-6)
        blocks = sum(stage.depth for stage in config.stages)
        rates = [config.drop_path_rate * i / max(blocks - 1, 1) for i in range(blocks)]
        starts = itertools.accumulate([0] + [stage.depth for stage in config.stages])
        self.stages = nn.ModuleList(
            Stage(config, index, rates[start : start + stage.depth])
            for index, (start, stage) in enumerate(zip(starts, config.stages, strict=False))
        )
        self.norm = make_norm(config.norm, self.num_features, config.norm_eps)
        self.head: nn.Module = nn.Identity()
        self.reset_classifier(config.num_classes)
        self.apply(_init_weights)
        self.symmetry = Symmetry.combine(
            [
                self.tokenizer.symmetry,
                self.position.symmetry.at_stride(config.patch_size),
                *(stage.symmetry for stage in self._stages),
            ]
        )
        self.alignment = make_alignment(
            config.alignment, self.symmetry.lockable_period, config.alignment_boundary
        )
        self.feature_info = self._describe_features()

    @property
    def _stages(self) -> list[Stage]:
        return cast("list[Stage]", list(self.stages))

    def _describe_features(self) -> list[dict[str, Any]]:
        strides = self.config.strides
        if len(self.stages) == 1:
            dim, names = self.num_features, range(self.config.stages[0].depth)
            return [
                {"num_chs": dim, "reduction": strides[0], "module": f"stages.0.blocks.{i}"}
                for i in names
            ]
        return [
            {"num_chs": stage.embed_dim, "reduction": stride, "module": f"stages.{i}"}
            for i, (stage, stride) in enumerate(zip(self.config.stages, strides, strict=True))
        ]

    def _check(self, x: Tensor) -> None:
        check_image(x, channels=self.config.in_chans)
        smallest = self.config.min_size
        if min(x.shape[-2:]) < smallest:
            fail("x", f"sides of at least {smallest} pixels", f"shape {tuple(x.shape)}")

    def tokenize(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The first tokens of images (B, C, H, W) as given, before positions: (B, h·w, D), grid."""
        if not self.tokenizer.any_size:
            x = pad_to_multiple(x, self.config.patch_size)
        tokens = self.token_norm(self.tokenizer(x))
        return tokens.flatten(1, 2), (tokens.shape[1], tokens.shape[2])

    def _steps(self, x: Tensor) -> Iterator[tuple[Tensor, tuple[int, int]]]:
        """Tokens and grid after each entry of `feature_info`, in order."""
        self._check(x)
        if self.alignment is not None:
            x = self.alignment(x)
        tokens, grid = self.tokenize(x)
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.position(tokens, grid)
        details = self._image_details(x)
        columnar = len(self.stages) == 1
        for stage, injected in zip(self._stages, details, strict=True):
            tokens, grid = stage.enter(tokens, grid, injected)
            for block in stage.blocks:
                tokens = stage.run_block(block, tokens, grid)
                if columnar:
                    yield tokens, grid
            if not columnar:
                tokens = stage.norm(tokens)
                yield tokens, grid

    def _image_details(self, x: Tensor) -> list[Tensor | None]:
        """The image's details at each stage's stride, where a stage asks for them."""
        wanted = [stage.inject is not None for stage in self._stages]
        if not any(wanted):
            return [None] * len(self.stages)
        x = pad_to_multiple(x, self.config.patch_size)
        levels = [stride.bit_length() - 1 for stride in self.config.strides]
        deepest = max(level for level, want in zip(levels, wanted, strict=True) if want)
        pyramid = wavedec2(x, self.config.wavelet, level=deepest)
        return [
            pyramid.details[deepest - level] if want else None
            for level, want in zip(levels, wanted, strict=True)
        ]

    def _normalized_map(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        return self.norm(tokens).transpose(1, 2).unflatten(2, grid)

    def forward_features(self, x: Tensor) -> Tensor:
        """Normalised last features.

        Args:
            x: images (B, C, H, W).

        Returns:
            Tokens (B, T + h·w, D), class token first, for a columnar model; a map
            (B, D, h, w) for a hierarchical one.
        """
        *_, (tokens, grid) = self._steps(x)
        if len(self.stages) == 1:
            return self.norm(tokens)
        return self._normalized_map(tokens, grid)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools what `forward_features` gave and classifies: (B, num_classes).

        Args:
            x: features as `forward_features` returns them.
            pre_logits: stop at the pooled features (B, `head_hidden_size`).
        """
        if self.cls_token is not None:
            x = x[:, 0]
        else:
            places = x.flatten(2) if x.ndim == 4 else x.transpose(1, 2)
            x = places.mean(dim=2)
            if self.config.pool == "power":
                x = torch.cat([x, _spread(places, self.config.norm_eps)], dim=1)
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, num_classes), or pooled features without a head."""
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Features along the way.

        Args:
            x: images (B, C, H, W).
            indices: entries of `feature_info`; a number ``n`` means the last ``n``, None all.
            norm: apply the final norm to every intermediate of a columnar model. The last entry
                always has it, so that it equals `forward_features`.
            output_fmt: ``"NCHW"`` maps or ``"NLC"`` sequences (without the class token).
            intermediates_only: leave out the final features.

        Returns:
            A list of intermediates, or ``(final features, list)``.
        """
        check_choice("output_fmt", output_fmt, ("NCHW", "NLC"))
        chosen = self.feature_indices(indices)
        last = len(self.feature_info) - 1
        kept, tokens = [], x
        for index, (tokens, grid) in enumerate(self._steps(x)):
            if index == last:
                tokens = self.norm(tokens)
            if index not in chosen:
                continue
            item = self.norm(tokens) if norm and len(self.stages) == 1 and index < last else tokens
            item = item[:, item.shape[1] - grid[0] * grid[1] :]
            if output_fmt == "NCHW":
                item = item.transpose(1, 2).unflatten(2, grid)
            kept.append(item)
        if intermediates_only:
            return kept
        final = tokens if len(self.stages) == 1 else tokens.transpose(1, 2).unflatten(2, grid)
        return final, kept

    def feature_indices(self, indices: int | Sequence[int] | None) -> list[int]:
        """Resolves what `forward_intermediates` and ``out_indices`` take, negatives included.

        Raises:
            ValueError: an index outside `feature_info`.
        """
        count = len(self.feature_info)
        if indices is None:
            return list(range(count))
        if isinstance(indices, int):
            check_at_least("indices", indices, 1)
            indices = range(count - min(indices, count), count)
        for index in indices:
            if not -count <= index < count:
                fail("indices", f"numbers from {-count} to {count - 1}", index)
        return sorted({index % count for index in indices})

    def get_classifier(self) -> nn.Module:
        """The head."""
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """A fresh head of `num_classes` outputs, or none at all for 0."""
        self.num_classes = check_at_least("num_classes", num_classes, 0)
        reference = self.norm.weight
        if num_classes == 0:
            self.head = nn.Identity()
        else:
            self.head = nn.Linear(self.head_hidden_size, num_classes).to(reference)
            _init_weights(self.head)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass: less memory, the same result."""
        for stage in self._stages:
            stage.grad_checkpointing = enable

    def no_weight_decay(self) -> set[str]:
        """Parameters that weight decay should leave alone, beside biases and norms."""
        names = {name for name, _ in self.named_parameters()}
        return names & {"cls_token", "position.embedding"}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's patterns for layer-wise learning rates."""
        blocks = (
            [(r"^stages\.(\d+)", None)]
            if coarse
            else [
                (r"^stages\.(\d+)\.(?:downsample|inject|norm)", (0,)),
                (r"^stages\.(\d+)\.blocks\.(\d+)", None),
            ]
        )
        return {
            "stem": r"^cls_token|^tokenizer|^token_norm|^position",
            "blocks": [*blocks, (r"^norm", (99999,))],
        }
