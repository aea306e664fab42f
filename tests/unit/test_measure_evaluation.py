"""Measures run every model in eval mode, however it is handed over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from wavevit.measure import local_lipschitz, shift_sensitivity
from wavevit.measure.evaluation import evaluation_mode, in_batches


class Net(nn.Module):
    """A network whose outputs show whether it is in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3 * 8 * 8, 5)
        self.norm = nn.BatchNorm1d(5)
        self.drop = nn.Dropout(0.5)

    def features(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return scale * self.drop(self.norm(self.map(x.flatten(1))))

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x)


class Holder(nn.Module):
    """A module that holds a function, not the module that the function calls."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def scaled(net: Net, x: Tensor) -> Tensor:
    return net.features(x)


class Pipeline:
    """No module, and it cannot be called: only its method and its attribute are used."""

    def __init__(self, net: Net) -> None:
        self.net = net

    def embed(self, x: Tensor) -> Tensor:
        return self.net.features(x)


shared_net: Net  # a global name of the functions below


def by_global_name(net: Net) -> Callable[[Tensor], Tensor]:
    global shared_net
    shared_net = net
    return lambda x: torch.cat([shared_net.features(part) for part in (x,)])


WAYS: dict[str, Callable[[Net], Callable[[Tensor], Tensor]]] = {
    "module": lambda net: net,
    "method": lambda net: net.features,
    "lambda": lambda net: lambda x: net.features(x),
    "partial of a method": lambda net: partial(net.features, scale=1.0),
    "partial of a function": lambda net: partial(scaled, net),
    "method of another object": lambda net: Pipeline(net).embed,
    "lambda of another object's method": lambda net: (lambda p: lambda x: p.embed(x))(
        Pipeline(net)
    ),
    "lambda of another object's module": lambda net: (lambda p: lambda x: p.net.features(x))(
        Pipeline(net)
    ),
    "global name in a comprehension": by_global_name,
    "module that holds a function": lambda net: Holder(lambda x: net.features(x)),
    "module that holds a method": lambda net: Holder(net.features),
}


def images() -> Tensor:
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("way", WAYS)
def test_dropout_and_batch_statistics_are_off(way: str) -> None:
    torch.manual_seed(0)
    net = Net()
    model = WAYS[way](net)
    other = model(images())  # in train mode: it sets the statistics too
    wanted = net.eval()(images())
    assert not torch.equal(other, wanted)  # the mode shows
    net.train()
    assert torch.equal(in_batches(model, images(), 6), wanted)
    assert [module.training for module in net.modules()] == [True] * 4
    assert torch.equal(net.eval()(images()), wanted)  # the statistics are what they were


@pytest.mark.parametrize("way", WAYS)
def test_measures_do_not_depend_on_the_mode(way: str) -> None:
    torch.manual_seed(0)
    net = Net().eval()
    model = WAYS[way](net)

    def measured() -> tuple[float, float]:
        changed = shift_sensitivity(model, images(), (1,), kind="circular").values[0]
        return changed, local_lipschitz(model, images(), iterations=3).median_absolute

    wanted = measured()
    net.train()
    assert measured() == wanted


def test_modes_come_back_after_an_error_and_one_by_one() -> None:
    net = Net().train()
    net.norm.eval()
    modes: list[bool] = []

    def broken(x: Tensor) -> Tensor:
        modes.extend(module.training for module in net.modules())
        raise RuntimeError("of the model")

    with pytest.raises(RuntimeError, match="of the model"):
        in_batches(broken, images(), 6)
    assert modes == [False] * 4
    assert [net.training, net.map.training, net.norm.training] == [True, True, False]
    with evaluation_mode(net):
        assert not any(module.training for module in net.modules())
