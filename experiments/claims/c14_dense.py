"""C14: do pyramids profit dense tasks?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.studies import Compared, against, variants_table
from experiments.claims.verdict import judge

_SEGMENTATION, _DETECTION = "dense/summary.json", "detection/summary.json"
_PYRAMIDS = against("vit", ("swin", "pvt_v2", "haar_pyramid", "dtcwt_pyramid"))
_DETECTORS = against("vit", ("swin", "haar_pyramid", "dtcwt_pyramid"))
_TOKENS = against("vit", ("haar_vit", "dtcwt_vit"))
_DECIDING = {
    # After three seeds the test was inconclusive, and two seeds were added: two looks.
    _SEGMENTATION: [Compared("miou", _PYRAMIDS, "higher", looks=2)],
    _DETECTION: [Compared("AP", _DETECTORS, "higher")],
}
_SHOWN = {
    _SEGMENTATION: [
        Compared("edges", _PYRAMIDS),
        Compared("kept_1", _PYRAMIDS),
        Compared("jitter_1", (*_PYRAMIDS, ("haar_vit", "vit"))),
        Compared("miou", against("vit", ["haar_vit"])),
    ],
    _DETECTION: [
        Compared("box_shift at 1 px", (*_DETECTORS, *_TOKENS)),
        Compared("unmatched at 1 px", (*_DETECTORS, *_TOKENS)),
        Compared("AP", _TOKENS),
    ],
}
_COLUMNS = {
    _SEGMENTATION: (
        *("miou", "pixels", "edges", "kept_1", "kept_4", "kept_8"),
        *("jitter_1", "jitter_4", "jitter_8"),
    ),
    _DETECTION: ("AP", "AP50", "AP75", "box_shift at 1 px", "unmatched at 1 px"),
}


def _effects(records: Mapping[str, Any], wanted: Mapping[str, list[Compared]]) -> list[Any]:
    return [
        effect
        for record, compared in wanted.items()
        for one in compared
        for effect in one.effects(records[record])
    ]


def _find(records: Mapping[str, Any]) -> Finding:
    deciding = _effects(records, _DECIDING)
    body = [
        f"Study `{record.partition('/')[0]}`, mean ± standard deviation over seeds:\n\n"
        + variants_table(records[record], columns, ())
        for record, columns in _COLUMNS.items()
    ]
    return Finding(judge(deciding), (*deciding, *_effects(records, _SHOWN)), tuple(body))


CLAIM = Claim(
    id="C14",
    sentence=("Pyramids give maps at strides 4 to 32, and dense tasks profit."),
    records=(_SEGMENTATION, _DETECTION),
    find=_find,
    alt="Differences of pyramids to the plain ViT in mean intersection over union, near borders, "
    "in average precision and in how far borders and boxes move beside the picture",
)
