"""pytorch-wavelets' classes under their own names: change one import, keep the code.

    from pytorch_wavelets import DWTForward, DWTInverse          # before
    from wavevit.wavelets.compat import DWTForward, DWTInverse   # after

`SWTForward` is in ``pytorch_wavelets.dwt.transform2d`` there, and here beside the others.

Same arguments, same structure of what is returned, same values. Different are the gradients,
which are right here in every mode and size (those of pytorch-wavelets 1.3.0 are not, beyond
even sizes under ``"zero"`` and ``"periodization"``), and that half precision, `torch.func` and
compilation work. For new code, the functions of `wavevit.wavelets` say more with less.

The filters are no part of the state dict here; load checkpoints of models that held the old
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
