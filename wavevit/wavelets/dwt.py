"""One level of the decimated wavelet transform and its inverse, in one, two and three dimensions.

Signals are (B, C, L), images (B, C, H, W), volumes (B, C, D, H, W). Subbands come in PyWavelets'
order (of images ``cA, cH, cV, cD``) on one axis behind the channels, so a transform is one tensor
and no list has to be threaded through a network. The functions are overridable like torch's own
(`torch.overrides`): a `TorchFunctionMode` sees the call, which is how `wavevit.measure.cost` counts
wavelet steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from wavevit.checks import check_grid, fail
from wavevit.wavelets._engine.bank_maps import fits
from wavevit.wavelets._engine.coefficients import check_bands, crop
from wavevit.wavelets._engine.filtering import (
    analyse,
    analyse_apart,
    in_float32,
    is_rounded_between,
    synthesise,
    synthesise_joined,
)
from wavevit.wavelets._engine.haar import haar_analysis, haar_pyramid_analysis, haar_synthesis
from wavevit.wavelets._engine.kernel_choice import enabled
from wavevit.wavelets._engine.modes import as_mode, check_mode
from wavevit.wavelets._engine.operators import as_one_operation, operation
from wavevit.wavelets._engine.symbolic_shapes import certainly, exporting
from wavevit.wavelets.filters import FilterBank, Wavelet, filter_bank

__all__ = ["dwt", "dwt2", "dwt3", "idwt", "idwt2", "idwt3"]


def _is_butterfly(x: Tensor, bank: FilterBank, mode: str) -> bool:
    """Whether the 2 x 2 butterfly is this transform: Haar's of images, and a border that agrees.

    An even side needs no extension at all; an odd one is extended by one sample, which
    `haar_analysis` takes from the border, as these three modes do. An exported graph has free
    sizes, which the butterfly's own test of parity would pin.
    """
    if x.ndim != 4 or not bank.is_haar or exporting():
        return False
    if mode in ("periodization", "symmetric", "constant"):
        return True
    return not (x.shape[-2] % 2 or x.shape[-1] % 2)


def fuses_levels(x: Tensor, bank: FilterBank, mode: str) -> bool:
    """Whether several levels of this transform may be one pass of a Haar kernel.

    Not while a `TorchFunctionMode` looks on: one that counts steps wants to see each of them.
    """
    whole = x.ndim == 4 and bank.is_haar and mode == "periodization" and not exporting()
    return whole and not has_torch_function((x,))


def dwt2(x: Tensor, wavelet: Wavelet = "haar", mode: str | int = "periodization") -> Tensor:
    """One level of the 2-D discrete wavelet transform.

    Args:
        x: images (B, C, H, W), any floating dtype, any size from 1 pixel (2 for ``"reflect"``
            and ``"antireflect"``), also shorter than the filters.
        wavelet: any discrete wavelet of PyWavelets by its name or as a ``pywt.Wavelet``, also one
            of the user's own filters; a `FilterBank`; or ``(dec_lo, dec_hi, rec_lo, rec_hi)``.
        mode: what lies beyond the border of a side ``a b c d``, however far the filter reaches::

                periodization   … c d │ a b c d │ a b …    as many coefficients as pixels; an odd
                                                           side repeats its last pixel first
                periodic        … c d │ a b c d │ a b …    the same circle, but every coefficient
                                                           that touches the image is kept
                symmetric       … b a │ a b c d │ d c …    a mirror on the edge of the border pixel
                reflect         … c b │ a b c d │ c b …    a mirror on its middle
                constant        … a a │ a b c d │ d d …    the border pixel for ever
                zero            … 0 0 │ a b c d │ 0 0 …    black
                antisymmetric   …-b-a │ a b c d │-d-c …    ``symmetric`` with the other sign
                antireflect     … 2a-b │ a b c d │ 2d-c …  turned about the border pixel
                smooth          … 2a-b │ a b c d │ 2d-c …  a straight line through the last two
                                                           pixels; of 1 pixel, that pixel for ever

            PyWavelets' short names (``"per"``, ``"sym"``, ``"ppd"``, ``"zpd"``, ``"cpd"``,
            ``"sp1"``) and the numbers of ``pywt.Modes`` mean the same.

    Returns:
        Coefficients (B, C, 4, h, w), bands ``cA, cH, cV, cD``. A side of N pixels has ``⌈N/2⌉``
        coefficients under ``"periodization"`` and ``⌊(N + L − 1)/2⌋`` in the other modes, for
        filters of L taps.

    Raises:
        ValueError: wrong rank, integer images, an unknown wavelet (with the nearest names) or
            mode, a side of 1 pixel where the mode is ``"reflect"`` or ``"antireflect"``.

    Guarantees:
        Equal to ``pywt.dwt2`` to 1e-12 in float64, and inverted by `idwt2`, for every wavelet,
        mode and size; linear; right derivatives of every order in reverse and forward mode;
        energy kept by orthogonal banks on even sizes under ``"periodization"``, where it also
        commutes with even circular shifts (tests/properties/test_dwt_laws.py,
        tests/properties/test_haar_laws.py). *Not* shift-invariant: an odd shift moves energy
        between the bands. Not local for what is no number: a NaN may spread along its whole
        row and column. Half precision is computed in float32 and rounded once. Memory: in
        eager mode on the CPU its output and little more, a few rows for each thread of a kernel,
        and without one a piece of a megabyte or two (tests/unit/test_wavelet_memory.py).

    Source:
        Mallat 1989; conventions of PyWavelets 1.9 and 1.10.

    Example:
        >>> import torch
        >>> dwt2(torch.ones(1, 1, 4, 4))[0, 0, :, 0, 0].tolist()  # a constant is all approximation
        [2.0, 0.0, 0.0, 0.0]
        >>> dwt2(torch.ones(1, 1, 9, 9), "db2", "symmetric").shape
        torch.Size([1, 1, 4, 6, 6])
    """
    if has_torch_function((x,)):
        return handle_torch_function(dwt2, (x,), x, wavelet=wavelet, mode=mode)
    return _forth(x, wavelet, mode, 2)


def dwt(x: Tensor, wavelet: Wavelet = "haar", mode: str | int = "periodization") -> Tensor:
    """One level of the 1-D discrete wavelet transform.

    Args:
        x: signals (B, C, L), any floating dtype, any length (see `dwt2`).
        wavelet: see `dwt2`.
        mode: see `dwt2`.

    Returns:
        Coefficients (B, C, 2, l), bands ``cA, cD``; `l` as for a side of `dwt2`.

    Raises:
        ValueError: wrong rank, and what `dwt2` refuses.

    Guarantees:
        Equal to ``pywt.dwt`` to 1e-12 in float64; in all else as `dwt2`, except that it takes a few
        times its output's memory where there is no kernel
        (tests/properties/test_signal_and_volume_laws.py).

    Source:
        Mallat 1989; conventions of PyWavelets 1.9 and 1.10.

    Example:
        >>> import torch
        >>> dwt(torch.ones(1, 3, 9), "db2", "symmetric").shape
        torch.Size([1, 3, 2, 6])
    """
    if has_torch_function((x,)):
        return handle_torch_function(dwt, (x,), x, wavelet=wavelet, mode=mode)
    return _forth(x, wavelet, mode, 1)


def dwt3(x: Tensor, wavelet: Wavelet = "haar", mode: str | int = "periodization") -> Tensor:
    """One level of the 3-D discrete wavelet transform.

    Args:
        x: volumes (B, C, D, H, W), such as scans or videos, any floating dtype, any size (see
            `dwt2`).
        wavelet: see `dwt2`; the same for each axis.
        mode: see `dwt2`; the same for each axis.

    Returns:
        Coefficients (B, C, 8, d, h, w). Bands come in the order of the keys of ``pywt.dwtn``, which
        name what was done along depth, height and width, ``a`` for low-pass, ``d`` for high-pass::

            0     1     2     3     4     5     6     7
            aaa   aad   ada   add   daa   dad   dda   ddd

        Details of slices alone, bands 1 to 3, are the width's first: ``aad`` is `dwt2`'s ``cV``
        and ``ada`` its ``cH``.

    Raises:
        ValueError: wrong rank, and what `dwt2` refuses.

    Guarantees:
        Equal to ``pywt.dwtn`` to 1e-12 in float64; in all else as `dwt2`, except that it takes a
        few times its output's memory where there is no kernel
        (tests/properties/test_signal_and_volume_laws.py).

    Source:
        Mallat 1989; conventions of PyWavelets 1.9 and 1.10.

    Example:
        >>> import torch
        >>> dwt3(torch.ones(1, 1, 4, 6, 8), "db2").shape
        torch.Size([1, 1, 8, 2, 3, 4])
    """
    if has_torch_function((x,)):
        return handle_torch_function(dwt3, (x,), x, wavelet=wavelet, mode=mode)
    return _forth(x, wavelet, mode, 3)


def are_names(wavelet: Wavelet, mode: str | int) -> bool:
    """Whether an operation of a graph can hold both: they are strings."""
    return isinstance(wavelet, str) and isinstance(mode, str)


def _forth(x: Tensor, wavelet: Wavelet, mode: str | int, dims: int) -> Tensor:
    if as_one_operation() and enabled() and are_names(wavelet, mode):
        return _one_dwt(x, wavelet, mode, dims)
    return _dwt(x, wavelet, mode, dims)


def _dwt(x: Tensor, wavelet: Wavelet, mode: str | int, dims: int) -> Tensor:
    check_grid(x, dims=dims)
    mode = check_mode(mode, *x.shape[2:])
    return forward_step(x, filter_bank(wavelet), mode)


_one_dwt = operation("dwt(Tensor x, str wavelet, str mode, int dims) -> Tensor", _dwt)


def forward_step(x: Tensor, bank: FilterBank, mode: str) -> Tensor:
    """`dwt2`, or that of `x`'s dimensions, without its checks."""
    if _is_butterfly(x, bank, mode):
        if is_rounded_between(x):
            return in_float32(lambda x: [haar_analysis(x)], x)[0]
        return haar_analysis(x)
    return analyse(x, bank, mode)


