"""Multi-resolution transforms on (B, C, H, W) tensors: functions, and thin modules."""

from wavevit.lazy import lazy_submodules
from wavevit.wavelets._engine.dtcwt_filters import BIORTS, QSHIFTS, level_one_frame_bounds
from wavevit.wavelets._engine.kernel_choice import kernels
from wavevit.wavelets._engine.modes import MODES
from wavevit.wavelets.dtcwt import (
    DTCWT2,
    DTCWT_MODES,
    IDTCWT2,
    ORIENTATIONS,
    DualTreePyramid,
    dtcwt2,
    dtcwt_max_level,
    idtcwt2,
)
from wavevit.wavelets.dwt import dwt2, idwt2
from wavevit.wavelets.filters import FilterBank, filter_bank, wavelet_names
from wavevit.wavelets.lifting import Lifting
from wavevit.wavelets.modules import DWT2, IDWT2, ISWT2, SWT2, WaveDec2, WaveRec2
from wavevit.wavelets.packets import iwavepacket2, wavepacket2
from wavevit.wavelets.pyramid import Pyramid, dwt_max_level, wavedec2, waverec2
from wavevit.wavelets.scattering import (
    Scattering2,
    scattering2,
    scattering_paths,
    smooth_magnitude,
)
from wavevit.wavelets.swt import iswt2, swt2

__all__ = [
    "BIORTS",
    "DTCWT2",
    "DTCWT_MODES",
    "DWT2",
    "IDTCWT2",
    "IDWT2",
    "ISWT2",
    "MODES",
    "ORIENTATIONS",
    "QSHIFTS",
    "SWT2",
    "DualTreePyramid",
    "FilterBank",
    "Lifting",
    "Pyramid",
    "Scattering2",
    "WaveDec2",
    "WaveRec2",
    "dtcwt2",
    "dtcwt_max_level",
    "dwt2",
    "dwt_max_level",
    "filter_bank",
    "idtcwt2",
    "idwt2",
    "iswt2",
    "iwavepacket2",
    "kernels",
    "level_one_frame_bounds",
    "scattering2",
    "scattering_paths",
    "smooth_magnitude",
    "swt2",
    "wavedec2",
    "wavelet_names",
    "wavepacket2",
    "waverec2",
]

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
