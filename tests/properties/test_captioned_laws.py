"""Captioned composites: held-out combinations, negatives of one word, pixels of each split."""

from __future__ import annotations

import re

import pytest
import torch

import wavevit.data.captioned as module
from wavevit.data import Captioned, create_source


def drawn(split: str, count: int = 300, seed: int = 0, **options: object) -> dict[str, object]:
    source = create_source("captioned", split, 32, 4, **options)
    return source.sample(count, torch.Generator().manual_seed(seed))


def test_held_out_combinations_are_never_trained_on_but_all_their_words_are() -> None:
    train, test = (Captioned(split) for split in ("train", "test"))
    assert not set(train.captions()) & set(test.captions())

    def combinations(captions: list[str]) -> set[tuple[str, ...]]:
        """Noun and place, or both nouns: whatever the sizes and the relation."""
        found = set()
        for caption in captions:
            words = [word for word in re.findall(r"\w+", caption) if word in module.NOUNS]
            place = [caption.rpartition(" ")[2]] if len(words) == 1 else []
            found.add((*words, *place))
        return found

    seen, held_out = combinations(train.captions()), combinations(test.captions())
    assert not seen & held_out
    assert len(seen | held_out) == 12 * 5 + 12 * 11 // 2
    words = [set(" ".join(source.captions()).split()) for source in (train, test)]
    assert words[1] <= words[0]
    for split, source in (("train", train), ("test", test)):
        texts = drawn(split)["texts"]
        assert set(texts) <= set(source.captions())
        assert len(set(texts)) > 100
    # Every noun is trained on at four places and with most of the other nouns.
    for noun in module.NOUNS:
        assert sum(noun in pair and pair[-1] in module.PLACES for pair in seen) == 4
        assert sum(noun in pair and pair[-1] in module.NOUNS for pair in seen) >= 7


def test_negatives_differ_in_one_word_and_are_wrong() -> None:
    known = set(Captioned("train").captions() + Captioned("test").captions())
    batch = drawn("train")
    for text, negatives in zip(batch["texts"], batch["negatives"], strict=True):
        assert len(set(negatives)) == 3
        for negative in negatives:
            pairs = zip(text.split(), negative.split(), strict=True)
            changed = [pair for pair in pairs if pair[0] != pair[1]]
            assert len(changed) == 1, (text, negative)
            assert negative in known  # a caption like any other: only the picture says no


@pytest.mark.parametrize("split", ["train", "fit"])
def test_shuffling_gives_the_caption_of_another_picture(split: str) -> None:
    right, wrong = drawn(split), drawn(split, shuffled=True)
    for key in ("images", "labels"):
        assert torch.equal(right[key], wrong[key])
    for key in ("texts", "negatives"):
        assert wrong[key] == right[key][1:] + right[key][:1]
    own = sum(a == b for a, b in zip(right["texts"], wrong["texts"], strict=True))
    assert own < len(right["texts"]) / 50  # equal captions by chance
    with pytest.raises(ValueError, match=r"count.*at least 2"):
        drawn(split, count=1, shuffled=True)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_shuffling_leaves_the_splits_that_judge(split: str) -> None:
    assert drawn(split)["texts"] == drawn(split, shuffled=True)["texts"]


def test_generator_alone_decides() -> None:
    torch.manual_seed(1)
    one = drawn("test", 8, seed=5)
    torch.manual_seed(2)
    two = drawn("test", 8, seed=5)
    assert torch.equal(one["images"], two["images"])
    assert one["texts"] == two["texts"]
    assert one["negatives"] == two["negatives"]
    assert drawn("test", 8, seed=6)["texts"] != one["texts"]


