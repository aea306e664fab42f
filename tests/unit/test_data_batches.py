"""Training batches: parts of ranks."""

from __future__ import annotations

import pytest
import torch

from experiments.core.batches import rank_slice


def test_parts_of_the_ranks_are_the_global_batch() -> None:
    batch = {"images": torch.arange(12).reshape(6, 2), "texts": list("abcdef")}
    parts = [rank_slice(batch, rank, 3) for rank in range(3)]
    assert torch.equal(torch.cat([part["images"] for part in parts]), batch["images"])
    assert [text for part in parts for text in part["texts"]] == batch["texts"]
    assert {len(part["texts"]) for part in parts} == {2}


def test_ranks_that_cannot_share_a_batch_are_refused() -> None:
    batch = {"images": torch.zeros(6, 2)}
    with pytest.raises(ValueError, match=r"batch\['images'\]: .* a multiple of 4 \(ranks\), got 6"):
        rank_slice(batch, 0, 4)
    with pytest.raises(ValueError, match="rank: expected a number from 0 to 1, got 2"):
        rank_slice(batch, 2, 2)
    with pytest.raises(ValueError, match=r"batch\['texts'\]: "):
        rank_slice({**batch, "texts": ["a", "b"]}, 0, 2)
