"""Private names of torch are used in one file, and the transforms are right without them."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests import warm_python

ROOT = Path(__file__).parent.parent
GUARDED = ROOT / "wavevit" / "wavelets" / "_engine" / "torch_private.py"
# Private attributes of torch's objects: of modules, storages, compiled models and functions.
ATTRIBUTES = {"_buffers", "_cdata", "_current_level", "_dynamo_marked_constant", "_metadata"}
ATTRIBUTES |= {"_modules", "_orig_mod", "_parameters", "_torchdynamo_orig_callable", "_version"}
ATTRIBUTES |= {f"_{kind}_hooks" for kind in ("forward", "forward_pre", "backward", "state_dict")}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def dotted(node: ast.AST) -> list[str]:
    """``torch.a.b`` as ``["torch", "a", "b"]``; empty if the expression is no such name."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return [*owner, node.attr]
    return []


def private_uses(source: str) -> list[str]:
    """Private names of torch in a file: imported, as attributes, or as strings that name one."""
    tree, found, modules = ast.parse(source), [], {"torch"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "torch"]
        else:
            continue
        found += [name for name in names if any(map(is_private, name.split(".")))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner, *rest = dotted(node) or [""]
            if node.attr in ATTRIBUTES or (owner in modules and is_private(node.attr)):
                found.append(".".join([owner, *rest]) if owner else node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = node.value.split(".")
            named = parts[0] == "torch" and all(part.isidentifier() for part in parts if part)
            if node.value in ATTRIBUTES or (named and any(map(is_private, parts))):
                found.append(node.value)
    return found


def test_private_names_of_torch_are_in_one_file() -> None:
    uses = {
        str(path.relative_to(ROOT)): found
        for path in sorted(ROOT.glob("wavevit/**/*.py"))
        if path != GUARDED and (found := private_uses(path.read_text()))
    }
    assert not uses, f"move these to {GUARDED.relative_to(ROOT)}: {uses}"


def test_private_names_are_seen() -> None:
    """Negative control: each way of using one."""
    for source in (
        "import torch\ntorch._C._is_tracing()",
        "import torch\ntorch.compiler._is_exporting_flag",
        "from torch.autograd import forward_ad\nforward_ad._current_level",
        "from torch.utils._pytree import tree_leaves",
        "import torch._dynamo",
        "from torch import _C",
        "import sys\n'torch._dynamo' in sys.modules",
        "getattr(model, '_orig_mod', None)",
        "storage()._cdata",
        "module._forward_hooks",
    ):
        assert private_uses(source), source
    assert private_uses(GUARDED.read_text())
    assert not private_uses("import torch\ntorch.__version__\nself._map(torch.ones(1))._x")


WITHOUT = """
import builtins, importlib.util, sys, types
import torch
from torch.autograd import forward_ad

OWNERS = (torch, torch._C, torch.compiler, forward_ad)
asked = set()

def private(owner, name):
    hidden = name.startswith("_") and any(owner is one for one in OWNERS)
    if hidden:
        asked.add(name)
    return hidden

def hidden_getattr(owner, name, *default):
    return default[0] if private(owner, name) else builtins.getattr(owner, name, *default)

def hidden_hasattr(owner, name):
    return not private(owner, name) and builtins.hasattr(owner, name)

name = "wavevit.wavelets._engine.torch_private"
module = types.ModuleType(name)
module.__dict__.update(getattr=hidden_getattr, hasattr=hidden_hasattr)
with open(sys.argv[1]) as file:
    exec(compile(file.read(), sys.argv[1], "exec"), module.__dict__)
sys.modules[name] = module

import pywt
from wavevit.wavelets import dtcwt2, dwt2, idwt2, swt2, wavedec2, waverec2

assert len(asked) >= 8, asked
x = torch.randn(2, 3, 14, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
for wavelet in ("haar", "db3"):
    expected = pywt.dwt2(x.numpy(), wavelet, "periodization", axes=(-2, -1))
    bands = dwt2(x, wavelet)
    for index, band in enumerate((expected[0], *expected[1])):
        torch.testing.assert_close(bands[:, :, index], torch.from_numpy(band))
    torch.testing.assert_close(idwt2(bands, wavelet), x)
    torch.testing.assert_close(torch.func.vmap(lambda x: dwt2(x[None], wavelet)[0])(x), bands)
    tangent = torch.func.jvp(lambda x: dwt2(x, wavelet), (x,), (x,))[1]
    torch.testing.assert_close(tangent, bands)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(dwt2(leaf, wavelet).square().sum(), leaf)
    torch.testing.assert_close(gradient, 2 * x)
    torch.testing.assert_close(waverec2(wavedec2(x, wavelet, level=1), wavelet), x)
assert swt2(x, "db2").isfinite().all() and dtcwt2(x, 2).approx.isfinite().all()
print("right")
"""


def test_transforms_are_right_without_private_names() -> None:
    """Every name that the file can do without is missing, as in another release of torch."""
    command = [sys.executable, "-c", WITHOUT, str(GUARDED)]
    done = warm_python.run(command, cwd=ROOT)
    assert done.stdout.strip() == "right", done.stderr[-3000:]
