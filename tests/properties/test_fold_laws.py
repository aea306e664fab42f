"""Block Haar plus a linear layer *is* a patch convolution: the conversion, both ways."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from wavevit import Backbone, BackboneConfig, create_model, fold, make_stages, unfold


def small_vit(patch_size: int, in_chans: int, seed: int, **changes: object) -> Backbone:
    torch.manual_seed(seed)
    config = BackboneConfig(
        stages=make_stages(depths=[1], embed_dims=[12], num_heads=2),
        img_size=2 * patch_size,
        patch_size=patch_size,
        in_chans=in_chans,
        num_classes=5,
        **changes,
    )
    return Backbone(config).double().eval()


@examples(daily=20)
@given(
    level=st.integers(0, 4),
    in_chans=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    pool=st.sampled_from(["token", "avg"]),
)
def test_fold_inverts_unfold(level: int, in_chans: int, seed: int, pool: str) -> None:
    vit = small_vit(2**level, in_chans, seed, pool=pool)
    hybrid = unfold(vit)
    assert hybrid.config.tokenizer == "dwt"
    x = torch.randn(2, in_chans, 2 * 2**level, 3 * 2**level, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(hybrid(x), vit(x), rtol=1e-10, atol=1e-10)
        back = fold(hybrid)
        torch.testing.assert_close(back(x), vit(x), rtol=1e-10, atol=1e-10)
    assert back.config.tokenizer == "patch"
    for name, tensor in vit.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], tensor, rtol=0, atol=1e-12)


def test_the_hybrid_we_ship_is_no_rotated_patch_convolution() -> None:
    """Negative control: with normalisation and activation there is nothing to fold into."""
    model = create_model("test_haar_vit", img_size=32)
    with pytest.raises(ValueError, match="linear block-Haar"):
        fold(model)
    x = torch.randn(1, 3, 32, 32)
    tokenize = model.tokenizer
    with torch.no_grad():
        zero = tokenize(torch.zeros_like(x))
        doubled = tokenize(2 * x) - zero
        assert not torch.allclose(doubled, 2 * (tokenize(x) - zero), rtol=1e-2, atol=1e-3)


def test_unfold_keeps_head_device_and_mode() -> None:
    vit = create_model("test_vit", img_size=32).train()
    vit.reset_classifier(3)
    hybrid = unfold(vit)
    assert hybrid.training
    assert hybrid.num_classes == 3
    hybrid.eval()
    vit.eval()
    x = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(hybrid(x), vit(x), rtol=1e-4, atol=1e-5)


def test_only_convertible_models_are_accepted() -> None:
    with pytest.raises(ValueError, match="tokenizer"):
        unfold(create_model("test_haar_vit", img_size=32))
    odd = small_vit(6, 1, 0)
    with pytest.raises(ValueError, match="power of two"):
        unfold(odd)
