"""One module per family; importing this registers them all."""

from wavevit.models.zoo import haar_pyramid, haar_vit, pvt, swin, vit

__all__ = ["haar_pyramid", "haar_vit", "pvt", "swin", "vit"]
