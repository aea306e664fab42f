"""`Backbone`: the model that a BackboneConfig describes, with timm's methods."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx import Proxy

from wavevit.alignment import blur_strides, place_map
from wavevit.checks import check_at_least, check_choice, check_image, fail
from wavevit.layers.norms import make_norm
from wavevit.layers.old_bounds import OldSteps
from wavevit.layers.padding import pad_to_multiple
from wavevit.layers.pooling import pool_tokens
from wavevit.layers.symmetry import Symmetry
from wavevit.models.checkpoints import load_or_explain, save_with_source
from wavevit.models.config import BackboneConfig
from wavevit.models.data_config import pretrained_cfg
from wavevit.models.encode import encode, maps
from wavevit.models.forward_steps import forward_steps
from wavevit.models.grouping import layer_patterns, undecayed
from wavevit.models.init import init_weights
from wavevit.models.input_size import set_input_size
from wavevit.models.intermediates import (
    forward_intermediates,
    get_intermediate_layers,
    prune_intermediate_layers,
    taken_indices,
)
from wavevit.models.masking import attention_mask, refuse_mask
from wavevit.models.merge import merged
from wavevit.models.parts import make_backbone_alignment, make_position, make_tokenizer
from wavevit.models.placement import placed
from wavevit.models.stage import ColumnStage, PyramidStage, Stage, as_map, as_tokens
from wavevit.models.weighted import WeightedStage, weighs_tokens, weighted_entries
from wavevit.wavelets import wavedec2

__all__ = ["Backbone"]


def _checked(x: Tensor, channels: int, smallest: int) -> Tensor:
    """Images that the model can read, as they are."""
    check_image(x, channels=channels)
    if x.shape[-2] < smallest or x.shape[-1] < smallest:
        fail("x", f"sides of at least {smallest} pixels", f"shape {tuple(x.shape)}")
    return x


def _image_details(x: Tensor, patch: int, wavelet: str, levels: list[int]) -> dict[int, Tensor]:
    """An image's details of these levels, 1 for the finest, by level."""
    if not levels:
        return {}
    deepest = max(levels)
    details = wavedec2(pad_to_multiple(x, patch), wavelet, level=deepest).details
    return {level: details[deepest - level] for level in levels}


def _unmasked(x: Tensor, attn_mask: Tensor | None, is_causal: bool) -> Tensor:
    """Images of a graph that was traced without masks."""
    if attn_mask is not None or is_causal:
        fail("attn_mask and is_causal", "None and False in a graph of torch.fx", "a mask")
    return x


# Functions that read sizes: one node each where `torch.fx` traces a backbone.
for _name in ("_checked", "_image_details", "_unmasked", "pad_to_multiple", "pool_tokens"):
    torch.fx.wrap(_name)


