"""Contrastive image-text training (CLIP, SigLIP): two towers and one space."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wavevit.checks import (
    check_at_least,
    check_bool,
    check_choice,
    check_generator,
    check_image,
    check_multiple,
    fail,
)
from wavevit.layers.blocks import Block
from wavevit.models import Backbone
from wavevit.tasks.base import Batch, Losses, Results, Task, TaskOptions, check_entries, entry
from wavevit.tasks.draws import seeded
from wavevit.tasks.gathering import gathered, mean_over_ranks, rank_and_world
from wavevit.tasks.products import products
from wavevit.tasks.recall import recalls
from wavevit.tasks.registry import register_task
from wavevit.tasks.text import EOS, WORDS, check_texts, encode_text
from wavevit.tasks.text_transformer import TextTransformer

__all__ = ["Contrastive", "zero_shot"]

_MOST = math.log(100)  # CLIP keeps the factor of the similarities below 100


@register_task("contrastive")
class Contrastive(Task):
    """An image tower and a text tower: embeddings of pairs are near, all others are far apart.

    A batch has ``"texts"``, a list of B strings, and may have ``"negatives"``: for each example a
    list of wrong texts, which `evaluate` compares with the right one; and ``"pictures"``: for each
    example the name of its picture, where one has several captions (`recalls`).

    With a process group of several ranks the loss of each rank sees the examples of all ranks; call
    it on all of them, with as many examples on each.

    The backbone's head is removed.

    Raises:
        ValueError: a backbone without pooling.

    Source:
        Radford et al. 2021 (CLIP); Zhai et al. 2023 (SigLIP).
    """

    @dataclasses.dataclass(frozen=True)
    class Options(TaskOptions):
        """Options of `Contrastive`.

        Attributes:
            loss: ``"infonce"``, the cross-entropy of a text among all texts and of an image among
                all images, or ``"siglip"``, the binary cross-entropy of each pair, with a bias.
            embed_dim: channels of the embeddings.
            text_dim, text_depth, text_heads: size of the text tower (`TextTransformer`).
            context: largest number of tokens of a text: its bytes and two more.
            causal: the text tower is causal, as CLIP's.
        """

        loss: str = "infonce"
        embed_dim: int = 64
        text_dim: int = 64
        text_depth: int = 2
        text_heads: int = 2
        context: int = 80
        causal: bool = True

        def __post_init__(self) -> None:
            check_choice("loss", self.loss, ("infonce", "siglip"))
            for name in ("embed_dim", "text_dim", "text_depth", "text_heads"):
                check_at_least(name, getattr(self, name), 1)
            check_multiple("text_dim", self.text_dim, self.text_heads)
            check_at_least("context", self.context, 3)
            check_bool("causal", self.causal)

    keys = ("texts",)
    source = "captioned"
    reduction = "ranks"
    score, title = "image_to_text_r1", "image to text R@1, %"
    columns = (
        *("image_to_text_r1", "image_to_text_r5", "text_to_image_r1", "text_to_image_r5"),
        *("negatives_right", "same_caption at 1 px", "same_caption at 4 px"),
    )

    def __init__(self, backbone: Backbone, options: Options) -> None:
        super().__init__(backbone, options)
        if not backbone.global_pool:
            fail("backbone.global_pool", "a pooling, for one embedding for each image", "''")
        backbone.reset_classifier(0)
        self.text = TextTransformer(
            options.text_dim,
            options.text_depth,
            options.text_heads,
            options.context,
            options.causal,
        )
        width = backbone.head_hidden_size
        self.image_projection = nn.Linear(width, options.embed_dim, bias=False)
        self.text_projection = nn.Linear(options.text_dim, options.embed_dim, bias=False)
        for layer in (self.image_projection, self.text_projection):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        siglip = options.loss == "siglip"
        # Of shape (1,): `fully_shard` refuses parameters without dimensions.
        self.log_scale = nn.Parameter(torch.tensor([math.log(10 if siglip else 1 / 0.07)]))
        self.bias = nn.Parameter(torch.tensor([-10.0])) if siglip else None

    def embed_images(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to embeddings (B, E) of length 1."""
        return _unit(self.image_projection(self.backbone(images)))

    def embed_texts(self, texts: Sequence[str], argument: str = "texts") -> Tensor:
        """Texts to embeddings (B, E) of length 1.

        Args:
            texts: strings.
            argument: their name in messages.

        Raises:
            ValueError: an empty text, or more tokens than the context.
        """
        tokens = encode_text(texts, self.options.context, self.log_scale.device, argument)
        hidden = self.text(tokens)
        ends = (tokens == EOS).int().argmax(dim=1)
        return _unit(self.text_projection(hidden[torch.arange(len(tokens)), ends]))

    def scale(self) -> Tensor:
        """The learned factor of the similarities, at most 100, (1,)."""
        capped: Tensor = _Capped.apply(self.log_scale, _MOST)
        return capped.exp()

    def similarities(self, images: Tensor, texts: Tensor) -> Tensor:
        """Logits (N, M) of embeddings (N, E) and (M, E)."""
        logits = products(self.scale() * images, texts)
        return logits if self.bias is None else logits + self.bias

    def loss(self, batch: Batch, generator: torch.Generator | None = None) -> Losses:
        """The loss over the examples of all ranks; reports the factor and the accuracy."""
        check_generator("generator", generator)
        self.check(batch)
        own_images = self.embed_images(batch["images"])
        own_texts = self.embed_texts(batch["texts"], "batch['texts']")
        # Both in one message.
        images, texts = gathered(torch.stack([own_images, own_texts], dim=1)).unbind(dim=1)
        targets = torch.arange(len(own_images), device=images.device)
        targets = targets + rank_and_world()[0] * len(own_images)
        logits = self.similarities(own_images, texts)
        right = (logits.detach().argmax(1) == targets).float().mean()
        if self.bias is None:
            back = self.similarities(images, own_texts).T
            loss = (F.cross_entropy(logits, targets) + F.cross_entropy(back, targets)) / 2
        else:
            signs = 2 * F.one_hot(targets, len(texts)).to(logits.dtype) - 1
            loss = -F.logsigmoid(signs * logits).sum() / len(logits)
        report = {"accuracy": right, "scale": self.scale().detach()[0]}
        return Losses({self.options.loss: mean_over_ranks(loss)}, report)

    def predict(self, batch: Batch) -> Results:
        """``image_embeddings`` and ``text_embeddings`` (B, E), and ``texts``."""
        return {
            "image_embeddings": self.embed_images(entry(batch, "images")),
            "text_embeddings": self.embed_texts(entry(batch, "texts"), "batch['texts']"),
            "texts": list(batch["texts"]),
        }

    def evaluate(self, batch: Batch, generator: torch.Generator | None = None) -> Results:
        """What `predict` gives, and for a batch with negatives whether the right text is nearest.

        ``negatives_right`` (B,) is 100 where the right text is closer to the image than all its
        negatives, ``negatives_chance`` what guessing gives.
        """
        check_generator("generator", generator)
        self.check(batch)
        found = self.predict(batch)
        if "pictures" in batch:
            found["pictures"] = list(batch["pictures"])
        if "negatives" not in batch:
            return found
        negatives = batch["negatives"]
        flat = [text for texts in negatives for text in texts]
        owners = torch.tensor([i for i, texts in enumerate(negatives) for _ in texts])
        images = found["image_embeddings"]
        owners = owners.to(images.device)
        wrong = (images[owners] * self.embed_texts(flat, "batch['negatives']")).sum(1)
        best = torch.full_like(images[:, 0], -math.inf)
        best = best.scatter_reduce(0, owners, wrong, "amax")
        right = (images * found["text_embeddings"]).sum(1) > best
        found["negatives_right"] = 100.0 * right.float()
        shares = [100.0 / (1 + len(texts)) for texts in negatives]
        found["negatives_chance"] = torch.tensor(shares, device=images.device)
        return found

    def summarize(self, results: Results) -> dict[str, float]:
        """R@1 and R@5 both ways, with chance and the sizes of the galleries (`recalls`), in %."""
        check_entries("results", results, "image_embeddings", "text_embeddings", "texts")
        summary = super().summarize(results)
        images, texts = results["image_embeddings"], results["text_embeddings"]
        pictures = results.get("pictures")
        return summary | recalls(images, texts, results["texts"], pictures=pictures)

    def compare(self, first: Results, second: Results, shift: tuple[int, int]) -> dict[str, Tensor]:
        """How the choice of a text changes when the crop moves.

        ``same_caption`` (B,): 100 where both crops are closest to one of the batch's texts, the
        same for both, else 0. ``cosine`` (B,): of the embeddings of both crops.
        """
        check_entries("first", first, "image_embeddings", "text_embeddings", "texts")
        check_entries("second", second, "image_embeddings")
        one, two = first["image_embeddings"], second["image_embeddings"]
        texts = first["texts"]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        of = torch.tensor([numbers[text] for text in texts], device=one.device)
        best = [of[(x @ first["text_embeddings"].T).argmax(1)] for x in (one, two)]
        return {
            "same_caption": 100.0 * (best[0] == best[1]).float(),
            "cosine": (one * two).sum(1),
        }

    def dummy_batch(self, count: int, generator: torch.Generator | None = None) -> dict[str, Any]:
        generator = seeded(generator)
        images = self.dummy_images(count, generator)
        # Short, so that they fit any context that holds a word or two.
        first = torch.randperm(len(WORDS), generator=generator).tolist()
        words = [WORDS[first[index % len(first)]] for index in range(count)]
        texts = [word[: self.options.context - 2] for word in words]
        others = [[other for other in texts if other != text][:3] or ["?"] for text in texts]
        return {"images": images, "texts": texts, "negatives": others}

    def check(self, batch: Batch) -> None:
        """See `Task.check`; texts are strings, not empty, within the context."""
        super().check(batch)
        check_texts("batch['texts']", batch["texts"], self.options.context)
        negatives = batch.get("negatives")
        if negatives is None:
            return
        count, expected = len(batch["images"]), f"{len(batch['images'])} lists of texts"
        if not isinstance(negatives, tuple | list):
            fail("batch['negatives']", expected, type(negatives).__name__)
        if len(negatives) != count:
            fail("batch['negatives']", expected, f"{type(negatives).__name__} of {len(negatives)}")
        for index, texts in enumerate(negatives):
            check_texts(f"batch['negatives'][{index}]", texts, self.options.context)
            if not texts:
                fail(f"batch['negatives'][{index}]", "at least one text", "none")

    def no_weight_decay(self) -> set[str]:
        """Positions, factor and bias too."""
        own = {"log_scale", "text.position", "text.token.weight"}
        own |= set() if self.bias is None else {"bias"}
        return super().no_weight_decay() | own

    def fsdp_units(self) -> list[nn.Module]:
        """Blocks of both towers."""
        return [module for module in self.modules() if isinstance(module, Block)]


