"""Subject of contract checks: builds models and images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.checks import check_choice, fail

__all__ = ["Size", "Subject", "chosen_checks", "require"]

Size = tuple[int, int]


def require(condition: object, message: str) -> None:
    """Assertion that also works under ``python -O``."""
    if not condition:
        raise AssertionError(message)


class Subject:
    """A backbone under test.

    Args:
        source: a callable that builds it from timm's arguments (``num_classes``, ``in_chans``,
            ``features_only``, ``out_indices``, ``drop_path_rate``), or a module, which is copied;
            checks that need other arguments cannot run then.
        sizes: (H, W) of images to try; the first is used if the size does not matter.
        device: ``"meta"`` checks shapes and names only, at no cost.
    """

    def __init__(
        self,
        source: nn.Module | Callable[..., nn.Module],
        sizes: Sequence[Size],
        device: str = "cpu",
    ) -> None:
        self.source, self.sizes, self.device = source, tuple(sizes), device

    @property
    def builds(self) -> bool:
        """Whether models with other arguments can be made."""
        return not isinstance(self.source, nn.Module)

    def new(self, seed: int = 0, **arguments: Any) -> Any:
        """A model in eval mode with 7 classes and random weights from `seed`."""
        with torch.random.fork_rng(devices=[]), torch.device(self.device):
            torch.manual_seed(seed)
            if isinstance(self.source, nn.Module):
                model: Any = copy.deepcopy(self.source).to(self.device)
                model.reset_classifier(arguments.get("num_classes", 7))
            else:
                model = self.source(**({"num_classes": 7} | arguments))
        return model.eval()

    def images(
        self, size: Size | None = None, batch: int = 2, channels: int | None = None
    ) -> Tensor:
        """White noise (batch, channels, H, W), the same at every call."""
        if channels is None:
            channels = getattr(self.source, "in_chans", 3)
        shape = (batch, channels, *(size or self.sizes[0]))
        if self.device == "meta":
            return torch.empty(shape, device="meta")
        return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def chosen_checks(checks: Iterable[str] | None, known: Iterable[str]) -> list[str]:
    """The names of the checks to run, all of them for None.

    Raises:
        ValueError: an unknown name, or none at all: a contract without checks would always hold.
    """
    names = list(known)
    if checks is None:
        return names
    if isinstance(checks, str) or not isinstance(checks, Iterable):
        fail("checks", "a sequence of names", repr(checks))
    chosen = [check_choice("checks", name, names) for name in checks]
    if not chosen:
        fail("checks", "at least one name", "none")
    return chosen
