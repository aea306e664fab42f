"""timm imports beside a torchvision that was built for another torch, and says so."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tests import warm_python
from wavevit.interop import timm_import
from wavevit.interop.timm_import import import_timm


@pytest.mark.parametrize(
    "code",
    [
        "from wavevit.interop.timm_import import import_timm as i; print(i().is_model('vit_tiny'))",
        "from wavevit.interop.timm import register; print(register()['test_vit'] == 'test_vit')",
    ],
)
def test_a_process_of_its_own_gets_timm(code: str) -> None:
    """The suite's own process has the operators declared already (tests/conftest.py)."""
    done = warm_python.run([sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("True", "False")
    # Where torchvision fits there is nothing to say.
    assert (not done.stderr) or "torchvision was built for another torch" in done.stderr


@pytest.mark.parametrize("error", ["operator torchvision::nms does not exist", "out of luck"])
def test_only_the_torchvision_error_is_fixed_with_a_warning(
    error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ModuleType("timm")
    answers = [RuntimeError(error), found]

    def require(module: str, extra: str) -> ModuleType:
        answer = answers.pop(0)
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    monkeypatch.setattr(timm_import, "require_extra", require)
    monkeypatch.setattr(timm_import, "_declared", [None])  # the suite has declared them
    monkeypatch.setattr(timm_import.sys, "modules", dict(sys.modules))
    if error == "out of luck":
        with pytest.raises(RuntimeError, match="out of luck"):
            import_timm()
        return
    with pytest.warns(RuntimeWarning, match="torchvision was built for another torch than"):
        assert import_timm() is found


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match=r"wavevit\[timm\]"):
        import_timm()
