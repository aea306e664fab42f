"""Examination of one model: its declarations, one observed run, and the views for measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.auditing.calling import Called, Pictured, keyword_of
from wavevit.auditing.declared import (
    Normalization,
    declared_channels,
    declared_size,
    first_convolution,
)
from wavevit.auditing.naming import Named
from wavevit.auditing.outputs import Chosen, grid_of, place_of
from wavevit.auditing.probing import Probe, probed
from wavevit.auditing.runtimes import ProgramModel, as_callable
from wavevit.auditing.views import (
    InputOf,
    OnGrid,
    Pooled,
    headless,
    hidden_views,
    through,
    token_map,
)
from wavevit.auditing.wrappers import inner_of, peel
from wavevit.checks import check_at_least, fail
from wavevit.measure.evaluation import evaluation_mode, reachable

__all__ = ["Examination"]

# Names of outputs that are features already, of transformers' models.
_FEATURES = ("pooler_output", "last_hidden_state", "image_embeds", "image_features", "embedding")


class Examination:
    """A model, what it declares, and one watched run of what is inside its wrappers."""

    def __init__(
        self,
        model: Any,
        named: Named,
        size: int | None,
        channels: int | None,
        normalization: Normalization | None,
    ) -> None:
        self.given, self.named = model, named
        self.model, self.wrappers = peel(model)
        self.model = as_callable(self.model)
        self.inner = inner_of(self.model)
        modules = reachable(self.inner)
        tensors = [t for m in modules for t in (*m.parameters(False), *m.buffers(False))]
        if any(tensor.is_meta for tensor in tensors):
            fail("model", "weights", "tensors on the meta device, which hold none")
        objects = dict.fromkeys([self.inner, *modules])
        self.size, self.size_source = _size(objects, size)
        declared = declared_channels(objects)
        if channels is not None:
            counts, self.channels_source = [channels], "given"
        elif declared is not None:
            counts, self.channels_source = [declared[0]], f"declared by {declared[1]}"
        else:
            tried = (3, first_convolution(modules), 1)
            counts = list(dict.fromkeys(count for count in tried if count is not None))
            self.channels_source = "not declared: found by trying"
        shape = getattr(self.inner, "input_shape", None)
        self.probe: Probe = probed(
            self.called(self.inner),
            self.size,
            channels=counts,
            like=_examples(self.inner, tensors),
            batch=shape[0] if shape else None,
            sides=[s for s in [_square(declared_size(objects))] if s],
            given=channels is not None,
        )
        self.images = self.probe.images
        if self.inner is not self.model:
            self._check_alignment()
        self.channels = self.images.shape[1]
        self.modules = tuple(modules)
        found = normalization or self.probe.trace.normalization
        for argument, values in (("mean", found.mean), ("std", found.std)):
            if found is normalization and len(values) not in (1, self.channels):
                fail(argument, f"one number, or {self.channels}: one for each channel", values)
        self.normalization = found.of(self.channels)

    def _check_alignment(self) -> None:
        """The model inside takes the images; what its alignment makes of its output is checked."""
        try:
            with torch.no_grad(), evaluation_mode(self.model):
                self.called(self.model)(self.images)
        except Exception as error:  # of somebody's model
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise ValueError(f"model: expected one that can be aligned, got {reason}") from error

    def called(self, model: Any, **extra: Any) -> Called:
        """A model that is called as it wants to be."""
        return Called(model, keyword_of(model), self.named.around, **extra)

    def view(self, model: Callable[[Tensor], Any]) -> Pictured:
        """A view of pictures in [0, 1]."""
        mean, std = self.normalization.mean, self.normalization.std
        view = Pictured(model, mean, std, self.images.dtype, self.probe.batch)
        return view.to(self.images.device)

    def embedding(self, output: Tensor) -> tuple[nn.Module | None, str]:
        """The pooled features of the model, None for its output; and what they are."""
        trace = self.probe.trace
        if output.ndim == 4:
            whole = Chosen(self.called(self.model), trace.path)
            return Pooled(whole), "mean of the output's map"
        if output.ndim != 2 or _is_features(trace.path):
            return None, "the output"
        bare = self._through(self._headless)
        if bare is not None:
            return bare, "features before the classifier"
        if trace.last is None:
            return None, "the output"
        last = trace.last
        bare = through(self.model, lambda inner: InputOf(self.called(inner), last.layer, last.call))
        return bare, f"features before {last.name}, the layer that makes the output"

    def _through(self, view: Callable[[Any], nn.Module | None]) -> nn.Module | None:
        """`view` of the core, with the alignments around it and inside its wrapper."""
        return through(self.model, lambda _: through(self.probe.trace.core, view))

    def _headless(self, model: Any) -> nn.Module | None:
        bare = headless(model)
        return bare and self.called(bare)

    def tokens(self, output: Tensor) -> tuple[nn.Module | None, str]:
        """The last map of the model, or None; and where it comes from."""
        trace = self.probe.trace
        tokens = self._through(self._token_map)
        if tokens is not None:
            return tokens, "last map of forward_intermediates"
        hidden, source = self._hidden_map()
        if hidden is not None:
            return self._through(lambda _: hidden), source
        if output.ndim < 3:
            return None, "none"
        grid = grid_of(output)
        if grid is None:
            return None, f"none: the output's shape {tuple(output.shape[1:])} is no map of tokens"
        side, prefix = grid

        def on_the_grid(inner: Any) -> nn.Module:
            return OnGrid(Chosen(self.called(inner), trace.path), side, prefix)

        return through(self.model, on_the_grid), "the output"

    def _hidden_map(self) -> tuple[nn.Module | None, str]:
        """The best hidden state of transformers that fills a square grid."""
        for view, source in hidden_views(inner_of(self.probe.trace.core), self.called):
            found = self._tried(view)
            grid = None if found is None else grid_of(found)
            if grid is not None:
                return OnGrid(view, *grid), source
        return None, ""

    def _token_map(self, model: Any) -> nn.Module | None:
        found = token_map(model)
        return found if found is not None and self._tried(found) is not None else None

    def _tried(self, view: nn.Module) -> Tensor | None:
        """What a view makes of the probe's images; None where the model does not give it."""
        try:
            with torch.no_grad(), evaluation_mode(view), self.named.around():
                found = view(self.images)
        except Exception:  # of somebody's model: it offers a name, and nothing behind it
            return None
        return found if isinstance(found, Tensor) and found.is_floating_point() else None

    def notes(self) -> list[str]:
        """What a reader of the figures has to know about how the model was called."""
        notes = []
        if "torch.compile" in self.wrappers or "OptimizedModule" in self.wrappers:
            notes.append("measured uncompiled; its time is that of the compiled model")
        if any(isinstance(module, ProgramModel) for module in self.modules):
            notes.append("a program of torch.export: measured in its exported mode")
        if self.probe.batch is not None:
            notes.append(f"takes batches of {self.probe.batch} images only: measured with these")
        if self.channels not in (1, 3):
            notes.append(f"each of its {self.channels} channels gets the pictures' luminance")
        if self.images.dtype in (torch.float16, torch.bfloat16):
            kind = str(self.images.dtype).removeprefix("torch.")
            notes.append(f"computes in {kind}: figures include the rounding of that precision")
        return notes

    def unclassed(self, output: Tensor) -> str:
        """Why the output holds no class scores; empty if it does."""
        path = self.probe.trace.path
        if output.ndim != 2:
            return (
                f"an output of shape {tuple(output.shape[1:])} for each image is not class scores"
            )
        if getattr(self.inner, "num_classes", None) == 0:
            return "the model has no classifier"
        if _is_features(path):
            return f"the output{place_of(path)} has features, not class scores"
        if output.shape[1] < 2:
            return "the output has one number for each image, so there is only one class"
        return ""


def _size(objects: Any, size: int | None) -> tuple[int, str]:
    if size is not None:
        return size, "given"
    found = declared_size(objects)
    if found is None:
        expected = "the side of the model's input in pixels, such as 224 (the model declares none)"
        fail("size", expected, None)
    side, source = found
    if not isinstance(side, int):
        fail("size", "one side for a square input (the model declares two different sides)", side)
    return check_at_least("size", side, 8), f"declared by {source}"


def _square(found: tuple[Any, str] | None) -> int | None:
    return found[0] if found is not None and isinstance(found[0], int) else None


def _examples(model: Any, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors of the device of a model and of the precisions that it may take."""
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    device = tensors[0].device if tensors else torch.device("cpu")
    dtypes = dict.fromkeys(t.dtype for t in floating)
    own = getattr(model, "input_dtype", None)
    kinds = [own] if own is not None else [*dtypes, torch.float32]
    return [torch.empty(0, dtype=kind, device=device) for kind in dict.fromkeys(kinds)]


def _is_features(path: tuple[Any, ...]) -> bool:
    return any(getattr(step, "name", step) in _FEATURES for step in path)
