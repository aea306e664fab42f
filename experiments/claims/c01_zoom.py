"""C1: does one fixed patch size give a ViT one native resolution?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.claims.claim import Finding
from experiments.claims.studies import Compared, against, study_claim
from experiments.core.style import band, labelled_below, log2_axis
from experiments.core.zoom import ZOOMS
from wavevit.auditing.style import line_styles

_PYRAMIDS = against("vit", ("swin", "haar_pyramid", "dtcwt_pyramid"))
_BY_ZOOM = tuple(f"zoom_{zoom:g}" for zoom in ZOOMS)


def _draw(records: Mapping[str, Any], finding: Finding) -> Figure:
    """Top-1 against zoom, as it is and as a share of that at zoom 1."""
    summary = records["zoom/summary.json"]
    styles = line_styles(summary.variants)
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2))
    for name in summary.variants:
        own = summary.metrics[name]
        values = np.array([own[key].values for key in _BY_ZOOM])
        native = values[ZOOMS.index(1.0)]
        for axis, curves in zip(axes, (values, 100 * values / native), strict=True):
            mean, std = curves.mean(axis=1), curves.std(axis=1, ddof=1)
            band(axis, ZOOMS, mean, std, {"label": name, **styles[name]})
    for axis, title in zip(axes, ("top-1, %", "share of top-1 at zoom 1, %"), strict=True):
        log2_axis(axis, ZOOMS, [f"{zoom:g}" for zoom in ZOOMS], "zoom (2: from half as far)")
        axis.set_title(title, fontsize=11)
        axis.set_ylim(bottom=0)
    labelled_below(figure, axes[0], handlelength=3)
    return figure


CLAIM = study_claim(
    id="C1",
    sentence=(
        "One fixed patch size gives a ViT one native resolution: accuracy falls off under zoom "
        "more than for a pyramid."
    ),
    study="zoom",
    deciding=[Compared("zoom_kept", _PYRAMIDS, "higher")],
    shown=[
        Compared("zoom_kept", against("vit", ["vit patch 4", "vit patch 16"])),
        Compared(_BY_ZOOM[0], _PYRAMIDS),
        Compared(_BY_ZOOM[-1], _PYRAMIDS),
    ],
    columns=("top1", "zoom_kept", *_BY_ZOOM),
    draw=_draw,
    alt="Top-1 against zoom for plain ViTs and three pyramids, absolute and as a share",
)