def test_pixels_of_the_test_split_are_from_the_right_halves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Left halves that are changed change the training pictures and no test picture."""
    before = {split: drawn(split, 30)["images"] for split in ("train", "test")}
    load = module.Scenes.photograph

    def blackened(self: module.Scenes, label: int) -> torch.Tensor:
        image = load(self, label).clone()
        image[:, : image.shape[1] // 2] = 0
        return image

    monkeypatch.setattr(module.Scenes, "photograph", blackened)
    after = {split: drawn(split, 30)["images"] for split in ("train", "test")}
    assert torch.equal(after["test"], before["test"])
    assert not torch.equal(after["train"], before["train"])


def test_objects_are_where_the_caption_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Black pieces on white: their centre of mass and their area."""
    monkeypatch.setattr(Captioned, "_piece", lambda self, noun, shape, share: torch.zeros(shape))
    source = create_source("captioned", "train", 64, 8, two=0.0)
    monkeypatch.setattr(
        module.Scenes,
        "draw",
        lambda self, count, generator: module_batch(count, self.window),
    )
    monkeypatch.setattr(module.Scenes, "normalized", lambda self, windows: windows)
    batch = source.crop(source.sample(60, torch.Generator().manual_seed(0)))
    for image, text in zip(1 - batch["images"][:, 0], batch["texts"], strict=True):
        mass = float(image.sum())
        diameter = 2 * (mass / torch.pi) ** 0.5 / 64
        assert (diameter < 0.3) == ("small" in text), (text, diameter)
        places = torch.arange(64) + 0.5
        row = float((image.sum(1) * places).sum() / mass) / 64
        column = float((image.sum(0) * places).sum() / mass) / 64
        expected = {
            "left": column < 0.35,
            "right": column > 0.65,
            "top": row < 0.35,
            "bottom": row > 0.65,
            "middle": abs(row - 0.5) + abs(column - 0.5) < 0.15,
        }
        assert [place for place, there in expected.items() if there] == [text.rpartition(" ")[2]]


def module_batch(count: int, side: int) -> object:
    from wavevit.data import SceneBatch

    white = torch.ones(count, 1, side, side)
    return SceneBatch(white, torch.zeros(count).long(), torch.zeros(count, 2))


@pytest.mark.parametrize("relation", module.RELATIONS)
def test_two_objects_are_related_as_the_caption_says(
    relation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first object is black, the second grey; neither covers the other."""
    calls: list[tuple[int, list[float], float]] = []

    def noted(self, window, noun, diameter, center, share):
        calls.append((noun, center, diameter))

    monkeypatch.setattr(Captioned, "_paste", noted)
    source = create_source("captioned", "train", 64, 0, two=1.0)
    texts = source.sample(80, torch.Generator().manual_seed(0))["texts"]
    axis = 0 if relation in ("above", "below") else 1
    sign = 1 if relation in ("left of", "above") else -1
    found = 0
    for text, first, second in zip(texts, calls[0::2], calls[1::2], strict=True):
        if relation not in text:
            continue
        found += 1
        distance = sign * (second[1][axis] - first[1][axis])
        assert distance >= (first[2] + second[2]) / 2 - 1e-9, text
        for _, center, diameter in (first, second):
            assert all(diameter / 2 <= c <= 1 - diameter / 2 for c in center), text
    assert found > 5


@pytest.mark.parametrize(
    ("split", "options", "message"),
    [
        (
            "train",
            {"combinations": "held_out"},
            "combinations: expected 'seen' in the split",
        ),
        ("test", {"combinations": "all"}, "combinations: expected one of 'seen', 'held_out'"),
        ("test", {"two": 1.5}, "two: expected a share"),
        ("tset", {}, "split: expected one of"),
        ("test", {"crop_size": 400}, "windows of at most"),
    ],
)
def test_bad_arguments_are_refused(split: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_source("captioned", split, **options)


def test_a_liking_for_words_without_the_picture_is_below_the_chance_of_guesses() -> None:
    """Three independent words must be the better ones, which is once in eight; a guess among the
    four captions is right once in four."""
    batch = drawn("test", 200)
    words = sorted({word for text in Captioned("test").captions() for word in text.split()})
    shares = []
    for seed in range(60):
        likes = torch.randn(len(words), generator=torch.Generator().manual_seed(seed)).tolist()
        liked = dict(zip(words, likes, strict=True))
        scores = [
            [sum(liked[word] for word in text.split()) for text in (right, *wrong)]
            for right, wrong in zip(batch["texts"], batch["negatives"], strict=True)
        ]
        shares.append(sum(own[0] > max(own[1:]) for own in scores) / len(scores))
    assert sum(shares) / len(shares) == pytest.approx(1 / 8, abs=0.02)