class Backbone(nn.Module, OldSteps):
    """Vision backbone: tokenizer, positions, stages, norm, pooling and head.

    Args:
        config: see `BackboneConfig`.
        device, dtype: device and dtype of its weights.

    Images are (B, in_chans, H, W) of any size from `config.min_size` pixels a side. If the
    patch does not divide a side, the bottom and right edge are repeated up to the next multiple;
    nothing is cropped. With an alignment, maps and tokens are in the coordinates of the image
    (`wavevit.alignment.place_map`).

    Attributes:
        weighs_tokens: tokens of several sizes go through the blocks, with weights
            (`wavevit.models.weighted.weighs_tokens`).
        symmetry: circular shifts in pixels that pooled features keep without the alignment;
            combined from the declarations of the layers.
        feature_info: for each intermediate of `forward_intermediates` a dict with
            ``num_chs``, ``reduction`` (stride in pixels) and ``module``. A columnar model (one
            stage) has one for each block, a hierarchical model has one for each stage.

    Raises:
        ValueError: layers that cannot be built from the configuration, or an alignment that does
            not fit the model.

    Guarantees:
        The declared symmetry, aligned invariance and equivariance, and equal weights from equal
        seeds (tests/properties/test_phase_lock_laws.py, test_alignment_laws.py,
        tests/contract/test_backbone.py).
    """

    @placed
    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.pretrained_cfg = self.default_cfg = pretrained_cfg(config)
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
        self.weighs_tokens = weighs_tokens(config)
        kind: type[Stage] = ColumnStage if self._columnar else PyramidStage
        kind = WeightedStage if self.weighs_tokens else kind
        self.stages = nn.ModuleList(
            kind(config, index, rates[start : start + stage.depth])
            for index, (start, stage) in enumerate(zip(starts, config.stages, strict=False))
        )
        norm = make_norm(config.norm, self.num_features, config.norm_eps)
        elsewhere = config.fc_norm or config.ends_normed(len(config.stages) - 1)
        self.norm = nn.Identity() if elsewhere else norm
        self.fc_norm = norm if config.fc_norm else nn.Identity()
        self.head_drop = nn.Dropout(config.drop_rate)
        self.head: nn.Module
        self.global_pool: str
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
            module = "painted" if self.weighs_tokens else "blocks"
            return [
                {"num_chs": dim, "reduction": strides[0], "module": f"stages.0.{module}.{i}"}
                for i in names
            ]
        return [
            {"num_chs": stage.embed_dim, "reduction": stride, "module": f"stages.{i}"}
            for i, (stage, stride) in enumerate(zip(self.config.stages, strides, strict=True))
        ]

    def tokenize(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """First tokens (B, h·w, D) of images (B, C, H, W), before positions; and their grid."""
        if not self.tokenizer.any_size:
            x = pad_to_multiple(x, self.config.patch_size)
        tokens = self.token_norm(self.tokenizer(x))
        # Channels innermost in memory from here on: what a convolution left in planes would be
        # copied again by every norm, because sums keep the layout of their first term.
        return tokens.flatten(1, 2).contiguous(), (tokens.shape[1], tokens.shape[2])

    def placed_tokens(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """What `tokenize` gives with the class token, where there is one, and positions."""
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        tokens = self.position(tokens, grid)
        return tokens

    def entries(
        self,
        x: Tensor,
        wanted: Iterable[int],
        mask: Tensor | None = None,
        causal: bool = False,
        cond: Tensor | None = None,
    ) -> dict[int, tuple[Tensor, tuple[int, int]]]:
        """Tokens of one view, and their grid, after some entries of `feature_info`.

        Args:
            x: images (B, C, H, W), already moved by the alignment.
            wanted: entries of `feature_info`; layers after the last of them do not run.
            mask: see `forward_features`.
            causal: see there.
            cond: see `maps`.

        Returns:
            By entry, ascending: tokens (B, T + h·w, D) and (h, w).
        """
        if self.weighs_tokens:
            return weighted_entries(self, x, wanted, cond)
        wanted = sorted(set(wanted))
        tokens, grid = self.tokenize(x)
        tokens = self.placed_tokens(tokens, grid)
        details = self._details(x)
        if self._columnar:
            if mask is not None or causal:
                mask = attention_mask(mask, causal, tokens)
            # The last tokens alone are the stage's output; others are asked for by number.
            taps = None if wanted == [len(self.feature_info) - 1] else wanted
            found = self.stages[0](tokens, grid, details[0], mask, taps, cond)
            outputs = found if taps else [found]
            return {i: (item, grid) for i, item in zip(wanted, outputs, strict=True)}
        kept, image = {}, as_map(tokens, grid)
        for index, stage in enumerate(self.stages):
            image = stage(image, details[index], cond)
            if index in wanted:
                kept[index] = as_tokens(image), (image.shape[-2], image.shape[-1])
            if index == wanted[-1]:
                break
        return kept

    def _details(self, x: Tensor) -> list[Tensor | None]:
        """The image's details at each stage's stride, where a stage asks for them."""
        levels = [
            stride.bit_length() - 1 if stage.inject is not None else 0
            for stage, stride in zip(self._stages, self.config.strides, strict=False)
        ]
        wanted = [level for level in levels if level]
        if not wanted:
            return [None] * len(levels)
        found = _image_details(x, self.config.patch_size, self.config.wavelet, wanted)
        return [found[level] if level else None for level in levels]

    def aligned(self, function: Callable[[Tensor], Any], x: Tensor, placed: bool) -> Any:
        """Applies `function` to the views of images; with `placed`, its maps follow the image."""
        x = _checked(x, self.config.in_chans, self.config.min_size)
        if self.alignment is None:
            return function(x)
        if isinstance(x, Proxy):
            fail("x", "images (an alignment needs pixel values: use torch.export)", "a Proxy")
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

    def _normed(self, tokens: Tensor, index: int) -> Tensor:
        """Tokens behind an entry of `feature_info`, normalised where the final norm fits it."""
        fits = self._columnar or index == len(self.feature_info) - 1
        return self.norm(tokens) if fits else tokens

    def split_tokens(
        self,
        tokens: Tensor,
        grid: tuple[int, int],
        norm: bool,
        index: int,
        output_fmt: str = "NCHW",
    ) -> tuple[Tensor, Tensor]:
        """Tokens behind an entry of `feature_info`: those without a place, and the others.

        Args:
            tokens: (B, T + h·w, D).
            grid: (h, w).
            norm: apply the final norm, if it fits that entry.
            index: the entry.
            output_fmt: ``"NCHW"`` for a map of the others, ``"NLC"`` for a sequence.

        Returns:
            (B, T, D) and (B, D, h, w) or (B, h·w, D).
        """
        if norm:
            tokens = self._normed(tokens, index)
        prefix, places = tokens[:, : self.num_prefix_tokens], tokens[:, self.num_prefix_tokens :]
        return prefix, as_map(places, grid) if output_fmt == "NCHW" else places

    def final_features(
        self, tokens: Tensor, grid: tuple[int, int], index: int, placed: bool
    ) -> list[Tensor]:
        """Tokens behind the last entry of one view in the form that `joined` takes.

        Tokens of a columnar model stay tokens, unless an alignment has to move them as a map.

        Args:
            tokens: (B, T + h·w, D).
            grid: (h, w).
            index: the entry.
            placed: whether an alignment moves maps back.

        Returns:
            Features, or with such an alignment, the tokens without a place and a map.
        """
        if placed and self.alignment is not None:
            return list(self.split_tokens(tokens, grid, True, index))
        tokens = self._normed(tokens, index)
        return [tokens if self._columnar else as_map(tokens, grid)]

    def joined(self, *features: Tensor) -> Tensor:
        """What `forward_features` returns: tokens of a columnar model, the map of another.

        Args:
            features: what `final_features` gave.
        """
        if self._columnar and len(features) == 2:
            return torch.cat([features[0], as_tokens(features[1])], dim=1)
        return features[-1]

    def _last(self, x: Tensor, placed: bool, mask: Tensor | None, causal: bool) -> Any:
        if isinstance(x, Proxy) and isinstance(causal, Proxy):  # placeholders of a traced graph
            x, mask, causal = _unmasked(x, mask, causal), None, False
        if mask is not None or causal:
            refuse_mask(self.config)
        last = len(self.feature_info) - 1

        def run(view: Tensor) -> Any:
            ((tokens, grid),) = self.entries(view, [last], mask, causal).values()
            features = self.final_features(tokens, grid, last, placed)
            return features if placed else self.forward_head(self.joined(*features))

        found = self.aligned(run, x, placed)
        return self.joined(*found) if placed else found

    def forward_features(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """Features before pooling, normalised unless the norm is after the pooling (``fc_norm``).

        Args:
            x: images (B, C, H, W).
            attn_mask: mask for a columnar model with global attention: (N, N) or (B, heads, N, N)
                over its N tokens, with the class token; axes of size 1 are broadcast. Booleans
                (True: the row's token attends to the column's token), or numbers added to the
                scores.
            is_causal: no token attends to later tokens; the class token is first, then row by row.

        Returns:
            Tokens (B, T + h·w, D), class token first, for a columnar model; a map
            (B, D, h, w) for a hierarchical one.

        Raises:
            ValueError: images of a wrong shape or size, or a mask that the model cannot use.
        """
        features: Tensor = self._last(x, True, attn_mask, is_causal)
        return features

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pools features and classifies them: (B, num_classes).

        Args:
            x: features as `forward_features` returns them.
            pre_logits: stop at the pooled features (B, `head_hidden_size`).
        """
        x = pool_tokens(x, self.global_pool, self.num_prefix_tokens, self.config.norm_eps)
        x = self.head_drop(self.fc_norm(x))
        return x if pre_logits else self.head(x)

    def forward(
        self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """Images (B, C, H, W) to logits (B, num_classes), or pooled features without a head.

        Args:
            x: images.
            attn_mask: see `forward_features`.
            is_causal: see there.
        """
        # What is pooled has no place: nothing is moved back.
        logits: Tensor = self._last(x, False, attn_mask, is_causal)
        return logits

    forward_intermediates = forward_intermediates
    get_intermediate_layers = get_intermediate_layers
    prune_intermediate_layers = prune_intermediate_layers
    encode = encode
    maps = maps

    def feature_indices(self, indices: int | Sequence[int] | None) -> list[int]:
        """Resolves indices of `forward_intermediates` and ``out_indices``, in the given order.

        Raises:
            ValueError: an index outside `feature_info`, or no index.
        """
        return taken_indices(len(self.feature_info), indices)

    def get_classifier(self) -> nn.Module:
        """Returns the head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the head by a new one.

        Args:
            num_classes: number of outputs; 0 for no head.
            global_pool: ``"avg"``, ``"power"``, ``"token"`` (if there is a class token), ``""``
                for features without pooling (if there is no head); None does not change it.

        Raises:
            ValueError: a pooling that this model or this head cannot have.
        """
        check_at_least("num_classes", num_classes, 0)
        if global_pool is not None:
            token = () if self.cls_token is None else ("token",)
            known = ("avg", "power", *token, "")
            check_choice("global_pool", global_pool, known)
        pool = self.global_pool if global_pool is None else global_pool
        if num_classes and not pool:
            fail("num_classes", "0 with global_pool='' (no pooling)", num_classes)
        # All checks come first: a call that is refused changes nothing.
        self.global_pool = pool
        self.head_hidden_size = self.num_features * (2 if pool == "power" else 1)
        self.num_classes = num_classes
        if num_classes == 0:
            self.head = nn.Identity()
        else:
            reference = next(self.stages.parameters())
            self.head = nn.Linear(self.head_hidden_size, num_classes).to(reference)
            init_weights(self.head)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each block in the backward pass: less memory, the same result."""
        for stage in self._stages:
            stage.grad_checkpointing = enable

    def fold(self) -> Backbone:
        """Copies the model for inference and merges linear wavelet steps into the next layer.

        Returns:
            A copy in eval mode without gradients; its state_dict has other names. If nothing can
            be merged the copy computes the same steps. (`wavevit.fold` converts the tokenizer
            only and returns a model that can be trained.)

        Guarantees:
            Outputs equal to rounding (tests/properties/test_merge_laws.py).
        """
        return merged(self)

    set_input_size = set_input_size
    _load_from_state_dict = load_or_explain
    _save_to_state_dict = save_with_source
    forward_steps = forward_steps

    def no_weight_decay(self) -> set[str]:
        """Names of parameters without weight decay, in addition to biases and norms."""
        return undecayed(self)

    def group_matcher(self, coarse: bool = False, prefix: str = "") -> dict[str, Any]:
        """timm's patterns for layer-wise learning rates; every name starts with `prefix`."""
        return layer_patterns(coarse, prefix)
