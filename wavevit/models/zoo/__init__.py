"""Model families, one file each; importing this package registers them."""

from wavevit.models.zoo import (
    adaptive_vit,
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
    "adaptive_vit",
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
