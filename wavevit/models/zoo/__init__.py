"""One module per family; importing this registers them all."""

from wavevit.models.zoo import haar_pyramid, haar_vit, vit

__all__ = ["haar_pyramid", "haar_vit", "vit"]
