"""Every pair of values of two axes builds, runs on odd sizes and trains every parameter."""

from __future__ import annotations

import itertools

import pytest
import torch

from wavevit import Backbone, BackboneConfig, make_stages
from wavevit.alignment import METHODS
from wavevit.layers import (
    ACTIVATIONS,
    DOWNSAMPLES,
    MIXERS,
    MLPS,
    NORMS,
    POSITIONS,
    TOKENIZERS,
)
from wavevit.layers.band_limit import LOW_PASSES
from wavevit.testing import assert_shift_invariant

AXES = {
    "tokenizer": TOKENIZERS.names(),
    "mixer": MIXERS.names(),
    "downsample": DOWNSAMPLES.names(),
    "position": POSITIONS.names(),
    "mlp": MLPS.names(),
    "padding": ("zeros", "circular"),
    "inject": (False, True),
    "stage_norm": (False, True),
    "token_norm": (False, True),
    "norm": NORMS.names(),
    "spectral_control": (False, True),
    "activation": ACTIVATIONS.names(),
    "low_pass": LOW_PASSES,
    "pool": ("avg", "power"),
    "alignment": tuple(name for name in METHODS if name != "group_average"),  # P² calls
}


def pairs() -> list[dict[str, object]]:
    """Configurations that together hold every pair of values; greedy and deterministic."""
    every = [
        ((a, x), (b, y))
        for a, b in itertools.combinations(AXES, 2)
        for x in AXES[a]
        for y in AXES[b]
    ]
    every.sort(key=repr)
    missing, found = set(every), []
    while missing:
        first = dict(next(pair for pair in every if pair in missing))
        for axis, values in AXES.items():
            if axis not in first:
                gains = [_gain((axis, value), first, missing) for value in values]
                first[axis] = values[gains.index(max(gains))]
        found.append({axis: first[axis] for axis in AXES})
        missing.difference_update(itertools.combinations(found[-1].items(), 2))
    return found


def _gain(value: tuple[str, object], chosen: dict[str, object], missing: set) -> int:
    """Missing pairs of one more value with those that are chosen."""
    return sum((value, other) in missing or (other, value) in missing for other in chosen.items())


def config_of(values: dict[str, object]) -> BackboneConfig:
    values = dict(values)
    stages = make_stages(
        depths=(2, 1),
        embed_dims=(8, 16),
        num_heads=2,
        mixer_options={"window_size": 3} if values["mixer"] == "window" else None,
        # That mixer halves the map by itself: a further stride would leave one key to attend to.
        reduction=1 if values["mixer"] == "wavelet_kv" else 2,
        **{name: values.pop(name) for name in ("mixer", "downsample", "mlp", "inject")},
    )
    return BackboneConfig(
        stages=stages, img_size=24, patch_size=4, in_chans=2, num_classes=3, **values
    )


CONFIGURATIONS = pairs()
# The odd one meets every border; on their own size the contract's tests have each family by day.
GRIDS = [(23, 37), pytest.param((24, 24), marks=pytest.mark.nightly)]


def test_pairs_are_all_there() -> None:
    for a, b in itertools.combinations(AXES, 2):
        seen = {(config[a], config[b]) for config in CONFIGURATIONS}
        assert len(seen) == len(AXES[a]) * len(AXES[b])


@pytest.mark.parametrize("size", GRIDS, ids=str)
@pytest.mark.parametrize("values", CONFIGURATIONS, ids=lambda v: "-".join(map(str, v.values())))
def test_pair(values: dict[str, object], size: tuple[int, int]) -> None:
    position = values["position"]
    hosts = MIXERS.get(values["mixer"]).hosts + DOWNSAMPLES.get(values["downsample"]).hosts
    if POSITIONS.get(position).inside_mixers and position not in hosts:
        with pytest.raises(ValueError, match="position: "):
            config_of(values)
        return
    torch.manual_seed(0)
    model = Backbone(config_of(values)).double()
    x = torch.randn(4, 2, *size, dtype=torch.float64)
    model.train()
    model(x).square().sum().backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not missing
    final, maps = model.eval().forward_intermediates(x, norm=True)
    torch.testing.assert_close(maps[-1], final)
    period = model.symmetry.lockable_period
    if period is not None:
        side = -(-24 // period) * period
        x = torch.randn(2, 2, side, 2 * side, dtype=torch.float64)
        assert_shift_invariant(model, x, [(period, 0), (0, period), (-period, period)])
