"""Linear multi-resolution transforms: pure functions on (B, C, H, W) tensors, no learning."""

from wavevit.wavelets.dwt import (
    MODES,
    WAVELETS,
    Pyramid,
    dwt2,
    dwt_max_level,
    idwt2,
    iwavepacket2,
    wavedec2,
    wavepacket2,
    waverec2,
)

__all__ = [
    "MODES",
    "WAVELETS",
    "Pyramid",
    "dwt2",
    "dwt_max_level",
    "idwt2",
    "iwavepacket2",
    "wavedec2",
    "wavepacket2",
    "waverec2",
]
