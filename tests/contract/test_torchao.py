"""torchao's dynamic quantisation, as the page "Use it in …" has it."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import wavevit
from wavevit.testing import assert_close_relative

PAGE = Path(__file__).parents[2] / "docs" / "use-it-in.md"
BLOCK = re.compile(r"^```\{code-block\} python\n(.*?quantize_.*?)^```", re.DOTALL | re.MULTILINE)
WHY = "torchao is not installed: pip install 'wavevit[tools]'"
pytestmark = pytest.mark.nightly


def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "name", ["test_vit", "test_haar_vit", "test_dtcwt_pyramid", "test_haar_pyramid"]
)
def test_linear_maps_of_eight_bits(name: str) -> None:
    """Outputs stay within a few hundredths; nothing but weights of linear maps is rounded."""
    quantization = pytest.importorskip("torchao.quantization", reason=WHY)
    torch.manual_seed(0)
    model = wavevit.create_model(name, img_size=64, num_classes=5).eval()
    small = copy.deepcopy(model)
    quantization.quantize_(small, quantization.Int8DynamicActivationInt8WeightConfig())
    linear = {
        f"{full}.weight" for full, part in model.named_modules() if isinstance(part, nn.Linear)
    }
    before = dict(model.named_parameters())
    rounded = {n for n, p in small.named_parameters() if type(p) is not nn.Parameter}
    assert rounded == linear
    for key, parameter in small.named_parameters():
        assert key in rounded or torch.equal(parameter, before[key])
    with torch.no_grad():
        assert_close_relative(small(images()), model(images()), bound=0.05)
        assert torch.equal(small.tokenizer(images()), model.tokenizer(images()))


def test_the_block_of_the_page_runs() -> None:
    pytest.importorskip("torchao", reason=WHY)
    (block,) = BLOCK.findall(PAGE.read_text())
    names: dict[str, object] = {"torch": torch, "wavevit": wavevit, "images": images()}
    exec(compile(block, str(PAGE), "exec"), names)
