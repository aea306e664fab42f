"""C12: does attention reach further in depth?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import above, between
from experiments.claims.verdict import Verdict, judge
from experiments.core.statistic import Statistic
from experiments.core.table import Table

_RECORD = "attention/measurement.json"


def _find(records: Mapping[str, Any]) -> Finding:
    record = records[_RECORD]
    found, side = record["subjects"], record["side"]
    pixels: dict[str, Any] = {"unit": "px", "digits": 1}
    effects = []
    for name in ("vit", "swin"):
        first, *_, last = found[name]["distance"]
        pair = (f"{name}, last layer", last, "first layer", first)
        effects.append(between(*pair, "attention distance", predicted="higher", **pixels))
    own = ("vit, first layer", found["vit"]["distance"][0], round(record["uniform"], 1))
    effects.append(above(*own, "attention distance", predicted="lower", **pixels))
    one_hop = found["vit"]["extent"][1] >= side
    grows = found["swin"]["extent"][1] < side
    verdict = judge(effects)
    if not (one_hop and grows):
        verdict = Verdict("refuted", "the receptive fields are not as predicted")
    depth = max(len(own["distance"]) for own in found.values())
    distances, fields = [], []
    for name, own in found.items():
        means = [f"{Statistic.of(layer).mean:.1f}" for layer in own["distance"]]
        distances.append([f"`{name}`", *means, *["–"] * (depth - len(means))])
        extent = ", ".join(str(value) for value in own["extent"])
        radius = ", ".join(f"{value:.1f}" for value in own["radius"])
        fields.append([f"`{name}`", extent, radius])
    layers = ["model", *(f"layer {i + 1}, px" for i in range(depth))]
    head = ["model", "extent of the receptive field by depth, px", "its radius, px"]
    body = (
        "Mean attention distance of a layer's heads (uniform attention on a grid of stride 8 "
        f"has {record['uniform']:.1f} px):",
        Table(layers, distances).markdown(),
        f"Receptive fields after the tokenizer and each block or stage, for images of {side} px:",
        Table(head, fields).markdown(),
    )
    return Finding(verdict, tuple(effects), body)


def _draw(records: Mapping[str, Any], finding: Finding) -> Figure:
    record = records[_RECORD]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4))
    for name, own in record["subjects"].items():
        means = [Statistic.of(layer).mean for layer in own["distance"]]
        left.plot(range(1, len(means) + 1), means, "o-", markersize=4, label=name)
        right.plot(range(len(own["extent"])), own["extent"], "o-", markersize=4, label=name)
    left.axhline(record["uniform"], color="black", linestyle=":", linewidth=1)
    left.set_xlabel("attention layer")
    left.set_ylabel("attention distance, px")
    right.set_xlabel("depth (0: tokenizer)")
    right.set_ylabel("receptive field, px")
    right.legend(fontsize=8)
    return figure


CLAIM = Claim(
    id="C12",
    sentence=(
        "Attention grows in depth: global attention reaches everywhere in one hop; windowed "
        "attention grows layer by layer; early layers are local."
    ),
    records=(_RECORD,),
    find=_find,
    draw=_draw,
    alt="Attention distance by layer and receptive field by depth of six trained models",
)
