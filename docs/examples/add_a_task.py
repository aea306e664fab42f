"""Your own task, and a study that trains it, in one file: which way up is the image?"""

from dataclasses import replace

import torch
from torch.nn import functional as F

from experiments.core.study import Contrast
from experiments.studies import get_study
from wavevit.tasks import Losses, Task, create_task, register_task


@register_task("rotation")
class Rotation(Task):  # Gidaris et al. 2018: no labels are needed
    score, title = "right", "right rotations, %"

    def __init__(self, backbone, options):
        super().__init__(backbone, options)
        backbone.reset_classifier(4)

    def turned(self, images, generator):
        turns = torch.randint(4, (len(images),), generator=generator).to(images.device)
        found = [torch.rot90(x, int(n), (-2, -1)) for x, n in zip(images, turns, strict=True)]
        return torch.stack(found), turns

    def loss(self, batch, generator=None):
        self.check(batch)
        images, turns = self.turned(batch["images"], generator)
        return Losses({"cross_entropy": F.cross_entropy(self.backbone(images), turns)}, {})

    def predict(self, batch):
        return {"turns": self.backbone(batch["images"]).argmax(1)}

    def evaluate(self, batch, generator=None):
        images, turns = self.turned(batch["images"], generator)
        return {"right": 100.0 * (self.predict({"images": images})["turns"] == turns)}

    def compare(self, first, second, shift):
        return {"same_turn": 100.0 * (first["turns"] == second["turns"])}

    def dummy_batch(self, count, generator=None):
        return {"images": self.dummy_images(count, generator)}


smoke = get_study("smoke").configs()["vit"]
run = replace(smoke, task="rotation", data=replace(smoke.data, test_crops=144))
haar = replace(run, model=replace(run.model, tokenizer="dwt"))
own = {"name": "rotation", "question": "Which tokens tell which way up the image is?"}
own |= {"contrasts": (Contrast("haar", "vit", "model.tokenizer"),), "measures": (), "applied": {}}
ROTATION = replace(get_study("smoke"), variants=lambda: {"vit": run, "haar": haar}, **own)
if __name__ == "__main__":
    torch.manual_seed(0)
    task = create_task("rotation", "test_haar_vit", img_size=32)
    print(f"loss {float(task.loss(task.dummy_batch(64)).total.detach()):.1f}, as log 4 = 1.4")
