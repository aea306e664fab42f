"""Our plain ViT is timm's: the baseline of every claim is no straw man."""

from __future__ import annotations

import pytest
import torch

import wavevit
from wavevit.interop.timm import load_timm_weights

timm = pytest.importorskip("timm", reason="comes with the extra timm")


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_vit_equals_timm(size: str) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(f"vit_{size}_patch16_224", num_classes=10).eval()
    for parameter in theirs.parameters():  # timm starts biases at 0: random ones test more
        torch.nn.init.normal_(parameter, std=0.05)
    ours = wavevit.create_model(f"vit_{size}_patch16", num_classes=10).eval()
    load_timm_weights(ours, theirs)
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            ours.forward_features(x), theirs.forward_features(x), rtol=1e-4, atol=1e-4
        )


def test_every_size_has_timms_parameters() -> None:
    for size in ("tiny", "small", "base"):
        with torch.device("meta"):
            ours = wavevit.create_model(f"vit_{size}_patch16")
            theirs = timm.create_model(f"vit_{size}_patch16_224")
        assert sum(p.numel() for p in ours.parameters()) == sum(
            p.numel() for p in theirs.parameters()
        )


def test_another_architecture_is_refused() -> None:
    theirs = timm.create_model("vit_tiny_patch16_224", num_classes=10)
    with pytest.raises(ValueError, match="timm_model: expected the architecture of `model`"):
        load_timm_weights(wavevit.create_model("test_vit"), theirs)
