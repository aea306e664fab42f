"""What the whole suite shares: Hypothesis profiles, one thread, a torchvision that imports, and
garbage collections that leave out what is there to stay."""

from __future__ import annotations

import gc
import os

# Read when torch's compiler is imported. Else it would start processes that compile for GPUs, each
# with a torch of its own, as soon as one test compiles for the CPU.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

import torch
from hypothesis import HealthCheck, settings

from tests.examples import DAILY
from wavevit.interop.timm_import import declare_operators

# PyPI's torchvision is built for CUDA torch and asks for operators that CPU torch lacks. Beside a
# torch that it fits it has them, and a second declaration would end the process.
try:
    import torchvision  # noqa: F401
except RuntimeError as error:
    declare_operators(error)

_SLOW_OK = [HealthCheck.too_slow, HealthCheck.data_too_large]
# By day few examples of each law: other ones in every developer's run, the same ten in CI, where
# they guard against what was right before. At night a thousand.
settings.register_profile("dev", max_examples=DAILY, deadline=None, suppress_health_check=_SLOW_OK)
settings.register_profile(
    "ci", max_examples=10, deadline=None, derandomize=True, suppress_health_check=_SLOW_OK
)
settings.register_profile(
    "nightly", max_examples=1000, deadline=None, suppress_health_check=_SLOW_OK
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

torch.set_num_threads(1)  # the suite runs in several processes; small tensors gain nothing


def pytest_collection_finish() -> None:
    """Half a million objects of imported modules and collected tests live to the end. Libraries
    that collect garbage, accelerate for one at every load, looked through all of them: a second."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """What is frozen would look to bindings like a leak when the process ends."""
    gc.unfreeze()