class _Capped(torch.autograd.Function):
    """Upper limit of a parameter beyond which it gets only gradients that bring it back.

    CLIP sets the parameter itself to its limit after each step. Here the loss has no step, and a
    parameter that changes during the forward pass breaks accumulated gradients and sharding.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float) -> Tensor:
        ctx.save_for_backward(x > limit)
        return x.clamp(max=limit)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (over,) = ctx.saved_tensors
        return gradient.masked_fill(over & (gradient < 0), 0.0), None


def _unit(x: Tensor) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return F.normalize(wide, dim=-1)


def zero_shot(task: Contrastive, images: Tensor, prompts: Sequence[str | Sequence[str]]) -> Tensor:
    """Classifies images by texts, without training on their classes.

    Args:
        task: a contrastive model.
        images: (B, C, H, W).
        prompts: for each class a text, or several whose embeddings are averaged.

    Returns:
        Logits (B, classes); their largest entry is the class. With the loss ``"infonce"`` their
        softmax, with ``"siglip"`` their sigmoid are what the model was trained to predict.

    Raises:
        ValueError: no prompts, or texts that the model cannot read.

    Example:
        >>> from wavevit.tasks import create_task
        >>> task = create_task("contrastive", "test_vit", img_size=32)
        >>> zero_shot(task, torch.randn(2, 3, 32, 32), ["a cat", ["a coin", "coins"]]).shape
        torch.Size([2, 2])

    Source:
        Radford et al. 2021, section 3.1.4.
    """
    if not isinstance(task, Contrastive):
        fail("task", "a contrastive task (create_task('contrastive', …))", type(task).__name__)
    check_image(images, "images", channels=task.backbone.in_chans)
    if not isinstance(prompts, tuple | list) or not prompts:
        fail("prompts", "a list with one text or one list of texts for each class", repr(prompts))
    groups = [[prompt] if isinstance(prompt, str) else list(prompt) for prompt in prompts]
    for index, group in enumerate(groups):
        if not group:
            fail(f"prompts[{index}]", "at least one text", "none")
    embeddings = task.embed_texts([text for group in groups for text in group], "prompts")
    means = [part.mean(0) for part in embeddings.split([len(group) for group in groups])]
    return task.similarities(task.embed_images(images), _unit(torch.stack(means)))
