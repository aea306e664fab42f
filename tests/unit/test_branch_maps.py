"""A graft's branch: the tokenizer's linear map and the branch's own are computed as one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from wavevit.layers.tokenizers.dtcwt import DTCWTTokenizer, ScatteringTokenizer
from wavevit.layers.tokenizers.dwt import PacketTokenizer
from wavevit.layers.tokenizers.subbands import SubbandTokenizer
from wavevit.layers.tokenizers.swt import SWTTokenizer
from wavevit.testing import assert_close_relative

WRITTEN = (DTCWTTokenizer, SWTTokenizer, ScatteringTokenizer)  # a kernel writes their bands


def parts(kind: type[Any], bias: bool = True, **options: Any) -> tuple[Any, nn.Linear]:
    """A tokenizer of patches of 4 pixels, and a linear map of its tokens."""
    torch.manual_seed(0)
    tokenizer = kind(2, 6, 4, **options)
    tokenizer.reset_parameters()
    for parameter in tokenizer.parameters():
        nn.init.normal_(parameter)
    return tokenizer, nn.Linear(6, 5, bias=bias)


def picture(side: int, count: int = 2) -> Tensor:
    return torch.randn(count, 2, side, side, generator=torch.Generator().manual_seed(1))


def calls(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What is given to linear modules from now on."""
    given: list[Tensor] = []
    plain = nn.Linear.forward

    def noted(self: nn.Linear, x: Tensor) -> Tensor:
        given.append(x)
        return plain(self, x)

    monkeypatch.setattr(nn.Linear, "forward", noted)
    return given


@pytest.mark.parametrize("kind", [*WRITTEN, PacketTokenizer])
@pytest.mark.parametrize(("bias", "norm"), [(True, True), (False, False)])
def test_one_map_has_the_values_and_gradients_of_both(
    kind: type[SubbandTokenizer], bias: bool, norm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer, after = parts(kind, bias, subband_norm=norm)
    x = picture(64)
    both = after(tokenizer(x))
    trained = [*tokenizer.parameters(), *after.parameters()]
    wanted = torch.autograd.grad(both.square().sum(), trained)
    given = calls(monkeypatch)
    one = tokenizer.followed_by(x, after)
    assert bool(given) == (kind is PacketTokenizer)  # whose coefficients have a non-linearity
    assert_close_relative(one, both, bound=1e-5)
    found = torch.autograd.grad(one.square().sum(), trained)
    for own, other in zip(found, wanted, strict=True):
        assert_close_relative(own, other, bound=1e-4)


def test_both_maps_are_applied_to_few_tokens_and_where_somebody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer, after = parts(DTCWTTokenizer)
    given = calls(monkeypatch)
    few, many = picture(8, 1), picture(64)  # 4 and 512 tokens, of 26 bands
    assert_close_relative(tokenizer.followed_by(few, after), after(tokenizer(few)), bound=1e-5)
    assert len(given) == 2
    tokenizer.followed_by(many, after)
    assert len(given) == 2
    for module in (tokenizer, tokenizer.norm, tokenizer.proj, after):
        seen: list[Tensor] = []
        with_hook = module.register_forward_hook(lambda *call, seen=seen: seen.append(call[2]))
        tokenizer.followed_by(many, after)
        with_hook.remove()
        assert len(seen) == 1
    own = nn.Sequential(after)  # a module in the place of the map, as adapters of weights put one
    assert torch.equal(tokenizer.followed_by(many, own), own(tokenizer(many)))
