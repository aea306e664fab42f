"""The backbone that every configuration builds, with timm's verbs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from wavevit.alignment import blur_strides, place_map
from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.layers.norms import make_norm
from wavevit.layers.padding import pad_to_multiple
from wavevit.layers.pooling import pool_tokens
from wavevit.layers.symmetry import Symmetry
from wavevit.models.config import BackboneConfig
from wavevit.models.grouping import layer_patterns, undecayed
from wavevit.models.init import init_weights
from wavevit.models.lipschitz import lipschitz_steps
from wavevit.models.merge import merged
from wavevit.models.parts import make_backbone_alignment, make_position, make_tokenizer
from wavevit.models.stage import Stage
from wavevit.wavelets import wavedec2

__all__ = ["Backbone"]


class Backbone(nn.Module):
    """Tokenizer, positions, stages, norm, pooling, head.

    Args:
        config: see `BackboneConfig`.

    Images are (B, in_chans, H, W) of any size from `config.min_size` pixels a side. Where the
    patch does not divide a side, the bottom and right edge are repeated up to the next multiple;
    nothing is cropped. With an alignment, maps and tokens come back in the image's own coordinates
    (`wavevit.alignment.place_map`).

    Attributes:
        symmetry: the shifts in pixels that pooled features keep, alignment left aside; combined
            from what the parts declare.
        feature_info: for each intermediate that `forward_intermediates` can give, a dict with
            ``num_chs``, ``reduction`` (stride in pixels) and ``module``. A columnar model (one
            stage) has one per block, a hierarchical one has one per stage.

    Guarantees:
        The declared symmetry, aligned invariance and equivariance, and equal weights from equal
        seeds (tests/properties/test_phase_lock_laws.py, test_alignment_laws.py,
        tests/contract/test_backbone.py).
    """

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.in_chans = config.in_chans
        self.num_features = self.head_hidden_size = config.stages[-1].embed_dim
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
        self.num_prefix_tokens = int(self.cls_token is not None)
        blocks = sum(stage.depth for stage in config.stages)
        rates = [config.drop_path_rate * i / max(blocks - 1, 1) for i in range(blocks)]
        starts = itertools.accumulate([0] + [stage.depth for stage in config.stages])
        self.stages = nn.ModuleList(
            Stage(config, index, rates[start : start + stage.depth])
            for index, (start, stage) in enumerate(zip(starts, config.stages, strict=False))
        )
        norm = make_norm(config.norm, self.num_features, config.norm_eps)
        self.norm = nn.Identity() if config.fc_norm else norm
        self.fc_norm = norm if config.fc_norm else nn.Identity()
        self.head: nn.Module
        self.reset_classifier(config.num_classes, config.pool)
        self.apply(init_weights)
        self.symmetry = Symmetry.combine(
            [
                self.tokenizer.symmetry,
                self.position.symmetry.at_stride(config.patch_size),
                *(stage.symmetry for stage in self._stages),
            ]
        )
        self.alignment = make_backbone_alignment(config, self.symmetry.lockable_period)
        if config.alignment == "blur":
            blur_strides(self, config.alignment_boundary)
        self.feature_info = self._describe_features()

    @property
    def _stages(self) -> list[Stage]:
        return cast("list[Stage]", list(self.stages))

    @property
    def _columnar(self) -> bool:
        return len(self.config.stages) == 1

    def _describe_features(self) -> list[dict[str, Any]]:
        strides = self.config.strides
        if self._columnar:
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
        if x.shape[-2] < smallest or x.shape[-1] < smallest:
            fail("x", f"sides of at least {smallest} pixels", f"shape {tuple(x.shape)}")

    def tokenize(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The first tokens of images (B, C, H, W) as given, before positions: (B, h·w, D), grid."""
        if not self.tokenizer.any_size:
            x = pad_to_multiple(x, self.config.patch_size)
        tokens = self.token_norm(self.tokenizer(x))
        # Channels innermost in memory from here on: what a convolution left in planes would be
        # copied again by every norm, because sums keep the layout of their first term.
        return tokens.flatten(1, 2).contiguous(), (tokens.shape[1], tokens.shape[2])

    def _steps(self, x: Tensor, end: int | None = None) -> Iterator[tuple[Tensor, tuple[int, int]]]:
        """Tokens and grid of one view after each entry of `feature_info`, up to entry `end`."""
        count = itertools.count()
        tokens, grid = self.tokenize(x)
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        tokens = self.position(tokens, grid)
        details = self._image_details(x)
        for stage, injected in zip(self._stages, details, strict=True):
            tokens, grid = stage.enter(tokens, grid, injected)
            for block in stage.blocks:
                tokens = stage.run_block(block, tokens, grid)
                if self._columnar:
                    yield tokens, grid
                    if next(count) == end:
                        return
            if not self._columnar:
                tokens = stage.norm(tokens)
                yield tokens, grid
                if next(count) == end:
                    return

    def _image_details(self, x: Tensor) -> list[Tensor | None]:
        """The image's details at each stage's stride, where a stage asks for them."""
        wanted = [stage.inject is not None for stage in self._stages]
        if not any(wanted):
            return [None] * len(self.stages)
        x = pad_to_multiple(x, self.config.patch_size)
        levels = [stride.bit_length() - 1 for stride in self.config.strides[: len(wanted)]]
        deepest = max(level for level, want in zip(levels, wanted, strict=True) if want)
        pyramid = wavedec2(x, self.config.wavelet, level=deepest)
        return [
            pyramid.details[deepest - level] if want else None
            for level, want in zip(levels, wanted, strict=True)
        ]

    def _aligned(self, function: Callable[[Tensor], Any], x: Tensor, placed: bool) -> Any:
        """`function` of the views of images; with `placed`, its maps follow the image."""
        self._check(x)
        if self.alignment is None:
            return function(x)
        size = (x.shape[-2], x.shape[-1])
        place = partial(self._place, size, self.alignment.seen(size))
        return self.alignment.through(function, x, place if placed else None)

    def _place(
        self, size: tuple[int, int], seen: tuple[int, int], output: Tensor, offset: Tensor
    ) -> Tensor:
        if output.ndim != 4:
            return output  # the class token has no place
        for stride in self.config.strides:
            if (-(-seen[0] // stride), -(-seen[1] // stride)) == output.shape[-2:]:
                return place_map(output, offset, size, stride, seen)
        return place_map(output, offset, size, None, seen)  # odd grids, rounded stage by stage

    def _as_map(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        return tokens[:, self.num_prefix_tokens :].transpose(1, 2).unflatten(2, grid)

    def _last_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised class token (B, 0 or 1, D) and map of one view."""
        *_, (tokens, grid) = self._steps(x)
        tokens = self.norm(tokens)
        return tokens[:, : self.num_prefix_tokens], self._as_map(tokens, grid)

    def _joined(self, prefix: Tensor, features: Tensor) -> Tensor:
        """What `forward_features` returns: tokens of a columnar model, the map of another."""
        if not self._columnar:
            return features
        return torch.cat([prefix, features.flatten(2).transpose(1, 2)], dim=1)

    def forward_features(self, x: Tensor) -> Tensor:
        """Last features, normalised unless the norm sits behind the pooling (``fc_norm``).

        Args:
            x: images (B, C, H, W).

        Returns:
            Tokens (B, T + h·w, D), class token first, for a columnar model; a map
            (B, D, h, w) for a hierarchical one.
        """
        return self._joined(*self._aligned(self._last_features, x, placed=True))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools what `forward_features` gave and classifies: (B, num_classes).

        Args:
            x: features as `forward_features` returns them.
            pre_logits: stop at the pooled features (B, `head_hidden_size`).
        """
        x = pool_tokens(x, self.global_pool, self.num_prefix_tokens, self.config.norm_eps)
        x = self.fc_norm(x)
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, num_classes), or pooled features without a head."""
        # What is pooled has no place: nothing is moved back.
        return self._aligned(
            lambda view: self.forward_head(self._joined(*self._last_features(view))),
            x,
            placed=False,
        )

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Features along the way.

        Args:
            x: images (B, C, H, W).
            indices: entries of `feature_info`; a number ``n`` means the last ``n``, None all.
            norm: apply the final norm to every intermediate of a columnar model. The last entry
                always has it, so that it equals `forward_features`; with ``fc_norm`` none has.
            stop_early: end at the last chosen entry; the final features are then its own.
            output_fmt: ``"NCHW"`` maps or ``"NLC"`` sequences (without the class token).
            intermediates_only: leave out the final features; nothing behind the last chosen
                entry is computed.

        Returns:
            A list of intermediates, or ``(final features, list)``.
        """
        check_choice("output_fmt", output_fmt, ("NCHW", "NLC"))
        chosen, last = self.feature_indices(indices), len(self.feature_info) - 1
        end = chosen[-1] if stop_early or intermediates_only else last
        prefix, final, kept = self._aligned(
            lambda view: self._chosen_features(view, chosen, norm, end), x, placed=True
        )
        if output_fmt == "NLC":
            kept = [item.flatten(2).transpose(1, 2) for item in kept]
        return kept if intermediates_only else (self._joined(prefix, final), kept)

    def _chosen_features(
        self, x: Tensor, chosen: Sequence[int], norm: bool, end: int
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Class token, map of entry `end` and chosen maps of one view."""
        last = len(self.feature_info) - 1
        kept, tokens, grid = [], x, (0, 0)
        for index, (tokens, grid) in enumerate(self._steps(x, end)):
            if index == last:
                tokens = self.norm(tokens)
            if index in chosen:
                normed = norm and self._columnar and index < last
                kept.append(self._as_map(self.norm(tokens) if normed else tokens, grid))
        return tokens[:, : self.num_prefix_tokens], self._as_map(tokens, grid), kept

    def feature_indices(self, indices: int | Sequence[int] | None) -> list[int]:
        """Resolves what `forward_intermediates` and ``out_indices`` take, negatives included.

        Raises:
            ValueError: an index outside `feature_info`, or none at all.
        """
        count = len(self.feature_info)
        if indices is None:
            return list(range(count))
        if isinstance(indices, int):
            if not 1 <= indices <= count:
                fail("indices", f"a number of entries from 1 to {count}", indices)
            indices = range(count - indices, count)
        if not indices:
            fail("indices", f"at least one of the entries 0 to {count - 1}", indices)
        for index in indices:
            if not -count <= index < count:
                fail("indices", f"numbers from {-count} to {count - 1}", index)
        return sorted({index % count for index in indices})

    def get_classifier(self) -> nn.Module:
        """The head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A fresh head.

        Args:
            num_classes: its outputs; 0 for none at all.
            global_pool: ``"avg"``, ``"power"``, ``"token"`` (where there is a class token), ``""``
                for features that are not pooled (where there is no head); None leaves it as it is.

        Raises:
            ValueError: a pooling that this model or this head cannot have.
        """
        check_at_least("num_classes", num_classes, 0)
        if global_pool is not None:
            token = () if self.cls_token is None else ("token",)
            known = ("avg", "power", *token, "")
            self.global_pool = check_choice("global_pool", global_pool, known)
        self.head_hidden_size = self.num_features * (2 if self.global_pool == "power" else 1)
        if num_classes and not self.global_pool:
            fail("num_classes", "0 where global_pool is '' (nothing is pooled)", num_classes)
        self.num_classes = num_classes
        if num_classes == 0:
            self.head = nn.Identity()
        else:
            reference = next(self.stages.parameters())
            self.head = nn.Linear(self.head_hidden_size, num_classes).to(reference)
            init_weights(self.head)

    def prune_intermediate_layers(
        self,
        indices: int | Sequence[int] = 1,
        prune_norm: bool = False,
        prune_head: bool = True,
    ) -> list[int]:
        """Drops, in place, what the chosen intermediates do not need.

        Args:
            indices: entries of `feature_info` to keep, as in `forward_intermediates`.
            prune_norm: drop the final norm where the last entry, which includes it, is dropped.
            prune_head: drop the head even where the last entry stays.

        Returns:
            The indices, from 0 on, that `forward_intermediates` now takes for them.
        """
        chosen = self.feature_indices(indices)
        kept = chosen[-1] + 1
        cut = kept < len(self.feature_info)
        if self._columnar:
            self._stages[0].blocks = self._stages[0].blocks[:kept]
        else:
            self.stages = self.stages[:kept]
        self.feature_info = self.feature_info[:kept]
        if cut and (prune_norm or not self._columnar):  # a pyramid's norm fits its last stage only
            self.norm = self.fc_norm = nn.Identity()
        if cut or prune_head:
            self.num_features = self.feature_info[-1]["num_chs"]
            self.reset_classifier(0)
        return chosen

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass: less memory, the same result."""
        for stage in self._stages:
            stage.grad_checkpointing = enable

    def fold(self) -> Backbone:
        """A copy for inference in which linear wavelet steps are part of what follows them.

        Returns:
            A copy in eval mode without gradients; its state_dict has other names. `wavevit.fold`
            converts the tokenizer alone and gives a model that trains. Where nothing can be
            merged the copy computes the same steps.

        Guarantees:
            Outputs equal to rounding (tests/properties/test_merge_laws.py).
        """
        return merged(self)

    lipschitz_steps = lipschitz_steps  # what `wavevit.measure.certified_lipschitz` asks for

    def no_weight_decay(self) -> set[str]:
        """Parameters that weight decay should leave alone, beside biases and norms."""
        return undecayed(self)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """timm's patterns for layer-wise learning rates."""
        return layer_patterns(coarse)