def forward_apart(x: Tensor, bank: FilterBank, mode: str) -> tuple[Tensor, Tensor]:
    """`dwt2`, or that of `x`'s dimensions, as approximation (B, C, h, w) and details
    (B, C, 3, h, w)."""
    if has_torch_function((x,)):  # calls dwt2, so that its `__torch_function__` overrides see it
        public: dict[int, Callable[..., Tensor]] = {3: dwt, 4: dwt2, 5: dwt3}
        bands = public[x.ndim](x, bank, mode)
    else:
        check_grid(x, dims=x.ndim - 2)
        check_mode(mode, *x.shape[2:])
        butterfly = _is_butterfly(x, bank, mode)
        if butterfly and not is_rounded_between(x):
            approx, (details,) = haar_pyramid_analysis(x, 1)
            return approx, details
        if fits(x) and not butterfly:
            return analyse_apart(x, bank, mode)
        bands = forward_step(x, bank, mode)
    return bands[:, :, 0], bands[:, :, 1:]


def idwt2(
    coefficients: Tensor,
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    output_size: tuple[int, int] | None = None,
) -> Tensor:
    """Inverse of `dwt2`.

    Args:
        coefficients: (B, C, 4, h, w), bands ``cA, cH, cV, cD``.
        wavelet: as given to `dwt2`.
        mode: as given to `dwt2`; all but ``"periodization"`` invert alike.
        output_size: (H, W) of the image before an odd side was extended; by default (2h, 2w)
            under ``"periodization"`` and (2h − L + 2, 2w − L + 2) in the other modes.

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: not four bands, fewer coefficients than the shortest signal gives, or an
            `output_size` that `dwt2` could not have started from.

    Guarantees:
        ``idwt2(dwt2(x), output_size=x.shape[-2:])`` is `x` to the dtype's rounding, borders
        included, for orthogonal and biorthogonal banks in every mode; equal to ``pywt.idwt2``
        (tests/properties/test_dwt_laws.py). On even sizes, for an orthogonal bank under
        ``"periodization"``, it is the transpose of `dwt2` (tests/properties/test_haar_laws.py).
    """
    if has_torch_function((coefficients,)):
        return handle_torch_function(
            idwt2,
            (coefficients,),
            coefficients,
            wavelet=wavelet,
            mode=mode,
            output_size=output_size,
        )
    return _back(coefficients, wavelet, mode, output_size, 2)


