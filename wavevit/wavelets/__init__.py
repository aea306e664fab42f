"""Multi-resolution transforms of images (B, C, H, W), signals and volumes: functions, modules."""

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
from wavevit.wavelets.dwt import dwt, dwt2, dwt3, idwt, idwt2, idwt3
from wavevit.wavelets.filters import FilterBank, filter_bank, wavelet_names
from wavevit.wavelets.integer import (
    integer_haar2,
    integer_haar2_bounds,
    inverse_integer_haar2,
)
from wavevit.wavelets.lifting import Lifting
from wavevit.wavelets.modules import DWT2, IDWT2, ISWT2, SWT2, WaveDec2, WaveRec2
from wavevit.wavelets.packets import iwavepacket2, wavepacket2
from wavevit.wavelets.pyramid import (
    Pyramid,
    dwt_max_level,
    wavedec,
    wavedec2,
    wavedec3,
    waverec,
    waverec2,
    waverec3,
)
from wavevit.wavelets.scattering import (
    Scattering2,
    scattering2,
    scattering_paths,
    smooth_magnitude,
)
from wavevit.wavelets.swt import iswt, iswt2, iswt3, swt, swt2, swt3

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
    "dwt",
    "dwt2",
    "dwt3",
    "dwt_max_level",
    "filter_bank",
    "idtcwt2",
    "idwt",
    "idwt2",
    "idwt3",
    "integer_haar2",
    "integer_haar2_bounds",
    "inverse_integer_haar2",
    "iswt",
    "iswt2",
    "iswt3",
    "iwavepacket2",
    "kernels",
    "level_one_frame_bounds",
    "scattering2",
    "scattering_paths",
    "smooth_magnitude",
    "swt",
    "swt2",
    "swt3",
    "wavedec",
    "wavedec2",
    "wavedec3",
    "wavelet_names",
    "wavepacket2",
    "waverec",
    "waverec2",
    "waverec3",
]

__getattr__, __dir__ = lazy_submodules(__name__, __path__)
