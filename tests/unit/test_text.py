"""Text as bytes, and what the text tasks refuse."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavevit.tasks import create_task
from wavevit.tasks.text import BOS, EOS, PAD, decode_text, encode_text
from wavevit.tasks.text_transformer import TextTransformer

WRITABLE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.lists(WRITABLE.filter(str.strip), min_size=1, max_size=4))
def test_decoded_text_is_the_encoded_one(texts: list[str]) -> None:
    tokens = encode_text(texts, context=100)
    assert decode_text(tokens) == texts
    assert (tokens[:, 0] == BOS).all()
    assert ((tokens == EOS).sum(dim=1) == 1).all()
    for row, text in zip(tokens, texts, strict=True):
        assert int((row != PAD).sum()) == len(text.encode()) + 2


def test_bytes_that_are_no_text_are_decoded_all_the_same() -> None:
    assert decode_text([[BOS, 0xC3, 97, EOS, 98]]) == ["\ufffda"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("cat", r"texts: expected a list of strings, got str"),
        (["cat", 3], r"texts\[1\]: expected a string, got int"),
        (["cat", " "], r"texts\[1\]: expected a text that is not empty"),
        (["cat", "12345678901"], r"texts\[1\]: expected at most 12 tokens .*got 13"),
        (["\ud800"], r"texts\[0\]: expected a text that UTF-8 can encode"),
    ],
)
@pytest.mark.parametrize("name", ["contrastive", "captioning"])
def test_bad_texts_are_refused_before_any_step(name: str, texts: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_text(texts, context=12)
    task = create_task(name, "test_vit", {"context": 12}, img_size=32)
    images = task.dummy_images(2)[: len(texts) if isinstance(texts, list) else 3]
    images = images if len(images) == len(texts) else task.dummy_images(3)
    message = message.replace("texts", r"batch\['texts'\]", 1)
    with pytest.raises(ValueError, match=message):
        task.loss({"images": images, "texts": texts})


def test_other_numbers_of_texts_are_refused() -> None:
    task = create_task("contrastive", "test_vit", img_size=32)
    images = task.dummy_images(2)
    with pytest.raises(ValueError, match=r"batch\['texts'\]: expected 2 entries"):
        task.loss({"images": images, "texts": ["a"]})
    batch = {"images": images, "texts": ["a", "b"]}
    with pytest.raises(ValueError, match=r"batch\['negatives'\]: expected 2 lists"):
        task.evaluate({**batch, "negatives": [["c"]]})
    with pytest.raises(ValueError, match=r"batch\['negatives'\]\[1\]: expected at least one text"):
        task.evaluate({**batch, "negatives": [["c"], []]})
    with pytest.raises(ValueError, match=r"batch\['negatives'\]\[0\]\[0\]: .* not empty"):
        task.evaluate({**batch, "negatives": [[""], ["c"]]})


def test_negatives_of_different_number() -> None:
    task = create_task("contrastive", "test_vit", img_size=32).double()
    images = task.dummy_images(2)
    texts = ["a cat", "a coin"]
    found = task.evaluate({"images": images, "texts": texts, "negatives": [["b"], ["c", "d", "e"]]})
    assert found["negatives_chance"].tolist() == [50.0, 25.0]
    image, text = found["image_embeddings"], found["text_embeddings"]
    for row, negatives in enumerate([["b"], ["c", "d", "e"]]):
        wrong = (task.embed_texts(negatives) @ image[row]).max()
        assert float(found["negatives_right"][row]) == 100.0 * bool(image[row] @ text[row] > wrong)
    same = task.evaluate({"images": images, "texts": texts, "negatives": [["a cat"], ["a coin"]]})
    assert same["negatives_right"].tolist() == [0.0, 0.0]  # a text does not beat itself


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("contrastive", {"loss": "clip"}, "loss: expected one of 'infonce', 'siglip'"),
        ("contrastive", {"text_dim": 10, "text_heads": 3}, "text_dim: expected a multiple of 3"),
        ("contrastive", {"context": 2}, "context: expected an integer of at least 3"),
        ("captioning", {"tokens": "some"}, "tokens: expected one of 'all', 'approx'"),
        ("captioning", {"without_image": 0.0}, "without_image: expected a number above 0"),
        ("captioning", {"dim": 0}, "dim: expected an integer of at least 1"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_task(name, "test_vit", options, img_size=32)


def test_backbone_without_pooling_is_refused() -> None:
    import wavevit

    backbone = wavevit.create_model("test_haar_vit", num_classes=0, img_size=32)
    backbone.reset_classifier(0, "")
    with pytest.raises(ValueError, match=r"backbone\.global_pool: expected a pooling"):
        create_task("contrastive", backbone)


def test_text_longer_than_the_context_is_refused() -> None:
    model = TextTransformer(8, 1, 2, context=4)
    with pytest.raises(ValueError, match="tokens: expected at most 4"):
        model(torch.zeros(1, 5, dtype=torch.long))
