"""Testing kit: assertions for laws of transforms and models, with tolerances for each dtype.

The Hypothesis strategies are in `wavevit.testing.strategies` (extra ``test``).
"""

from wavevit.lazy import lazy_submodules
from wavevit.testing.assertions import (
    assert_close_relative,
    assert_perfect_reconstruction,
    assert_shift_equivariant,
    assert_shift_invariant,
)
from wavevit.testing.bounds import assert_continuous, assert_lipschitz, steepest_pair
from wavevit.testing.contract import CONTRACT, SHAPES, assert_backbone_contract
from wavevit.testing.task_laws import TASK_LAWS
from wavevit.testing.tasks import TASK_CONTRACT, assert_task_contract
from wavevit.testing.tolerances import (
    NETWORK_TOLERANCES,
    TOLERANCES,
    network_tolerance,
    tolerance,
)

__all__ = [
    "CONTRACT",
    "NETWORK_TOLERANCES",
    "SHAPES",
    "TASK_CONTRACT",
    "TASK_LAWS",
    "TOLERANCES",
    "assert_backbone_contract",
    "assert_close_relative",
    "assert_continuous",
    "assert_lipschitz",
    "assert_perfect_reconstruction",
    "assert_shift_equivariant",
    "assert_shift_invariant",
    "assert_task_contract",
    "network_tolerance",
    "steepest_pair",
    "tolerance",
]

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
