"""`GraftOptions`: what a graft adds to a model, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from wavevit.checks import check_at_least, check_bool, check_choice, fail
from wavevit.layers import TOKENIZERS
from wavevit.layers.options import PartOptions
from wavevit.layers.padding import PADDINGS
from wavevit.wavelets import filter_bank

__all__ = ["GraftOptions"]


@dataclasses.dataclass(frozen=True)
class GraftOptions:
    """Options of `wavevit.graft`.

    Attributes:
        tokenizer: name of the branch's tokenizer, see `wavevit.layers.register_tokenizer`.
        width: channels of the tokenizer's tokens; None for those of the patch embedding.
        padding: ``"zeros"`` for photographs: the branch mirrors or repeats the image at its
            border. ``"circular"`` keeps circular shifts by the patch.
        wavelet: name of the filter, for tokenizers that read it.
        subband_norm: a learned gain for each subband.
        subband_act: a pointwise function of each coefficient, in the ``"dwt"`` tokenizer. Without
            it the branch is linear and `merge` can remove it.
        lowpass: stride of a low-pass (`wavevit.alignment.LowPass`), in pixels, for the pixels
            that the patch embedding itself reads. A learned gate mixes it in and starts at 0. None
            for no low-pass.
        tokenizer_options: options of this tokenizer alone, or a mapping of them.

    Raises:
        ValueError: an unknown name or a wrong value.
    """

    tokenizer: str = "dtcwt"
    width: int | None = None
    padding: str = "zeros"
    wavelet: str = "haar"
    subband_norm: bool = True
    subband_act: bool = True
    lowpass: int | None = None
    tokenizer_options: PartOptions | Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        TOKENIZERS.check("tokenizer", self.tokenizer)
        if self.width is not None:
            check_at_least("width", self.width, 1)
        check_choice("padding", self.padding, PADDINGS)
        filter_bank(self.wavelet)
        for name in ("subband_norm", "subband_act"):
            check_bool(name, getattr(self, name))
        if self.lowpass is not None:
            check_at_least("lowpass", self.lowpass, 2)
        read = TOKENIZERS.options("tokenizer_options", self.tokenizer, self.tokenizer_options)
        object.__setattr__(self, "tokenizer_options", read)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Options from a mapping.

        Raises:
            ValueError: an unknown option or a wrong value.
        """
        if not isinstance(options, Mapping):
            fail("options", "a mapping of the fields of GraftOptions", type(options).__name__)
        for name in options:
            check_choice("option", name, [field.name for field in dataclasses.fields(cls)])
        return cls(**options)

    def to_dict(self) -> dict[str, Any]:
        """Plain data from which `of` makes these options again."""
        return dataclasses.asdict(self)
