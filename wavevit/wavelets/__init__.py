"""Linear multi-resolution transforms: pure functions on (B, C, H, W) tensors, no learning."""

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
from wavevit.wavelets.dtcwt_filters import BIORTS, QSHIFTS, level_one_frame_bounds
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
from wavevit.wavelets.scattering import (
    Scattering2,
    scattering2,
    scattering_paths,
    smooth_magnitude,
)

__all__ = [
    "BIORTS",
    "DTCWT2",
    "DTCWT_MODES",
    "IDTCWT2",
    "MODES",
    "ORIENTATIONS",
    "QSHIFTS",
    "WAVELETS",
    "DualTreePyramid",
    "Pyramid",
    "Scattering2",
    "dtcwt2",
    "dtcwt_max_level",
    "dwt2",
    "dwt_max_level",
    "idtcwt2",
    "idwt2",
    "iwavepacket2",
    "level_one_frame_bounds",
    "scattering2",
    "scattering_paths",
    "smooth_magnitude",
    "wavedec2",
    "wavepacket2",
    "waverec2",
]
