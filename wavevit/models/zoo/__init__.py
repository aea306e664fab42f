"""One module per family; importing this registers them all."""

from wavevit.models.zoo import (
    alias_free_pyramid,
    dtcwt_pyramid,
    dtcwt_vit,
    haar_pyramid,
    haar_vit,
    lipschitz,
    mvitv2,
    pvt,
    swin,
    vit,
    wavevit,
)

__all__ = [
    "alias_free_pyramid",
    "dtcwt_pyramid",
    "dtcwt_vit",
    "haar_pyramid",
    "haar_vit",
    "lipschitz",
    "mvitv2",
    "pvt",
    "swin",
    "vit",
    "wavevit",
]
