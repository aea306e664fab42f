"""C18: is phase locking exact, at the accuracy and cost of the plain model?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding, Verdict, judge, outcomes
from experiments.claims.studies import metric_effect, sensitivity_effect, variants_table

__all__ = ["CLAIM"]

_PATCH, _CROP = "patch_vs_wavelet/summary.json", "crop_shift/summary.json"


def _find(records: Mapping[str, Any]) -> Finding:
    pairs = (("vit + phase_lock", "vit"), ("haar_pyramid + phase_lock", "haar_pyramid"))
    small, crops = records[_PATCH], records[_CROP]
    exact = [sensitivity_effect(small, *pair, "circular", 1, "lower") for pair in pairs]
    kept = [metric_effect(small, *pair, "top1") for pair in pairs]
    cropped = [metric_effect(small, *pair, "crop", "higher") for pair in pairs]
    held = all(small.metrics[name]["circular"].mean == 100 for name, _ in pairs)
    still = all(outcome == "as claimed" for outcome in outcomes(exact))
    worse = [e for e in kept if e.difference.mean < 0 and e.p_value <= 0.05]
    time = " and ".join(f"{small.latency[n] / small.latency[b]:.2f}" for n, b in pairs)
    body = "\n\n".join(
        (
            f"Time of ViT and pyramid against the same without the lock: {time}.",
            variants_table(
                small,
                ("top1", "circular", "crop", "subpixel"),
                (1,),
                [name for pair in pairs for name in reversed(pair)],
            ),
            "The plain ViT with each alignment, and the worst of the crops within ±8 px:",
            variants_table(crops, ("top1", "circular", "crop", "worst"), (1,)),
        )
    )
    if not (held and still):
        verdict = Verdict("fails", "not exact")
    elif worse:
        verdict = Verdict("fails", "exact for rolls, but top-1 falls")
    elif judge(cropped).word == "holds":
        verdict = Verdict("holds", f"{time} times the time")
    else:
        verdict = Verdict("holds only if", f"shifts are circular ({time} times the time)")
    return Finding(verdict, (*exact, *kept, *cropped), body)


CLAIM = Claim(
    id="C18",
    sentence=(
        "Phase locking gives exact shift invariance, continuously, at the accuracy and cost of the "
        "plain model."
    ),
    hypothesis=(
        "With `alignment` changed to `phase_lock` and nothing else, two rolls of a crop always get "
        "the same class, top-1 does not fall, and real crops profit too."
    ),
    test=(
        "Study `patch_vs_wavelet`, ViT and Haar pyramid with the lock − without, in C-Cons, "
        "R(1 px) of rolls, top-1 and S-Cons, paired by seed; study `crop_shift` for the other "
        "alignments. Exactness and continuity are laws with tests of their own."
    ),
    rule=(
        "Holds only if shifts are circular: if C-Cons is 100 % in every seed, R of rolls falls and "
        "no fall of top-1 is found. It would hold if S-Cons rose as well (both at 5 %, paired t "
        "test); fails if C-Cons is below 100 % or top-1 falls."
    ),
    records=(_PATCH, _CROP),
    command="python -m experiments.run patch_vs_wavelet",
    find=_find,
    alt="Differences that the lock makes in sensitivity, top-1 and S-Cons of ViT and pyramid",
)
