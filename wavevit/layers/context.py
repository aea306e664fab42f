"""`PartContext`: values of the configuration that every layer may read when it is built."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PartContext"]


@dataclass(frozen=True, kw_only=True)
class PartContext:
    """Values that every layer is built from; options of a single layer are in its `Options`.

    Attributes:
        in_chans: channels of the image.
        dim: channels of the tokens that come in; of a tokenizer, of those that go out.
        out_dim: channels of the tokens that go out.
        patch_size: stride of the first grid in pixels.
        grid: rows and columns of the tokens that come in, at the training size; of a tokenizer, of
            those that go out.
        prefix_tokens: tokens in front that have no place on the grid (the class token).
        block: number of the block in its stage, from 0.
        num_heads, reduction, mlp, mlp_ratio: of the stage, see `wavevit.StageConfig`.
        drop_path: rate of stochastic depth, for a downsampling with a residual branch.
        padding, wavelet, position, norm, norm_eps, qkv_bias, activation, subband_norm,
        subband_act, low_pass, spectral_control: see `wavevit.BackboneConfig`.
    """

    in_chans: int
    dim: int
    out_dim: int
    patch_size: int
    grid: tuple[int, int]
    prefix_tokens: int = 0
    block: int = 0
    num_heads: int = 1
    reduction: int = 1
    mlp: str = "plain"
    mlp_ratio: float = 4.0
    drop_path: float = 0.0
    padding: str = "zeros"
    wavelet: str = "haar"
    position: str = "none"
    norm: str = "token"
    norm_eps: float = 1e-6
    qkv_bias: bool = True
    activation: str = "gelu"
    subband_norm: bool = True
    subband_act: bool = True
    low_pass: str = "ideal"
    spectral_control: bool = False