def idwt(
    coefficients: Tensor,
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    output_size: int | None = None,
) -> Tensor:
    """Inverse of `dwt`.

    Args:
        coefficients: (B, C, 2, l), bands ``cA, cD``.
        wavelet: as given to `dwt`.
        mode: as given to `dwt`.
        output_size: the length L of the signals before an odd one was extended; by default as for
            a side of `idwt2`.

    Returns:
        Signals (B, C, L).

    Raises:
        ValueError: not two bands, fewer coefficients than the shortest signal gives, or an
            `output_size` that `dwt` could not have started from.

    Guarantees:
        ``idwt(dwt(x), output_size=x.shape[-1])`` is `x` to the dtype's rounding; equal to
        ``pywt.idwt`` (tests/properties/test_signal_and_volume_laws.py).
    """
    if has_torch_function((coefficients,)):
        return handle_torch_function(
            idwt,
            (coefficients,),
            coefficients,
            wavelet=wavelet,
            mode=mode,
            output_size=output_size,
        )
    return _back(coefficients, wavelet, mode, one_side(output_size), 1)


def idwt3(
    coefficients: Tensor,
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    output_size: tuple[int, int, int] | None = None,
) -> Tensor:
    """Inverse of `dwt3`.

    Args:
        coefficients: (B, C, 8, d, h, w), bands ``aaa`` to ``ddd`` as `dwt3` orders them.
        wavelet: as given to `dwt3`.
        mode: as given to `dwt3`.
        output_size: (D, H, W) of the volume before an odd side was extended; by default as for the
            sides of `idwt2`.

    Returns:
        Volumes (B, C, D, H, W).

    Raises:
        ValueError: not eight bands, fewer coefficients than the shortest signal gives, or an
            `output_size` that `dwt3` could not have started from.

    Guarantees:
        ``idwt3(dwt3(x), output_size=x.shape[-3:])`` is `x` to the dtype's rounding; equal to
        ``pywt.idwtn`` (tests/properties/test_signal_and_volume_laws.py).
    """
    if has_torch_function((coefficients,)):
        return handle_torch_function(
            idwt3,
            (coefficients,),
            coefficients,
            wavelet=wavelet,
            mode=mode,
            output_size=output_size,
        )
    return _back(coefficients, wavelet, mode, output_size, 3)


