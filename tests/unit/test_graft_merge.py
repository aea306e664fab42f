"""`merge`: linear branches become part of the patch convolution; others are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.grafted_models import images, ours, timm_model, timm_swin, trained
from wavevit.grafting import GraftedEmbedding, graft, merge
from wavevit.testing import assert_close_relative

LINEAR = {"tokenizer": "dwt", "subband_act": False, "width": 16}


@pytest.mark.parametrize("subband_norm", [True, False])
@torch.no_grad()
def test_merged_model_has_the_same_outputs(subband_norm: bool) -> None:
    model = ours().double()
    grafted = trained(graft(model, **LINEAR, subband_norm=subband_norm))
    x = images((32, 32), dtype=torch.float64)
    assert float((grafted(x) - model(x)).norm()) > 1e-3 * float(model(x).norm())
    merged = merge(grafted)
    assert_close_relative(merged(x), grafted(x), bound=1e-12)
    assert not isinstance(merged.tokenizer, GraftedEmbedding)
    assert list(merged.state_dict()) == list(model.state_dict())


@torch.no_grad()
def test_convolution_without_bias_gets_one() -> None:
    """CLIP's patch convolution has no bias."""
    grafted = trained(graft(timm_model("vit_base_patch16_clip_224"), **LINEAR))
    assert grafted.patch_embed.proj.bias is None
    assert_close_relative(merge(grafted)(images((32, 32))), grafted(images((32, 32))), bound=1e-5)
    plain = nn.ModuleDict({"conv1": nn.Conv2d(3, 8, 4, 4, bias=False)})
    assert merge(graft(plain, **LINEAR))["conv1"].bias is None  # nothing to add


@pytest.mark.parametrize(
    "options",
    [
        {"tokenizer": "dwt"},
        {"tokenizer": "dtcwt"},
        {"tokenizer": "swt"},
        {"tokenizer": "dwt", "subband_act": False, "wavelet": "db2"},
    ],
)
def test_other_branches_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="grafted: expected a branch that is linear in each"):
        merge(trained(graft(ours(), **options)))


def test_refusal_of_a_resampled_patch_names_it() -> None:
    """The options are the right ones, so the message must not show them as the reason."""
    plain = nn.ModuleDict({"patch_embed": nn.Conv2d(3, 8, 14, 14)})
    expected = "got patches of 14 x 14 pixels, resampled to 16 x 16 with pixels of their neighbours"
    with pytest.raises(ValueError, match=expected):
        merge(trained(graft(plain, **LINEAR)))


def test_open_low_pass_and_norms_are_refused() -> None:
    grafted = graft(ours(), **LINEAR, lowpass=2)
    merge(grafted)
    with pytest.raises(ValueError, match=r"grafted: expected a low-pass whose gate is 0, got gate"):
        merge(trained(grafted))
    with pytest.raises(ValueError, match=r"grafted: .*got patch_embed.norm \(LayerNorm\)"):
        merge(graft(timm_swin(), **LINEAR))
