"""Full wavelet packet: every band is split again, not only the approximation."""

from __future__ import annotations

from torch import Tensor
from torch.overrides import handle_torch_function

from wavevit.checks import check_image, fail
from wavevit.wavelets._engine.coefficients import check_bands, check_output_size
from wavevit.wavelets._engine.filtering import in_float32, is_rounded_between
from wavevit.wavelets._engine.haar import haar_packet_analysis, haar_packet_synthesis
from wavevit.wavelets._engine.modes import as_mode, coefficient_count
from wavevit.wavelets._engine.operators import is_symbolic
from wavevit.wavelets._engine.symbolic_shapes import certainly, fixed
from wavevit.wavelets.dwt import dwt2, fuses_levels, idwt2
from wavevit.wavelets.filters import FilterBank, Wavelet, filter_bank
from wavevit.wavelets.pyramid import check_level

__all__ = ["iwavepacket2", "wavepacket2"]


def wavepacket2(
    x: Tensor,
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    level: int = 1,
) -> Tensor:
    """Full wavelet packet: every band is split again at every level.

    Args:
        x: images (B, C, H, W).
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        level: number of levels; a coefficient covers ``2**level`` pixels on each axis.

    Returns:
        (B, C, 4**level, h, w). Band ``i`` written in base 4 is PyWavelets' path from the first
        level on, with the digits 0 to 3 for ``a, h, v, d`` (natural order).

    Raises:
        ValueError: more levels than the shorter side can be halved, or errors of `dwt2`.

    Guarantees:
        Equal to ``pywt.WaveletPacket2D`` and inverted by `iwavepacket2`, for every wavelet and
        mode (tests/properties/test_dwt_laws.py); for Haar and sizes that ``2**level`` divides, an
        orthonormal change of basis of each block of ``2**level`` pixels a side
        (tests/properties/test_haar_laws.py). In eager mode on the CPU Haar's kernel allocates its
        output alone, everything else one level more (tests/unit/test_wavelet_memory.py).
    """
    if is_symbolic(x):
        return handle_torch_function(wavepacket2, (x,), x, wavelet, mode, level)
    check_image(x)
    bank, mode = filter_bank(wavelet), as_mode(mode)
    level = check_level(level, x.shape[-2:], bank.length)
    if level == 0:
        return x.unsqueeze(2).clone()  # a result is never the input: callers write into it
    if is_rounded_between(x):
        return in_float32(lambda x: [wavepacket2(x, bank, mode, level)], x)[0]
    if fuses_levels(x, bank, mode):
        return haar_packet_analysis(x, level)
    bands = x
    for _ in range(level):
        bands = dwt2(bands, bank, mode).flatten(1, 2)
    return bands.unflatten(1, (x.shape[1], 4**level))


def iwavepacket2(
    packets: Tensor,
    wavelet: Wavelet = "haar",
    mode: str | int = "periodization",
    output_size: tuple[int, int] | None = None,
) -> Tensor:
    """Inverse of `wavepacket2`.

    Args:
        packets: (B, C, 4**level, h, w); the number of bands sets the level.
        wavelet: see `dwt2`.
        mode: see `dwt2`.
        output_size: (H, W) of the original image; needed if a side was odd at some level.

    Returns:
        Images (B, C, H, W).

    Raises:
        ValueError: a number of bands that is not a power of four, or an `output_size` that does
            not fit the packets.

    Guarantees:
        ``iwavepacket2(wavepacket2(x, level=l), output_size=x.shape[-2:])`` is `x`
        (tests/properties/test_dwt_laws.py, tests/properties/test_haar_laws.py).
    """
    if is_symbolic(packets):
        return handle_torch_function(iwavepacket2, (packets,), packets, wavelet, mode, output_size)
    bands = fixed(packets.shape[2]) if isinstance(packets, Tensor) and packets.ndim == 5 else 0
    level = (bands.bit_length() - 1) // 2
    if bands == 0 or 4**level != bands:
        shape = tuple(getattr(packets, "shape", ()))
        fail("packets", "shape (B, C, 4**level, h, w)", f"shape {shape}")
    check_bands(packets, "packets", bands)
    bank, mode = filter_bank(wavelet), as_mode(mode)
    height, width = packets.shape[-2:]
    if certainly(height == 0) or certainly(width == 0):
        fail("packets", "at least 1 coefficient in each band", f"shape {tuple(packets.shape)}")
    if output_size is None:
        output_size = _grown(height, level, bank, mode), _grown(width, level, bank, mode)
    check_output_size(output_size)
    sizes = _sizes_by_level(output_size, level, bank, mode)
    if any(certainly(a != b) for a, b in zip(sizes[-1], (height, width), strict=True)):
        fail("output_size", f"a size that {level} halvings take to {(height, width)}", output_size)
    if level == 0:
        return packets.squeeze(2).clone()
    if is_rounded_between(packets):
        return in_float32(lambda p: [iwavepacket2(p, bank, mode, output_size)], packets)[0]
    if fuses_levels(packets, bank, mode):
        return haar_packet_synthesis(packets, sizes[0])
    x = packets.flatten(1, 2)
    for size in reversed(sizes[:-1]):
        x = idwt2(x.unflatten(1, (-1, 4)), bank, mode, output_size=size)
    return x


def _grown(side: int, level: int, bank: FilterBank, mode: str) -> int:
    """The even side whose coefficients, `level` levels down, are `side`."""
    for _ in range(level):
        side = 2 * side - (0 if mode == "periodization" else bank.length - 2)
    return side


def _sizes_by_level(
    size: tuple[int, int], level: int, bank: FilterBank, mode: str
) -> list[tuple[int, int]]:
    sizes = [(size[0], size[1])]
    for _ in range(level):
        height, width = sizes[-1]
        sizes.append(
            (
                coefficient_count(height, bank.length, mode),
                coefficient_count(width, bank.length, mode),
            )
        )
    return sizes
