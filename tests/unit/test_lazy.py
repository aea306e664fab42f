"""Packages of wavevit are there after `import wavevit`, and are imported when asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import wavevit
from wavevit.deprecated import REMOVED_IN

HEAVY = ("matplotlib", "skimage", "kornia", "scipy", "timm", "torchvision", "pywt", "hypothesis")
HEAVY += ("numba", "triton", "huggingface_hub")
# Of a process that has imported nothing before.
PROBE = f"""
import sys, wavevit
assert not [name for name in {HEAVY!r} if name in sys.modules]
early = [name for name in sys.modules if name.startswith("wavevit.")]
upper = ("measure", "testing", "data", "interop", "auditing", "pictures", "cli")
assert not [name for name in early if name.split(".")[1] in upper], early
assert {{"wavelets", "layers", "audit", *upper}} <= set(dir(wavevit))
assert wavevit.measure.shift_sensitivity and wavevit.testing.assert_shift_invariant
assert wavevit.wavelets.compat.DWTForward and wavevit.data.scenes.Scenes
assert wavevit.interop.timm.register and wavevit.interop.hub.from_pretrained
assert wavevit.layers.tokenizers.PatchTokenizer and wavevit.pictures
# a fifth of the time of an import, and only exported graphs need it
assert "sympy" not in sys.modules
assert callable(wavevit.audit) and wavevit.auditing.AuditReport
print("whole")
"""


def test_one_import_is_enough_and_light() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True)
    assert done.stdout.strip() == "whole", done.stderr


def test_names_that_are_not_there() -> None:
    for package in (wavevit, wavevit.interop, wavevit.wavelets, wavevit.testing, wavevit.data):
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute"):
            _ = package.no_such_module
        assert not hasattr(package, "__wrapped__")
    assert {"hub", "timm", "timm_registry"} <= set(dir(wavevit.interop))


def test_dir_has_every_public_name() -> None:
    for package in (wavevit, wavevit.wavelets, wavevit.testing, wavevit.data):
        assert set(package.__all__) <= set(dir(package)), package.__name__


def test_deprecated_switch_of_kernels_names_its_successor() -> None:
    message = rf"{REMOVED_IN} removes it: use wavevit\.wavelets\.kernels$"
    with pytest.warns(DeprecationWarning, match=message) as caught:
        from wavevit.wavelets.haar_maps import kernels
    assert caught[0].filename == __file__
    assert kernels is wavevit.wavelets.kernels
    with pytest.raises(AttributeError, match="no attribute 'HaarMap'"):
        _ = wavevit.wavelets.haar_maps.HaarMap
