"""Captioning: what depends on what, by Jacobian; costs and captions that agree."""

from __future__ import annotations

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from wavevit.tasks import Task, create_task, joined
from wavevit.tasks.captioning import Captioning
from wavevit.tasks.text import encode_text
from wavevit.tasks.text_transformer import TextTransformer

LENGTH, PREFIX, DIM = 6, 3, 8


def decoder(causal: bool = True) -> TextTransformer:
    torch.manual_seed(0)
    return TextTransformer(DIM, depth=2, num_heads=2, context=16, causal=causal).double()


def dependence(model: TextTransformer) -> torch.Tensor:
    """(P + L, P + L): largest derivative of each output token by each input token."""

    def outputs(x: torch.Tensor) -> torch.Tensor:
        before, after = model.run(x[None, PREFIX:], x[None, :PREFIX])
        return torch.cat([before, after], dim=1)[0]

    x = torch.randn(PREFIX + LENGTH, DIM, dtype=torch.float64)
    return jacobian(outputs, x).abs().amax(dim=(1, 3))


def test_image_tokens_do_not_depend_on_text_nor_text_on_later_text() -> None:
    found = dependence(decoder())
    assert float(found[:PREFIX, PREFIX:].max()) == 0  # image by text
    text = found[PREFIX:, PREFIX:]
    assert float(text.triu(1).max()) == 0  # text by later text
    # All else depends: the law does not hold because nothing is connected.
    assert float(found[:, :PREFIX].min()) > 1e-6
    assert float(text[torch.ones_like(text).tril().bool()].min()) > 1e-6


def test_negative_control_without_a_causal_mask_everything_depends() -> None:
    found = dependence(decoder(causal=False))
    assert float(found.min()) > 1e-6


@torch.no_grad()
@pytest.mark.parametrize("prefix", [0, 1, PREFIX])
def test_tokens_one_by_one_give_what_all_at_once_give(prefix: int) -> None:
    model = decoder()
    image = torch.randn(2, prefix, DIM, dtype=torch.float64)
    tokens = torch.randint(200, (2, LENGTH))
    before, expected = model.run(model.embed(tokens), image)
    memory: list[tuple[torch.Tensor, torch.Tensor]] = []
    assert torch.allclose(model.extend(image, memory), before, rtol=0, atol=1e-12)
    found = [model.extend(model.embed(tokens[:, i : i + 1], i), memory) for i in range(LENGTH)]
    assert torch.allclose(torch.cat(found, dim=1), expected, rtol=0, atol=1e-12)
    # The law does not hold for a token at a wrong place.
    wrong = model.extend(model.embed(tokens[:, :1], LENGTH), memory)
    assert not torch.allclose(wrong, model.extend(model.embed(tokens[:, :1], 0), memory))


def captioner(backbone: str = "test_haar_vit", **options: object) -> Captioning:
    torch.manual_seed(0)
    task = create_task("captioning", backbone, options, img_size=32, in_chans=1)
    assert isinstance(task, Captioning)
    return task.double().eval()


def images(task: Task, count: int = 3) -> torch.Tensor:
    return task.dummy_images(count, torch.Generator().manual_seed(3)).double()


@pytest.mark.parametrize(
    ("backbone", "tokens", "count"),
    [
        *[("test_dtcwt_pyramid", "all", 4), ("test_dtcwt_pyramid", "approx", 1)],
        *[("test_haar_vit", "all", 4), ("test_vit", "approx", 1)],
    ],
)
def test_logits_of_a_text_by_pixels_and_by_later_tokens(
    backbone: str, tokens: str, count: int
) -> None:
    task = captioner(backbone, tokens=tokens)
    prefix = task.image_tokens(images(task))
    assert prefix.shape == (3, count, task.options.dim)
    one, two = encode_text(["a cat", "a cow"], 16)
    logits = task.logits(prefix[:1].expand(2, -1, -1), torch.stack([one, two]))
    # The first four tokens (start, "a c") are the same: so is what is predicted from them.
    assert torch.equal(logits[0, :4], logits[1, :4])
    assert not torch.equal(logits[0, 4], logits[1, 4])
    other = task.logits(prefix[1:2], one[None])
    assert (
        float((other - logits[:1]).detach().abs().amax(dim=2).min()) > 1e-9
    )  # pixels reach every token


