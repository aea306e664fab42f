"""Captioning: image tokens as a prefix in front of a causal text decoder."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import (
    check_at_least,
    check_choice,
    check_generator,
    check_multiple,
    check_number,
)
from wavevit.layers.blocks import Block
from wavevit.models import Backbone
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, check_entries, entry
from wavevit.tasks.draws import draw_examples, seeded
from wavevit.tasks.gathering import rank_and_world, sum_over_ranks
from wavevit.tasks.registry import register_task
from wavevit.tasks.text import (
    BOS,
    EOS,
    PAD,
    VOCABULARY,
    WORDS,
    check_texts,
    decode_text,
    encode_text,
)
from wavevit.tasks.text_transformer import TextTransformer
from wavevit.wavelets import dwt2

__all__ = ["Captioning"]


@register_task("captioning")
class Captioning(Task):
    """A decoder that writes a caption byte by byte, behind the tokens of an image.

    A batch has ``"texts"``, a list of B strings. The decoder is trained on some examples without
    their image, with a learned vector in place of each image token, so that one model says what the
    image adds to a caption. The backbone's head is removed.

    Source:
        Prefix captioning as in LLaVA (Liu et al. 2023), with a decoder that is trained too.
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Captioning`.

        Attributes:
            tokens: ``"all"`` tokens of the last map, or ``"approx"``: the approximation band of
                one Haar level over the map of tokens, a quarter of them.
            dim, depth, num_heads: size of the decoder (`TextTransformer`).
            context: largest number of tokens of a text: its bytes and two more.
            without_image: share of the examples that are trained without their image.
        """

        tokens: str = "all"
        dim: int = 64
        depth: int = 2
        num_heads: int = 2
        context: int = 80
        without_image: float = 0.1

        def __post_init__(self) -> None:
            check_choice("tokens", self.tokens, ("all", "approx"))
            for name in ("dim", "depth", "num_heads"):
                check_at_least(name, getattr(self, name), 1)
            check_multiple("dim", self.dim, self.num_heads)
            check_at_least("context", self.context, 3)
            check_number("without_image", self.without_image, above=0, below=1)

    keys = ("texts",)
    source = "captioned"
    reduction = "ranks"
    score, title = "bits", "bits per character"
    higher_is_better = False

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        backbone.reset_classifier(0)
        self.project = nn.Linear(backbone.num_features, options.dim)
        self.no_image = nn.Parameter(torch.empty(1, 1, options.dim))
        self.decoder = TextTransformer(
            options.dim, options.depth, options.num_heads, options.context
        )
        self.head = nn.Linear(options.dim, VOCABULARY)
        for layer in (self.project, self.head):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.no_image, std=0.02)

    def image_tokens(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to the prefix of the decoder (B, P, D)."""
        (image,) = self.backbone.forward_intermediates(
            images, indices=1, norm=True, intermediates_only=True
        )
        if self.options.tokens == "approx":
            # The band is twice the mean of four tokens: halved, tokens keep their size.
            image = dwt2(image, "haar", mode="symmetric")[:, :, 0] / 2
        tokens = self.backbone.fc_norm(image.flatten(2).transpose(1, 2))
        projected: Tensor = self.project(tokens)
        return projected

    def logits(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        """Logits of each next token (B, L, 259) behind a prefix (B, P, D) and tokens (B, L)."""
        logits: Tensor = self.head(self.decoder(tokens, prefix))
        return logits

    def nats(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        """Negative log-likelihood of each text in nats (B,): its bytes and its end.

        Args:
            prefix: (B, P, D).
            tokens: (B, L), as `wavevit.tasks.text.encode_text` gives them.
        """
        logits = self.logits(prefix, tokens[:, :-1])
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        each = F.cross_entropy(
            logits.transpose(1, 2), tokens[:, 1:], ignore_index=PAD, reduction="none"
        )
        return each.sum(dim=1)

    def _encoded(self, batch: Batch) -> Tensor:
        device = self.no_image.device
        return encode_text(batch["texts"], self.options.context, device, "batch['texts']")

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """Cross-entropy of a token, over all tokens; reports bits per character."""
        check_generator("generator", generator)
        self.check(batch)
        tokens, prefix = self._encoded(batch), self.image_tokens(batch["images"])
        draws = draw_examples(
            lambda count: torch.rand(count, 1, 1, generator=generator), len(prefix), generator
        ).to(prefix.device)
        prefix = torch.where(draws < self.options.without_image, self.no_image, prefix)
        total = self.nats(prefix, tokens).sum()
        characters = sum(map(len, batch["texts"]))
        bits = total.detach() / math.log(2) / characters
        count = sum_over_ranks((tokens[:, 1:] != PAD).sum()) / rank_and_world()[1]
        return Losses({"cross_entropy": total / count}, {"bits_per_character": bits})

    def predict(self, batch: Batch) -> Results:
        """``captions``, a list of B strings: the most probable next token each time."""
        prefix = self.image_tokens(entry(batch, "images"))
        memory: list[tuple[Tensor, Tensor]] = []
        self.decoder.extend(prefix, memory)
        tokens = torch.full((len(prefix), 1), BOS, dtype=torch.long, device=prefix.device)
        ended = torch.zeros_like(tokens[:, 0], dtype=torch.bool)
        while (length := tokens.shape[1]) < self.options.context and not ended.all():
            last = self.decoder.embed(tokens[:, -1:], start=length - 1)
            logits = self.head(self.decoder.extend(last, memory))[:, 0]
            logits[:, [BOS, PAD]] = -math.inf  # no part of a text
            following = logits.argmax(dim=1).masked_fill(ended, EOS)
            ended = ended | (following == EOS)
            tokens = torch.cat([tokens, following[:, None]], dim=1)
        return {"captions": decode_text(tokens)}

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """Bits of each caption with its image, with another image, and without an image.

        ``total`` (B,): bits of a caption's bytes and of its end. ``total_shuffled``: with the image
        of another example of the batch; NaN for a batch of one. ``total_without``: without an
        image. ``characters`` (B,): of the caption.
        """
        check_generator("generator", generator)
        self.check(batch)
        tokens, prefix = self._encoded(batch), self.image_tokens(batch["images"])
        shuffled = self.nats(prefix.roll(1, dims=0), tokens)
        if len(prefix) == 1:
            shuffled = shuffled * math.nan
        lengths = [len(text) for text in batch["texts"]]
        return {
            "total": self.nats(prefix, tokens) / math.log(2),
            "total_shuffled": shuffled / math.log(2),
            "total_without": self.nats(self.no_image.expand_as(prefix), tokens) / math.log(2),
            "characters": torch.tensor(lengths, device=prefix.device),
        }

    def summarize(self, results: Results) -> dict[str, float]:
        """``bits``, ``bits_shuffled``, ``bits_without``: per character, over all captions."""
        totals = ("total", "total_shuffled", "total_without")
        check_entries("results", results, *totals, "characters")
        found = {}
        characters = results["characters"].double()
        for kind in ("", "_shuffled", "_without"):
            total = results[f"total{kind}"].detach().double()
            known = total.isfinite()
            count = float(characters[known].sum())
            found[f"bits{kind}"] = float(total[known].sum()) / count if count else math.nan
        return found

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """``same_caption`` (B,): 100 where both crops get the same caption, else 0."""
        check_entries("first", first, "captions")
        check_entries("second", second, "captions")
        pairs = zip(first["captions"], second["captions"], strict=True)
        return {"same_caption": torch.tensor([100.0 * (one == two) for one, two in pairs])}

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        generator = seeded(generator)
        images = self.dummy_images(count, generator)
        drawn = torch.randint(len(WORDS), (count,), generator=generator).tolist()
        return {"images": images, "texts": [WORDS[i][: self.options.context - 2] for i in drawn]}

    def check(self, batch: Batch) -> None:
        """See `Task.check`; texts are strings, not empty, within the context."""
        super().check(batch)
        check_texts("batch['texts']", batch["texts"], self.options.context)

    def no_weight_decay(self) -> set[str]:
        """Positions, embeddings and the vector without an image too."""
        own = {"no_image", "decoder.position", "decoder.token.weight"}
        return super().no_weight_decay() | own

    def fsdp_units(self) -> list[nn.Module]:
        """Blocks of the backbone and of the decoder."""
        return [module for module in self.modules() if isinstance(module, Block)]
