"""The page "Agreements and certificates" shows the record, and the record agrees."""

from __future__ import annotations

from experiments.benchmarks import tokenizer_bounds
from experiments.core.records import load_record

ENTRIES = load_record("agreements/agreements.json")
TOKENIZERS = load_record("tokenizer_bounds/tokenizer_bounds.json")
# Largest relative difference by what was compared; MACs are published with two digits.
WITHIN = {
    "same shifts": 0.0,
    "jacrev and SVD": 1e-2,
    "by loops": 1e-4,
    "closed form": 1e-6,
    "et al. 20": 0.05,
}


def test_every_measure_agrees_within_its_tolerance() -> None:
    for entry in ENTRIES["agreements"]:
        if "interval" in entry:  # another draw of shifts: within what a draw makes of it
            low, high = entry["interval"]
            assert low <= entry["theirs"] <= high, entry
            continue
        bound = next(limit for words, limit in WITHIN.items() if words in entry["against"])
        if entry["measure"].startswith("local_lipschitz, 10"):
            bound = 0.3  # ten iterations are a look, and never above the norm
            assert entry["ours"] <= entry["theirs"] * (1 + 1e-9)
        assert entry["relative_difference"] <= bound, entry


def test_certificates_lie_above_what_is_measured() -> None:
    assert len(ENTRIES["certificates"]) == 4
    assert all(0 < e["measured"] <= e["certified"] for e in ENTRIES["certificates"])


def test_every_tokenizer_is_recorded() -> None:
    names = {row["tokenizer"] for row in TOKENIZERS["tokenizers"]}
    assert names == set(tokenizer_bounds.TOKENIZERS)


def test_no_tokenizer_was_found_steeper_than_its_constant() -> None:
    for row in TOKENIZERS["tokenizers"]:
        assert 0 <= row["lower"] <= row["upper"], row
        assert row["found"] <= row["lipschitz"] * (1 + 1e-9), row
        assert row["method"] == ("circle" if row["border"] == "circular" else "dense"), row
        if row["tokenizer"] in ("patch", "dwt, linear"):  # linear: the search gets there
            assert row["exact"]
            assert row["found"] >= 0.97 * row["lipschitz"], row
