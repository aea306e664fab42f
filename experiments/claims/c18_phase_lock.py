"""C18: is phase locking exact, at the accuracy and cost of the plain model?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import study_effect, variants_table
from experiments.claims.verdict import Verdict, judge

_PATCH, _CROP = "patch_vs_wavelet/summary.json", "crop_shift/summary.json"


def _find(records: Mapping[str, Any]) -> Finding:
    pairs = (("vit + phase_lock", "vit"), ("haar_pyramid + phase_lock", "haar_pyramid"))
    small, crops = records[_PATCH], records[_CROP]
    exact = [study_effect(small, *pair, ("circular", 1), "lower") for pair in pairs]
    kept = [study_effect(small, *pair, "top1") for pair in pairs]
    cropped = [study_effect(small, *pair, "crop", "higher") for pair in pairs]
    held = all(small.metrics[name]["circular"].mean == 100 for name, _ in pairs)
    time = " and ".join(f"{small.latency[n] / small.latency[b]:.2f}" for n, b in pairs)
    names = [name for pair in pairs for name in reversed(pair)]
    body = (
        f"Time of the ViT and of the pyramid, relative to the same without the lock: {time}.",
        variants_table(small, ("top1", "circular", "crop", "subpixel"), (1,), names),
        "The plain ViT with each alignment, and the worst of the crops within ±8 px:",
        variants_table(crops, ("top1", "circular", "crop", "worst"), (1,)),
    )
    verdict = judge([*exact, *cropped])
    if held:
        accuracy = " and ".join(effect.amount() for effect in kept)
        facts = (
            f"C-Cons is 100 % in every run, at {time} times the time; not tested: "
            f"continuity, and whether top-1 stays the same ({accuracy})"
        )
        detail = "; ".join(part for part in (verdict.detail, facts) if part)
        verdict = Verdict(verdict.word, detail, verdict.partial)
    else:
        verdict = Verdict("refuted", "C-Cons is below 100 %, so the lock is not exact")
    return Finding(verdict, (*exact, *kept, *cropped), body)


CLAIM = Claim(
    id="C18",
    sentence=(
        "Phase locking gives exact shift invariance, continuously, at the accuracy and cost of the "
        "plain model."
    ),
    records=(_PATCH, _CROP),
    find=_find,
    alt="Differences that the lock makes in sensitivity, top-1 and S-Cons of ViT and pyramid",
)
