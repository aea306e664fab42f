"""Deprecated methods of layers: Lipschitz bounds, whose rules are in `wavevit.measure.certify`."""

from __future__ import annotations

from typing import Any

from wavevit.deprecated import successor, warn_deprecated

__all__ = ["OldBounds", "OldGrowth", "OldSteps"]

_RULES = "wavevit.measure.certify.rules"


class OldBounds:
    """The methods `lipschitz_bound` and `constant_at`, which layers had before.

    A module outside wavevit may have methods of these names: they declare its constants
    (`wavevit.measure.certify.lipschitz_of`). This class declares none.
    """

    def lipschitz_bound(self, tokens: int | None = None) -> float:
        """Deprecated: use `wavevit.measure.certify.lipschitz_of`."""
        warn_deprecated(
            f"{type(self).__name__}.lipschitz_bound",
            "wavevit.measure.certify.lipschitz_of(module, tokens)",
        )
        bound: float = successor(_RULES, "bound_by_rule")(self, tokens)
        return bound

    def constant_at(self, size: tuple[int, int]) -> Any:
        """Deprecated: use `wavevit.measure.certify.lipschitz_at`."""
        warn_deprecated(
            f"{type(self).__name__}.constant_at",
            "wavevit.measure.certify.lipschitz_at(module, size)",
        )
        return successor(_RULES, "constant_by_rule")(self, size)


class OldGrowth(OldBounds):
    """The method `growth` of downsampling layers besides."""

    def growth(self, grid: tuple[int, int]) -> float:
        """Deprecated: `wavevit.measure.certify.lipschitz_at` has the constant at that grid."""
        warn_deprecated(
            f"{type(self).__name__}.growth",
            "wavevit.measure.certify.lipschitz_at(module, grid)",
        )
        found: float = successor("wavevit.measure.certify.downsampling", "growth_of")(self, grid)
        return found


class OldSteps:
    """The method `lipschitz_steps` of a backbone."""

    def lipschitz_steps(self, size: tuple[int, int]) -> Any:
        """Deprecated: use `wavevit.measure.certified_lipschitz`."""
        warn_deprecated(
            f"{type(self).__name__}.lipschitz_steps",
            "wavevit.measure.certify.lipschitz_steps(model, size)",
        )
        return successor("wavevit.measure.certify", "lipschitz_steps")(self, size)
