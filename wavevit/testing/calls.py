"""Contract checks of hooks, copies, parallel training and gradients of a backbone."""

from __future__ import annotations

import contextlib
import copy
import pickle
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wavevit.testing.assertions import assert_close_relative
from wavevit.testing.subject import Subject, require

__all__ = ["copies", "empty_batch", "hooks", "parallel", "without_gradient"]


def _owners(model: nn.Module) -> list[str]:
    return [
        name
        for name, module in model.named_modules()
        if name and next(module.parameters(recurse=False), None) is not None
    ]


def _as_map(output: Tensor, like: Tensor) -> Tensor:
    """A hook's output as a map: NCHW as it is, NHWC turned, tokens without the first ones."""
    if output.ndim == 3:
        places = like.shape[-2] * like.shape[-1]
        return output[:, -places:].transpose(1, 2).unflatten(2, like.shape[-2:])
    return output if output.shape == like.shape else output.permute(0, 3, 1, 2)


def hooks(subject: Subject) -> None:
    """Each module of `feature_info` is called once in a forward pass and returns its feature.

    All modules that own parameters are called too: a parameter that is used outside its module's
    call is missed by hooks, `fully_shard`, LoRA and quantisation.
    """
    model, x = subject.new(), subject.images(batch=1)
    calls: Counter[str] = Counter()
    outputs: dict[str, Tensor] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            calls[name] += 1
            outputs[name] = output

        return hook

    features = [entry["module"] for entry in model.feature_info]
    for name in {*features, *_owners(model)}:
        model.get_submodule(name).register_forward_hook(note(name))
    maps = model.forward_intermediates(x, intermediates_only=True)
    for name, expected in zip(features, maps, strict=True):
        require(calls[name] == 1, f"{name} is called {calls[name]} times by forward_intermediates")
        require(isinstance(outputs[name], Tensor), f"{name} returns no tensor")
        assert_close_relative(_as_map(outputs[name], expected), expected)
    for run in (model.forward_features, model):
        calls.clear()
        run(x)
        wrong = [name for name in features if calls[name] != 1]
        require(not wrong, f"not called exactly once: {wrong[:4]}")
    silent = [name for name in _owners(model) if not calls[name]]
    require(not silent, f"parameters are used without a call of {silent[:4]}")
    _backward_hooks(subject, features)


def _backward_hooks(subject: Subject, features: list[str]) -> None:
    model, seen = subject.new(), []
    for name in features:
        model.get_submodule(name).register_full_backward_hook(
            lambda module, before, after, name=name: seen.append((name, after[0]))
        )
    model(subject.images(batch=1).requires_grad_()).square().sum().backward()
    require([name for name, _ in seen] == features[::-1], f"backward hooks fire at {seen}")
    require(all(grad is not None and grad.any() for _, grad in seen), "a gradient is missing")


def empty_batch(subject: Subject) -> None:
    """An empty batch works, forward and backward (for a rank without images)."""
    for size in subject.sizes:
        model, x = subject.new().train(), subject.images(size, batch=0)
        logits = model(x)
        require(logits.shape == (0, 7), f"{tuple(logits.shape)} of no images at {size}")
        logits.sum().backward()
        maps = model.forward_intermediates(x, intermediates_only=True)
        require(all(len(feature) == 0 for feature in maps), "maps of no images")


def copies(subject: Subject) -> None:
    """A deep copy and a pickled copy give the same outputs and share no tensors."""
    model, x = subject.new(), subject.images()
    expected = model(x)
    pickled = pickle.loads(pickle.dumps(model))  # our own bytes of a moment ago
    for twin in (copy.deepcopy(model), pickled):
        assert_close_relative(twin(x), expected)
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.fill_(0.5)
        assert_close_relative(model(x), expected)


@contextlib.contextmanager
def _one_process() -> Iterator[None]:
    """A process group of this process alone, unless there is a group already."""
    if dist.is_initialized():
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        store = dist.FileStore(str(Path(folder) / "store"), 1)
        dist.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            yield
        finally:
            dist.destroy_process_group()


def parallel(subject: Subject) -> None:
    """`DistributedDataParallel` takes two steps without unused parameters, checkpointing too."""
    with _one_process():
        for recompute in (False, True):
            model = subject.new().train()
            model.set_grad_checkpointing(recompute)
            wrapped = DistributedDataParallel(model)
            with warnings.catch_warnings():
                # A depthwise kernel's gradient may be channels-last: a copy, and no error.
                warnings.filterwarnings("ignore", "Grad strides do not match", UserWarning)
                for _ in range(2):  # the second step would stop without a word on which
                    wrapped.zero_grad()
                    wrapped(subject.images()).square().sum().backward()
                    idle = without_gradient(model)
                    require(not idle, f"no gradient reaches {idle[:4]}")


def without_gradient(model: nn.Module) -> list[str]:
    """Names of the parameters without a gradient after a backward pass."""
    return [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
