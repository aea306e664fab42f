"""Every registered task keeps the contract of tasks on six backbones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wavevit.tasks import TASKS, Losses, Task, create_task, list_tasks
from wavevit.tasks.classification import Classification
from wavevit.testing import TASK_CONTRACT, assert_task_contract

BACKBONES = (
    *("test_vit", "test_haar_vit", "test_dtcwt_vit"),
    *("test_haar_pyramid", "test_dtcwt_pyramid", "test_swin"),
)


def build(name: str, backbone: str) -> Task:
    return create_task(name, backbone, num_classes=4, img_size=32, in_chans=1)


# A columnar and a hierarchical one; the others have the quick checks by day.
WHOLE = ("test_vit", "test_dtcwt_pyramid")
QUICK = ("loss_terms", "gradients", "examples", "metrics", "law")


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", list_tasks())
def test_task_keeps_the_contract(name: str, backbone: str) -> None:
    checks = None if backbone in WHOLE else QUICK
    assert_task_contract(lambda: build(name, backbone), checks=checks)


@pytest.mark.nightly
@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name not in WHOLE])
@pytest.mark.parametrize("name", list_tasks())
def test_task_keeps_the_other_checks_on_every_backbone(name: str, backbone: str) -> None:
    checks = [check for check in TASK_CONTRACT if check not in QUICK]
    assert_task_contract(lambda: build(name, backbone), checks=checks)


def test_every_task_runs_on_a_plain_vit() -> None:
    for name in list_tasks():
        assert isinstance(build(name, "test_vit"), TASKS.get(name))


@pytest.mark.parametrize("name", list_tasks())
def test_answers_for_images_alone_say_that_a_dict_is_needed(name: str) -> None:
    task = build(name, "test_vit")
    images = task.dummy_batch(2)["images"]
    with pytest.raises(ValueError, match="batch: expected a dict with 'images'"):
        task.predict(images)
    with pytest.raises(ValueError, match=r"batch\['images'\]: expected an entry, got a dict with"):
        task.predict({"image": images})


@pytest.mark.parametrize("name", list_tasks())
def test_what_no_task_found_is_refused(name: str) -> None:
    """Nothing, or the results of another task: `summarize` and `compare` name what is missing."""
    task = build(name, "test_vit")
    for call, argument in (
        (lambda: task.summarize(None), "results"),
        (lambda: task.compare(None, {}, (0, 1)), "first"),
        (lambda: task.compare({}, [1], (0, 1)), r"second|first\['\w+'\]"),
    ):
        with pytest.raises(ValueError, match=rf"^({argument}): expected (a dict|an entry)"):
            call()
    other = {"x": torch.zeros(2)}
    calls = {
        "summarize": lambda: task.summarize(other),
        "compare": lambda: task.compare(other, other, (0, 1)),
    }
    for method, call in calls.items():
        if getattr(type(task), method) is not getattr(Task, method):
            with pytest.raises(ValueError, match=r"'\]: expected an entry, got a dict with 'x'"):
                call()


class _Broken(Classification):
    """Negative controls: a task with one fault each."""

    fault = ""

    def loss(self, batch, generator=None):
        if self.fault == "bad_batches":
            self.check = lambda batch: None
        losses = super().loss(batch, generator)
        part = losses.parts["cross_entropy"]
        if self.fault == "loss_terms":
            return Losses({"cross_entropy": part[None]}, {})
        if self.fault == "gradients":
            return Losses({"cross_entropy": part.detach() + self.backbone.norm.bias.sum()}, {})
        if self.fault == "seeds":
            return Losses({"cross_entropy": part * torch.rand(())}, {})
        if self.fault == "learning":
            return Losses({"cross_entropy": 2 * part.detach() - part}, {})  # uphill
        if self.fault == "precision":
            return Losses(
                {"cross_entropy": part * (9 if torch.is_autocast_enabled("cpu") else 1)}, {}
            )
        return losses

    def predict(self, batch):
        answers = super().predict(batch)
        if self.fault == "examples":
            answers["logits"] = answers["logits"] - answers["logits"].mean(0)
        if self.fault == "unmoved":
            answers["logits"] = answers["logits"] + torch.rand(())
        return answers

    def summarize(self, results):
        return {} if self.fault == "metrics" else super().summarize(results)

    def no_weight_decay(self) -> set[str]:
        return {"nothing"} if self.fault == "parameters" else super().no_weight_decay()

    def load_state_dict(self, state: dict[str, Tensor], strict: bool = True):
        kept = {} if self.fault == "state" else state
        return super().load_state_dict(kept, strict=strict and self.fault != "state")


# Laws of single tasks have negative controls of their own (test_task_laws.py).
@pytest.mark.parametrize("check", [name for name in TASK_CONTRACT if name != "law"])
def test_negative_control_broken_task_fails_the_check(check: str) -> None:
    def broken() -> Task:
        sound = build("classification", "test_vit")
        task = _Broken(sound.backbone, sound.options)
        task.fault = check
        return task

    assert_task_contract(lambda: build("classification", "test_vit"), checks=[check])
    with pytest.raises(AssertionError, match=check):
        assert_task_contract(broken, checks=[check])
