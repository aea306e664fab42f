"""Models built without memory and filled from a checkpoint, as FSDP, accelerate and torch do it.

Nobody calls a method of ours in between: what no state dict carries has to be whole by itself.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import wavevit
from wavevit.alignment import METHODS
from wavevit.layers import DOWNSAMPLES, TOKENIZERS

SMALL = wavevit.list_models("test_*")


def build(name: str = "test_dtcwt_pyramid", **changes: object) -> nn.Module:
    return wavevit.create_model(name, **({"img_size": 32, "num_classes": 3} | changes)).eval()


def images(side: int = 32) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def assert_whole(empty: nn.Module, model: nn.Module) -> None:
    """Memory that nobody has filled is NaN here; in the wild it is what was there before."""
    empty = empty.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*empty.parameters(), *empty.buffers()):
            tensor.fill_(float("nan"))
    empty.load_state_dict(model.state_dict())
    assert torch.equal(empty(images()), model(images()))


@pytest.mark.parametrize("method", METHODS[1:])
def test_aligned_models(method: str) -> None:
    name = "test_pvt_v2" if method == "blur" else "test_dtcwt_pyramid"
    period = 2 if method == "group_average" else 16  # it runs the model for every phase
    with torch.device("meta"):
        around = wavevit.align(build(name), method, period=period)
    assert_whole(around, wavevit.align(build(name), method, period=period))
    if method != "group_average":
        inside = build(name, device="meta", alignment=method)
        assert_whole(inside, build(name, alignment=method))


PARTS = [{"tokenizer": name, "wavelet": "db2"} for name in TOKENIZERS.names()]
PARTS += [{"downsample": name} for name in DOWNSAMPLES.names()]


@pytest.mark.parametrize("parts", PARTS, ids=lambda parts: "-".join(parts.values()))
def test_parts_that_no_family_has(parts: dict[str, str]) -> None:
    changes: dict[str, object] = dict(parts)
    step = changes.pop("downsample", None)
    if step is not None:
        first, *later = wavevit.model_config("test_dtcwt_pyramid").stages
        later = [dataclasses.replace(stage, downsample=step) for stage in later]
        changes["stages"] = (first, *later)
    assert_whole(build(device="meta", **changes), build(**changes))


@pytest.mark.parametrize("name", SMALL)
def test_no_buffers(name: str) -> None:
    """What is no parameter would have to be carried or filled by somebody."""
    assert not list(build(name, device="meta").named_buffers())


@pytest.mark.parametrize("name", SMALL)
def test_accelerate(name: str, tmp_path: Path) -> None:
    import accelerate

    model = build(name)
    save_file(model.state_dict(), tmp_path / "model.safetensors", metadata={"format": "pt"})
    with accelerate.init_empty_weights(include_buffers=True):
        empty = build(name)
    place = {"": "cpu"}
    accelerate.load_checkpoint_in_model(empty, str(tmp_path / "model.safetensors"), place)
    assert torch.equal(empty(images()), model(images()))


def test_initialisation_that_is_skipped() -> None:
    model = build()
    skipped = torch.nn.utils.skip_init(wavevit.Backbone, model.config).eval()
    skipped.load_state_dict(model.state_dict())
    assert torch.equal(skipped(images()), model(images()))


def test_a_lock_in_front_of_the_library_itself() -> None:
    """Another default device while the library is used for the first time leaves no trace."""
    with torch.device("meta"):
        bank = wavevit.wavelets.filter_bank("bior4.4")
        wavevit.wavelets.dwt2(torch.empty(1, 1, 8, 8), bank)
        wavevit.wavelets.dtcwt2(torch.empty(1, 1, 8, 8), 2)
    assert wavevit.wavelets.dwt2(images(), "bior4.4").isfinite().all()
    assert wavevit.wavelets.dtcwt2(images(), 2).approx.isfinite().all()
