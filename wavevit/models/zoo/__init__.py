"""One module per family; importing this registers them all."""

from wavevit.models.zoo import alias_free_pyramid, haar_pyramid, haar_vit, pvt, swin, vit

__all__ = ["alias_free_pyramid", "haar_pyramid", "haar_vit", "pvt", "swin", "vit"]
