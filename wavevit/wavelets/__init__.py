"""Linear multi-resolution transforms on (B, C, H, W) tensors: functions, and thin modules."""

from wavevit.wavelets.boundary import MODES
from wavevit.wavelets.dwt import dwt2, idwt2
from wavevit.wavelets.filters import FilterBank, filter_bank, wavelet_names
from wavevit.wavelets.lifting import Lifting
from wavevit.wavelets.modules import DWT2, IDWT2, ISWT2, SWT2, WaveDec2, WaveRec2
from wavevit.wavelets.packets import iwavepacket2, wavepacket2
from wavevit.wavelets.pyramid import Pyramid, dwt_max_level, wavedec2, waverec2
from wavevit.wavelets.swt import iswt2, swt2

__all__ = [
    "DWT2",
    "IDWT2",
    "ISWT2",
    "MODES",
    "SWT2",
    "FilterBank",
    "Lifting",
    "Pyramid",
    "WaveDec2",
    "WaveRec2",
    "dwt2",
    "dwt_max_level",
    "filter_bank",
    "idwt2",
    "iswt2",
    "iwavepacket2",
    "swt2",
    "wavedec2",
    "wavelet_names",
    "wavepacket2",
    "waverec2",
]
