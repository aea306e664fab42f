"""Ways to make a trained model more shift-robust, for the measurement `graft`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn

from wavevit.alignment import align
from wavevit.grafting import graft, pooled_features
from wavevit.measure.evaluation import Model

CONTROL = "distilled, no wavelets"
GRAFT = "dtcwt graft"
BLURRED = "blur, distilled"
# The branch, which is new, learns faster than the model's own parameters.
BRANCH_FACTOR = 5


class Setting(NamedTuple):
    """What is chosen for each family of methods on validation windows.

    Attributes:
        rate: peak learning rate of the model's own parameters.
        still: weight of the model's own change under a shift by one pixel.
    """

    rate: float
    still: float

    @property
    def title(self) -> str:
        """In records and names of folders."""
        return f"rate {self.rate:g}, still {self.still:g}"


SETTINGS = tuple(Setting(rate, still) for rate in (5e-4, 1.5e-3) for still in (1.0, 4.0))


@dataclass(frozen=True)
class Method:
    """What is done to the model.

    A method without wavelets is trained with the setting that is best for `CONTROL`, a graft with
    the one that is best for `GRAFT`.

    Attributes:
        tokenizer: of the graft; empty for none.
        options: more of `wavevit.graft`'s, as pairs of name and value.
        blur: whether there is a low-pass before the patch embedding.
        phases: grid offsets that are averaged; 1 for none.
        train: what is distilled (`wavevit.grafting.distil`); empty for no training.
    """

    tokenizer: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    blur: bool = False
    phases: int = 1
    train: str = ""


METHODS: dict[str, Method] = {
    "original": Method(),
    "blur": Method(blur=True),
    "mean of 2 phases": Method(phases=2),
    "mean of 4 phases": Method(phases=4),
    CONTROL: Method(train="all"),
    BLURRED: Method(blur=True, train="all"),
    f"{GRAFT}, branch": Method("dtcwt", train="branch"),
    GRAFT: Method("dtcwt", train="all"),
    f"{GRAFT} with low-pass": Method("dtcwt", (("lowpass", 4),), train="all"),
    f"{CONTROL}, first blocks": Method(train="embedding+blocks"),
    f"{GRAFT}, first blocks": Method("dtcwt", train="branch+blocks"),
    "swt graft": Method("swt", train="all"),
    "dwt graft, linear": Method("dwt", (("subband_act", False),), train="all"),
}
# Measured by default; the others where they are asked for by name.
STANDARD = (
    "original",
    "blur",
    "mean of 2 phases",
    "mean of 4 phases",
    CONTROL,
    BLURRED,
    f"{GRAFT}, branch",
    GRAFT,
    f"{GRAFT} with low-pass",
    f"{CONTROL}, first blocks",
    f"{GRAFT}, first blocks",
)

# Of a pretrained model, whose distillation takes minutes: no blur before its patch embedding,
# which changes its features too much.
LABEL_FREE = tuple(
    name for name in STANDARD if METHODS[name].train in ("", "all") and not METHODS[name].blur
)
# Of a convolutional network: a low-pass before each of its strides (blur-pool).
CONVOLUTIONAL = ("original", "blur", CONTROL, BLURRED)


class Pooled(nn.Module):
    """A model's pooled features as its output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to (B, D)."""
        return pooled_features(self.model, x)


def student(method: Method, original: nn.Module) -> nn.Module:
    """The model that a method trains, or the changed model where it trains none.

    Its parameters are its own: the original stays as it is.
    """
    model = copy.deepcopy(original)
    if method.blur:
        model = align(model, "blur", boundary="window").model
    if method.tokenizer:
        model = graft(model, method.tokenizer, inplace=True, **dict(method.options))
    return model.eval()


def views_of(method: Method, model: nn.Module, patch: int) -> tuple[Model, Model]:
    """Images to logits, and images to pooled features."""

    def averaged(one: nn.Module) -> Callable[[Tensor], Tensor]:
        if method.phases == 1:
            return one
        return align(one, "group_average", period=patch, layout="none", phases=method.phases)

    return averaged(model), averaged(Pooled(model))