def test_approximation_band_is_the_mean_of_four_tokens() -> None:
    """With odd maps too, whose last row counts twice."""
    task = captioner("test_haar_vit")
    band = captioner("test_haar_vit", tokens="approx")
    pixels = torch.randn(1, 1, 48, 64, dtype=torch.float64)
    rows, columns = 3, 4
    weights = task.project.weight, task.project.bias
    plain = task.image_tokens(pixels)
    assert torch.equal(weights[0], band.project.weight)
    found = band.image_tokens(pixels).unflatten(1, (2, 2))
    grid = plain.unflatten(1, (rows, columns))
    grid = torch.cat([grid, grid[:, -1:]], dim=1)
    means = grid.unflatten(1, (2, 2)).unflatten(3, (2, 2)).mean(dim=(2, 4))
    assert torch.allclose(found, means, rtol=0, atol=1e-12)


@torch.no_grad()
def test_cost_of_a_text_is_that_of_its_tokens_one_by_one() -> None:
    task = captioner()
    prefix = task.image_tokens(images(task))
    tokens = encode_text(["ab", "über", "c"], 16)
    cost = task.nats(prefix, tokens)
    for row, length in enumerate([4, 7, 3]):
        expected = 0.0
        for end in range(1, length):
            logits = task.logits(prefix[row : row + 1], tokens[row : row + 1, :end])
            expected -= float(logits[0, -1].log_softmax(0)[tokens[row, end]])
        assert float(cost[row]) == pytest.approx(expected, rel=1e-12)


@torch.no_grad()
def test_bits_per_character_are_of_all_captions_together() -> None:
    """A batch of one has no other image, and is left out of that figure only."""
    task = captioner()
    x = images(task)
    batches = [
        {"images": x[:2], "texts": ["a cat", "über"]},
        {"images": x[2:], "texts": ["coins"]},
    ]
    results = joined(task.evaluate(batch) for batch in batches)
    found = task.summarize(results)
    total = float(results["total"].sum())
    assert found["bits"] == pytest.approx(total / 14)  # characters, not bytes
    assert math.isnan(float(results["total_shuffled"][2]))
    assert found["bits_shuffled"] == pytest.approx(float(results["total_shuffled"][:2].sum()) / 9)


def test_image_that_is_not_there_changes_nothing() -> None:
    """Without an image a caption costs the same behind every image; with one it does not."""
    task = captioner()
    x = images(task)
    one, two = (task.evaluate({"images": x[i : i + 1], "texts": ["a cat"]}) for i in (0, 1))
    assert torch.equal(one["total_without"], two["total_without"])
    assert not torch.equal(one["total"], two["total"])


def test_learned_captions_are_written() -> None:
    """After training on two pictures: greedy captions are theirs; without, one bit decides."""
    options = {"dim": 32, "depth": 1, "without_image": 0.3}
    task = captioner("test_vit", **options).float().train()
    batch = {"images": images(task, 2).float(), "texts": ["a cat", "two coins"]}
    optimizer = torch.optim.AdamW(task.parameters(), lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        optimizer.zero_grad()
        task.loss(batch, generator).total.backward()
        optimizer.step()
    task.eval()
    with torch.no_grad():
        assert task.predict(batch)["captions"] == batch["texts"]
        results = task.evaluate(batch)
    assert float(results["total"].max()) < 0.5
    assert float(results["total_without"].mean()) == pytest.approx(1.0, abs=0.4)
    assert float(results["total_shuffled"].min()) > 2
