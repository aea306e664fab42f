"""Find the patch embedding of a model, and its convolution."""

from __future__ import annotations

from typing import Any

from torch import nn

from wavevit.checks import as_pair, fail
from wavevit.layers import Part
from wavevit.layers.tokenizers import PatchTokenizer

__all__ = ["convolution_name", "find_embedding", "patch_convolution", "training_grid"]

# Names of patch embeddings: timm; transformers (a module, or the convolution itself); wavevit;
# OpenAI's CLIP and open_clip; torchvision.
_NAMES = ("patch_embed", "patch_embeddings", "patch_embedding", "tokenizer", "conv1", "conv_proj")
_SUPPORTED = (
    "a model with one patch embedding: patch_embed of timm, patch_embeddings or patch_embedding of "
    "transformers, conv1 of CLIP, conv_proj of torchvision, or tokenizer='patch' of wavevit"
)


def find_embedding(model: nn.Module) -> tuple[str, nn.Module]:
    """Finds the patch embedding of a model: a convolution with kernel = stride, or around one.

    Args:
        model: of timm, transformers, open_clip, torchvision or wavevit; also one inside a wrapper.

    Returns:
        Its name, as `torch.nn.Module.get_submodule` takes it, and the module.

    Raises:
        ValueError: no patch embedding, several, or a stem that is no patch convolution; the
            message says what was found and what is supported.
    """
    if not isinstance(model, nn.Module):
        fail("model", _SUPPORTED, type(model).__name__)
    found = _candidates(model)
    if not found:
        children = ", ".join(name for name, _ in model.named_children()) or "no modules"
        fail("model", _SUPPORTED, f"{type(model).__name__} with {children}")
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        fail("model", _SUPPORTED, f"{type(model).__name__} with {len(found)}: {names}")
    name, module = found[0]
    _check_convolution(name, module)
    return name, module


def _candidates(model: nn.Module) -> list[tuple[str, nn.Module]]:
    found: list[tuple[str, nn.Module]] = []
    for name, module in model.named_modules():
        last = name.rpartition(".")[2]
        inside = any(name.startswith(f"{other}.") for other, _ in found)
        if last in _NAMES and not inside and (last != "tokenizer" or isinstance(module, Part)):
            found.append((name, module))
    # Residual blocks call their first convolution conv1 too: of these only the first is a stem.
    stems = [one for one in found if one[0].rpartition(".")[2] == "conv1"]
    others = [one for one in found if one not in stems]
    return others or stems[:1]


def convolution_name(module: nn.Module) -> str | None:
    """Name of the only convolution of a patch embedding, ``""`` for itself; None if unclear."""
    if isinstance(module, nn.Conv2d):
        return ""
    convolutions = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Conv2d) and not name.startswith("graft.")
    ]
    only = convolutions[0] if len(convolutions) == 1 else "."
    return None if "." in only else only


def patch_convolution(module: nn.Module) -> nn.Conv2d | None:
    """The only convolution of a patch embedding; None if there is none or several."""
    name = convolution_name(module)
    if name is None:
        return None
    found = module.get_submodule(name)
    assert isinstance(found, nn.Conv2d)
    return found


def _check_convolution(name: str, module: nn.Module) -> None:
    if isinstance(module, Part) and not isinstance(module, PatchTokenizer):
        fail(name, "tokenizer='patch'", type(module).__name__)
    conv = patch_convolution(module)
    if conv is None:
        inside = ", ".join(
            f"{child} ({type(part).__name__})" for child, part in module.named_children()
        )
        got = f"{type(module).__name__} with {inside or 'no modules'}"
        fail(name, "a patch embedding with a single nn.Conv2d (no stem of several layers)", got)
    plain = conv.padding in ("valid", (0, 0)) and conv.dilation == (1, 1) and conv.groups == 1
    if conv.kernel_size != conv.stride or min(conv.stride) < 2 or not plain:
        got = f"kernel {conv.kernel_size}, stride {conv.stride}, padding {conv.padding}"
        extras = f", dilation {conv.dilation}, groups {conv.groups}"
        expected = "patches side by side: kernel = stride of 2 or more (overlapping stems do not"
        fail(name, f"{expected} fit a graft)", got + ("" if plain else extras))


def training_grid(module: nn.Module, patch: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of tokens at the training size; of one token where no size is known."""
    grid: Any = getattr(module, "grid_size", None)
    if grid is not None:
        return int(grid[0]), int(grid[1])
    size: Any = getattr(module, "image_size", patch)
    height, width = as_pair(size)
    return max(height // patch[0], 1), max(width // patch[1], 1)
