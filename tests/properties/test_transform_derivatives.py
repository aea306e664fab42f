"""Every public transform, every derivative: one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from wavevit.wavelets import (
    Lifting,
    dtcwt2,
    dwt2,
    idtcwt2,
    idwt2,
    iswt2,
    iwavepacket2,
    scattering2,
    swt2,
    wavedec2,
    wavepacket2,
    waverec2,
)
from wavevit.wavelets.haar_maps import kernels

SIZE = (5, 4)  # odd and even: borders of both kinds


def flat(parts: Tensor | Sequence[Tensor]) -> list[Tensor]:
    if isinstance(parts, Tensor):
        return [parts]
    return [tensor for part in parts for tensor in flat(part)]


@dataclass(frozen=True)
class Transform:
    """Forth, and back from the parts that forth gives; a linear one unless said otherwise."""

    forth: Callable[[Tensor], Tensor | Sequence[Tensor]]
    back: Callable[..., Tensor] | None = None
    linear: bool = True


def lifting(seed: int = 0) -> Lifting:
    made = Lifting(1, steps=2, dtype=torch.float64)
    with torch.no_grad():
        made.weight.copy_(0.3 * noise(*made.weight.shape, seed=seed))
    return made.requires_grad_(False)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LIFTING = lifting()
TRANSFORMS = {
    "dwt2": Transform(
        lambda x: dwt2(x, "db2", "symmetric"), lambda c: idwt2(c, "db2", "symmetric", SIZE)
    ),
    "dwt2 haar": Transform(dwt2, lambda c: idwt2(c, output_size=SIZE)),
    "wavedec2": Transform(
        lambda x: wavedec2(x, "bior2.2", "reflect", 2),
        lambda a, *d: waverec2((a, d), "bior2.2", "reflect", SIZE),
    ),
    "wavedec2 haar": Transform(
        lambda x: wavedec2(x, level=2), lambda a, *d: waverec2((a, d), output_size=SIZE)
    ),
    "wavepacket2": Transform(
        lambda x: wavepacket2(x, "db2", "zero", 2), lambda c: iwavepacket2(c, "db2", "zero", SIZE)
    ),
    "wavepacket2 haar": Transform(
        lambda x: wavepacket2(x, level=2), lambda c: iwavepacket2(c, output_size=SIZE)
    ),
    "swt2": Transform(lambda x: swt2(x, "db2", 2), lambda c: iswt2(c, "db2")),
    "swt2 haar": Transform(lambda x: swt2(x, level=2), iswt2),
    "dtcwt2": Transform(lambda x: dtcwt2(x, 2), lambda a, *d: idtcwt2((a, d), output_size=SIZE)),
    "dtcwt2 periodic": Transform(
        lambda x: dtcwt2(x, 2, "antonini", "qshift_b", "periodic"),
        lambda a, *d: idtcwt2((a, d), "antonini", "qshift_b", "periodic", SIZE),
    ),
    "scattering2": Transform(lambda x: scattering2(x, 2, 2), linear=False),
    "lifting": Transform(LIFTING, lambda c: LIFTING.inverse(c, SIZE)),
}
CALLS = [
    pytest.param(name, way, id=f"{name} {way}")
    for name, transform in TRANSFORMS.items()
    for way in ("forth", "back")
    if way == "forth" or transform.back
]


@pytest.fixture(params=[True, False], ids=["kernels", "plain"], autouse=True)
def _either_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with kernels(request.param):
        yield


def call(name: str, way: str) -> tuple[Callable[..., tuple[Tensor, ...]], list[Tensor]]:
    """The function of one way, and what it is given."""
    transform, x = TRANSFORMS[name], noise(1, 1, *SIZE)
    if way == "forth":
        return lambda x: tuple(flat(transform.forth(x))), [x]
    parts = [part.detach() for part in flat(transform.forth(x))]
    return lambda *parts: (transform.back(*parts),), parts


@pytest.mark.parametrize(("name", "way"), CALLS)
def test_first_and_second_derivatives_in_either_mode(name: str, way: str) -> None:
    function, inputs = call(name, way)
    leaves = [x.requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(function, leaves, check_forward_ad=True, fast_mode=True)
    # Of a linear map the second derivative is zero; of its backward pass there must be one still.
    assert torch.autograd.gradgradcheck(function, leaves, check_fwd_over_rev=True, fast_mode=True)


@pytest.mark.parametrize(("name", "way"), CALLS)
def test_vmap_and_jvp(name: str, way: str) -> None:
    function, inputs = call(name, way)
    others = [noise(*x.shape, seed=1) for x in inputs]
    mapped = torch.func.vmap(function)(*map(torch.stack, zip(inputs, others, strict=True)))
    for ours, *expected in zip(mapped, function(*inputs), function(*others), strict=True):
        torch.testing.assert_close(ours, torch.stack(expected))
    if TRANSFORMS[name].linear:
        _, pushed = torch.func.jvp(function, tuple(inputs), tuple(others))
        torch.testing.assert_close(pushed, function(*others))


def test_a_wrong_derivative_is_seen() -> None:
    """Negative control: a backward pass that is half of the transpose."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor) -> Tensor:
            return dwt2(x)

        @staticmethod
        def backward(ctx, gradient: Tensor) -> Tensor:
            return 0.5 * idwt2(gradient)

    x = noise(1, 1, 4, 4).requires_grad_()
    assert not torch.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False)
