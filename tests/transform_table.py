"""Every public transform, forth and back: the one table that tests of all of them read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.tensors import flat, noise
from wavevit.wavelets import (
    Lifting,
    dtcwt2,
    dwt,
    dwt2,
    dwt3,
    idtcwt2,
    idwt,
    idwt2,
    idwt3,
    iswt,
    iswt2,
    iswt3,
    iwavepacket2,
    scattering2,
    swt,
    swt2,
    swt3,
    wavedec,
    wavedec2,
    wavedec3,
    wavepacket2,
    waverec,
    waverec2,
    waverec3,
)

__all__ = ["CALLS", "SIZE", "TRANSFORMS", "Transform", "call"]

SIZE = (5, 4)  # odd and even: borders of both kinds


@dataclass(frozen=True)
class Transform:
    """Forth, and back from the parts that forth gives; a linear one unless said otherwise.

    Attributes:
        names: of the public functions and classes that it calls.
        forth: images to coefficients.
        back: coefficients to images, where there is a way back.
        linear: whether both are.
        size: of the images, signals or volumes.
    """

    names: tuple[str, ...]
    forth: Callable[[Tensor], Tensor | Sequence[Tensor]]
    back: Callable[..., Tensor] | None = None
    linear: bool = True
    size: tuple[int, ...] = SIZE


def lifting(seed: int = 0) -> Lifting:
    made = Lifting(1, steps=2, dtype=torch.float64)
    with torch.no_grad():
        made.weight.copy_(0.3 * noise(*made.weight.shape, seed=seed))
    return made.requires_grad_(False)


LIFTING = lifting()
TRANSFORMS = {
    "dwt2": Transform(
        ("dwt2", "idwt2"),
        lambda x: dwt2(x, "db2", "symmetric"),
        lambda c: idwt2(c, "db2", "symmetric", SIZE),
    ),
    "dwt2 haar": Transform(("dwt2", "idwt2"), dwt2, lambda c: idwt2(c, output_size=SIZE)),
    "wavedec2": Transform(
        ("wavedec2", "waverec2"),
        lambda x: wavedec2(x, "bior2.2", "reflect", 2),
        lambda a, *d: waverec2((a, d), "bior2.2", "reflect", SIZE),
    ),
    "wavedec2 haar": Transform(
        ("wavedec2", "waverec2"),
        lambda x: wavedec2(x, level=2),
        lambda a, *d: waverec2((a, d), output_size=SIZE),
    ),
    "wavepacket2": Transform(
        ("wavepacket2", "iwavepacket2"),
        lambda x: wavepacket2(x, "db2", "zero", 2),
        lambda c: iwavepacket2(c, "db2", "zero", SIZE),
    ),
    "wavepacket2 haar": Transform(
        ("wavepacket2", "iwavepacket2"),
        lambda x: wavepacket2(x, level=2),
        lambda c: iwavepacket2(c, output_size=SIZE),
    ),
    "swt2": Transform(("swt2", "iswt2"), lambda x: swt2(x, "db2", 2), lambda c: iswt2(c, "db2")),
    "swt2 haar": Transform(("swt2", "iswt2"), lambda x: swt2(x, level=2), iswt2),
    "dtcwt2": Transform(
        ("dtcwt2", "idtcwt2"),
        lambda x: dtcwt2(x, 2),
        lambda a, *d: idtcwt2((a, d), output_size=SIZE),
    ),
    "dtcwt2 periodic": Transform(
        ("dtcwt2", "idtcwt2"),
        lambda x: dtcwt2(x, 2, "antonini", "qshift_b", "periodic"),
        lambda a, *d: idtcwt2((a, d), "antonini", "qshift_b", "periodic", SIZE),
    ),
    "scattering2": Transform(("scattering2",), lambda x: scattering2(x, 2, 2), linear=False),
    "lifting": Transform(("Lifting",), LIFTING, lambda c: LIFTING.inverse(c, SIZE)),
    "dwt": Transform(
        ("dwt", "idwt"),
        lambda x: dwt(x, "db2", "symmetric"),
        lambda c: idwt(c, "db2", "symmetric", 5),
        size=(5,),
    ),
    "wavedec": Transform(
        ("wavedec", "waverec"),
        lambda x: wavedec(x, "bior2.2", "antireflect", 2),
        lambda a, *d: waverec((a, d), "bior2.2", "antireflect", 9),
        size=(9,),
    ),
    "swt": Transform(
        ("swt", "iswt"), lambda x: swt(x, "db2", 2), lambda c: iswt(c, "db2"), size=(5,)
    ),
    "dwt3": Transform(
        ("dwt3", "idwt3"),
        lambda x: dwt3(x, "bior2.2", "reflect"),
        lambda c: idwt3(c, "bior2.2", "reflect", (2, 3, 4)),
        size=(2, 3, 4),
    ),
    "dwt3 haar": Transform(("dwt3", "idwt3"), dwt3, idwt3, size=(2, 4, 2)),
    "wavedec3": Transform(
        ("wavedec3", "waverec3"),
        lambda x: wavedec3(x, "db2", "zero", 2),
        lambda a, *d: waverec3((a, d), "db2", "zero", (4, 5, 4)),
        size=(4, 5, 4),
    ),
    "swt3": Transform(
        ("swt3", "iswt3"),
        lambda x: swt3(x, "bior2.2", 2),
        lambda c: iswt3(c, "bior2.2"),
        size=(2, 3, 2),
    ),
}
# Name and way, of everything that there is.
CALLS = [
    (name, way)
    for name, transform in TRANSFORMS.items()
    for way in ("forth", "back")
    if way == "forth" or transform.back
]


def call(name: str, way: str) -> tuple[Callable[..., tuple[Tensor, ...]], list[Tensor]]:
    """The function of one way, and what it is given."""
    transform = TRANSFORMS[name]
    x = noise(1, 1, *transform.size)
    if way == "forth":
        return lambda x: tuple(flat(transform.forth(x))), [x]
    parts = [part.detach() for part in flat(transform.forth(x))]
    return lambda *parts: (transform.back(*parts),), parts