def one_side(length: int | None) -> tuple[int] | None:
    """The `output_size` of a signal as that of a grid with one side."""
    return None if length is None else (length,)


def _back(
    coefficients: Tensor,
    wavelet: Wavelet,
    mode: str | int,
    output_size: Sequence[int] | None,
    dims: int,
) -> Tensor:
    if as_one_operation() and enabled() and are_names(wavelet, mode):
        return crop(_one_idwt(coefficients, wavelet, mode, dims), output_size, dims=dims)
    return crop(_idwt(coefficients, wavelet, mode, dims), output_size, dims=dims)


def _idwt(coefficients: Tensor, wavelet: Wavelet, mode: str | int, dims: int) -> Tensor:
    check_bands(coefficients, "coefficients", 2**dims, dims)
    return backward_step(coefficients, filter_bank(wavelet), as_mode(mode))


_one_idwt = operation("idwt(Tensor coefficients, str wavelet, str mode, int dims) -> Tensor", _idwt)


def backward_step(c: Tensor, bank: FilterBank, mode: str) -> Tensor:
    """`idwt2`, or that of `c`'s dimensions, with a bank, without cropping."""
    _check_least(c, bank, mode)
    if c.ndim == 5 and bank.is_haar and not exporting():
        if is_rounded_between(c):
            return in_float32(lambda c: [haar_synthesis(c)], c)[0]
        return haar_synthesis(c)
    return synthesise(c, bank, mode)


def backward_apart(approx: Tensor, details: Tensor, bank: FilterBank, mode: str) -> Tensor:
    """Inverse of `forward_apart`."""
    listening = has_torch_function((approx, details))
    butterfly = approx.ndim == 4 and bank.is_haar
    if not listening and not butterfly and fits(approx, details):
        _check_least(details, bank, mode)
        return synthesise_joined(approx, details, bank, mode)
    bands = torch.cat([approx[:, :, None], details], dim=2)
    if listening:
        public: dict[int, Callable[..., Tensor]] = {3: idwt, 4: idwt2, 5: idwt3}
        return public[approx.ndim](bands, bank, mode)
    return backward_step(bands, bank, mode)


def _check_least(c: Tensor, bank: FilterBank, mode: str) -> None:
    least = 1 if mode == "periodization" else bank.length // 2
    if any(certainly(side < least) for side in c.shape[3:]):
        expected = f"at least {least} coefficients a side for {bank.length} taps in mode {mode!r}"
        fail("coefficients", expected, f"shape {tuple(c.shape)}")
