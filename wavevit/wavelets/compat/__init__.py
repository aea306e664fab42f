"""Drop-in classes for pytorch-wavelets: change one import, keep the code.

    from pytorch_wavelets import DWTForward, DWTInverse          # before
    from wavevit.wavelets.compat import DWTForward, DWTInverse   # after

`SWTForward` is in ``pytorch_wavelets.dwt.transform2d`` in the original.

Arguments, returned structure and values are the same. Differences: gradients are right in every
mode and size (in pytorch-wavelets 1.3.0 they are right only on even sizes with ``"zero"`` and
``"periodization"``), and half precision, `torch.func` and compilation work. For new code, the
functions of `wavevit.wavelets` are shorter.

The filters are not in the state dict; load checkpoints of models with the old
classes with ``strict=False``.
"""

from wavevit.wavelets.compat.dtcwt import DTCWTForward, DTCWTInverse
from wavevit.wavelets.compat.dwt import DWTForward, DWTInverse, SWTForward
from wavevit.wavelets.compat.scattering import ScatLayer, ScatLayerj2

__all__ = [
    "DTCWT",
    "DWT",
    "DWT2D",
    "IDTCWT",
    "IDWT",
    "IDWT2D",
    "DTCWTForward",
    "DTCWTInverse",
    "DWTForward",
    "DWTInverse",
    "SWTForward",
    "ScatLayer",
    "ScatLayerj2",
]


# The short names that pytorch-wavelets has beside the long ones.
DWT, IDWT, DWT2D, IDWT2D = DWTForward, DWTInverse, DWTForward, DWTInverse
DTCWT, IDTCWT = DTCWTForward, DTCWTInverse
