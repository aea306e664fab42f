"""Distillation: what is trained, towards what, and that a killed run ends in the same bits."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import wavevit
from wavevit.grafting import Distillation, DistillationError, distil, pooled_features
from wavevit.grafting.distillation_loss import Judged, Objective, Target
from wavevit.grafting.windows import crop_at, shift_offsets, windows_of


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photographs(count: int = 9, side: int = 40) -> list[Tensor]:
    """Smooth random pictures: a small shift changes them a little."""
    noise = torch.randn(count, 1, side, side, generator=rng())
    return list(nn.functional.avg_pool2d(noise, 5, 1, 2) * 5)


class Patches(nn.Module):
    """Patches of 4 pixels and two layers: a model in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(1, 6, 4, stride=4)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.drop(self.patch_embed(x).relu().mean(dim=(2, 3))))
        return out


def pair() -> tuple[nn.Module, nn.Module]:
    """A model in training mode, and its teacher."""
    torch.manual_seed(0)
    model = Patches()
    return model, copy.deepcopy(model)


SMALL: dict[str, Any] = {
    "crop_size": 16,
    "steps": 12,
    "train": "all",
    "span": 4,
    "batch_size": 4,
    "judged": 8,
    "evaluate_every": 5,
    "lr": 1e-2,
}


def run(model: nn.Module, teacher: Any, **changes: Any) -> Distillation:
    return distil(model, teacher, changes.pop("pictures", photographs()), **SMALL | changes)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def cut(windows: Tensor, offsets: list[tuple[int, int]]) -> Tensor:
    """Crops of 16 pixels of windows of 20, by slices."""
    pairs = zip(windows, offsets, strict=True)
    return torch.stack([one[:, 2 + i : 18 + i, 2 + j : 18 + j] for one, (i, j) in pairs])


def test_loss_is_towards_the_mean_over_shifts_and_the_features_of_the_same_crop() -> None:
    model, teacher = (one.eval() for one in pair())
    windows = torch.randn(3, 1, 20, 20, generator=rng(1))
    with torch.no_grad():
        teacher.last.bias += 1
    objective = Objective(teacher, pooled_features, 16, shifts=3, span=4, keep=0.5, unit=2.0)
    draws = rng(2)
    found = objective.loss(model, windows, objective.target(windows, draws), draws)
    generator = rng(2)
    offsets = shift_offsets(9, 4, generator)
    target = torch.stack(
        [teacher(cut(windows, [offsets[3 * w + k] for w in range(3)])) for k in range(3)]
    ).mean(0)
    crops = cut(windows, shift_offsets(3, 4, generator))
    moved, own = model(crops), teacher(crops)
    by_hand = (moved - target).square().mean() + 0.5 * (moved - own).square().mean()
    assert len(set(offsets)) > 3
    assert torch.allclose(found, by_hand / 2)


def test_still_asks_for_little_change_when_the_crop_moves_by_a_pixel() -> None:
    teacher, seen = pair()[1].eval(), []
    windows = torch.arange(20.0 * 20).reshape(1, 1, 20, 20).expand(6, 1, 20, 20)

    def corners(model: nn.Module, images: Tensor) -> Tensor:
        seen.append(images[:, 0, 0, 0])
        return images[:, 0, 0, :2]

    objective = Objective(teacher, corners, 16, shifts=1, span=4, keep=0.0, still=3.0)
    target = Target(torch.zeros(6, 2))
    loss = objective.loss(teacher, windows, target, rng(3))
    one, two = seen
    # A row of a window has 20 pixels. The crop's middle place is (2, 2).
    rows, columns = one // 20 - 2, one % 20 - 2
    moved = torch.stack([two // 20 - 2 - rows, two % 20 - 2 - columns])
    assert torch.equal(moved.abs().sum(0), torch.ones(6))
    assert float((two // 20).min()) >= 0
    assert len(moved.unique(dim=1).T) > 1
    first, second = (torch.stack([c, c + 1], 1) for c in (one, two))
    means = (first.square().mean() + second.square().mean()) / 2
    assert torch.allclose(loss, means + 3 * (first - second).square().mean())


def small_vit() -> nn.Module:
    """Sixteen tokens of 4 pixels, and no class token."""
    torch.manual_seed(0)
    return wavevit.create_model("test_vit", in_chans=1, img_size=16, patch_size=4).eval()


@pytest.mark.parametrize(("keep", "still"), [(0.0, 0.0), (0.5, 3.0)])
def test_tokens_have_the_loss_of_the_pooled_features_in_a_unit_of_their_own(
    keep: float, still: float
) -> None:
    teacher, model = small_vit(), small_vit()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    windows = torch.randn(5, 1, 20, 20, generator=rng(1))

    def plain_tokens(one: nn.Module, images: Tensor) -> Tensor:
        found: Tensor = one.forward_features(images)
        return found.flatten(1)

    shared: dict[str, Any] = {"crop_size": 16, "shifts": 3, "span": 4, "keep": keep, "still": still}

    def loss(objective: Objective) -> float:
        objective, draws = objective.in_units_of(windows), rng(2)
        return float(objective.loss(model, windows, objective.target(windows, draws), draws))

    with torch.no_grad():
        pooled = loss(Objective(teacher, pooled_features, **shared))
        tokens = loss(Objective(teacher, plain_tokens, **shared))
        both = loss(Objective(teacher, pooled_features, **shared, tokens=0.7))
    assert tokens != pytest.approx(pooled, rel=0.01)
    assert both == pytest.approx(pooled + 0.7 * tokens, rel=1e-5)


def test_tokens_come_nearer_to_their_targets_with_a_weight_and_not_without() -> None:
    teacher = small_vit()
    objective = Objective(teacher, pooled_features, 16, shifts=4, span=4, keep=0.0, tokens=1.0)
    held_out = windows_of("photographs", photographs(6), 20)(32, 5)
    both = Judged(objective.in_units_of(held_out), held_out)
    pooled = Judged(dataclasses.replace(both.objective, tokens=0.0), held_out)

    def token_loss(model: nn.Module) -> float:
        return both.loss(model) - pooled.loss(model)

    def distilled(weight: float) -> nn.Module:
        model = copy.deepcopy(teacher)
        run(model, teacher, steps=30, own_lr=5e-3, patience=None, tokens=weight)
        return model

    assert token_loss(distilled(1.0)) < token_loss(teacher) < token_loss(distilled(0.0))


def test_it_learns_and_reports_what_the_model_has_now() -> None:
    model, teacher = pair()
    before = copy.deepcopy(teacher)
    with torch.no_grad():
        model.patch_embed.weight *= 0.5
    report = run(model, teacher, steps=60, lr=0.1)
    assert report.loss[1] < 0.8 * report.loss[0]
    assert report.cosine[1] > report.cosine[0]
    assert report.loss[1] == min(loss for _, loss in report.history)
    assert dict(report.history)[report.best_step] == report.loss[1]
    assert same(teacher, before)
    assert (report.stopped, report.complete) == ("steps", True) or report.stopped == "early"
    assert "R, crop shift by 1 px" in str(report)
    assert "came with" not in str(report)
    assert "came with" in str(dataclasses.replace(report, best_step=0))


@pytest.mark.parametrize(
    ("train", "moves"),
    [
        ("branch", {"graft"}),
        ("branch+blocks", {"graft", "blocks.0"}),
        ("embedding+blocks", {"proj", "blocks.0"}),
    ],
)
def test_only_what_is_named_is_trained(train: str, moves: set[str]) -> None:
    torch.manual_seed(0)
    teacher = wavevit.create_model("test_vit", img_size=32, in_chans=1).train()
    student = wavevit.graft(teacher, "dtcwt")
    with torch.no_grad():
        student.norm.weight.mul_(0.5)  # so there is something to learn
    student.norm.weight.requires_grad_(False)
    before = copy.deepcopy(student)
    changes: dict[str, Any] = {"crop_size": 32, "span": None, "steps": 2, "evaluate_every": 2}
    changes |= {"lr": 1e-4, "own_lr": 1e-4}
    run(student, teacher, train=train, blocks=1, pictures=photographs(side=56), **changes)
    old = dict(before.named_parameters())
    moved = [name for name, new in student.named_parameters() if not torch.equal(new, old[name])]
    assert moved
    for name in moved:
        assert any(part in name for part in moves), name
    assert all(any(part in name for name in moved) for part in moves)
    assert student.training
    assert [p.requires_grad for p in student.parameters()] == [
        p.requires_grad for p in before.parameters()
    ]
    assert all(p.grad is None for p in student.parameters())


@pytest.mark.parametrize(
    "changes", [{}, {"batches": 5}, {"batches": 5, "still": 1.0, "keep": 0.1, "patience": None}]
)
def test_a_killed_run_ends_in_the_same_bits(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, teacher = pair()
    report = run(whole, teacher, **changes)
    checkpoint = tmp_path / "folder" / "state.safetensors"
    killed, _ = pair()
    # The time is over before every third step, in the middle of the steps between evaluations.
    ticks = iter(range(10**6))
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))
    calls = 1
    again: dict[str, Any] = {"minutes": 7 / 60, "checkpoint": checkpoint, **changes}
    while not (found := run(killed, teacher, **again)).complete:
        assert checkpoint.exists()
        calls += 1
        killed, _ = pair()  # another process would begin with the original
    assert calls > 2
    assert same(killed, whole)
    assert (found.history, found.best_step) == (report.history, report.best_step)
    assert (found.sensitivity, found.cosine) == (report.sensitivity, report.cosine)
    assert not checkpoint.exists()


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    model, teacher = pair()
    path = tmp_path / "state.safetensors"
    assert not run(model, teacher, minutes=1e-9, checkpoint=path).complete
    expected = r"checkpoint: expected a checkpoint of a distillation with keep=0.7, .* keep=0.0"
    with pytest.raises(ValueError, match=expected):
        run(model, teacher, keep=0.7, checkpoint=path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"checkpoint: expected a checkpoint of a distillation"):
        run(model, teacher, checkpoint=path)


def test_a_checkpoint_of_another_teacher_or_of_other_photographs_is_refused(tmp_path: Path) -> None:
    """A model of the same architecture would get the weights that the other one has learned."""
    path = tmp_path / "state.safetensors"
    part: dict[str, Any] = {"minutes": 1e-9, "checkpoint": path}

    def refused(what: str, train: str, change: int) -> None:
        path.unlink(missing_ok=True)
        model, teacher = pair()
        assert not run(model, teacher, train=train, **part).complete
        model, teacher = pair()
        other = (model, teacher)[change]
        with torch.no_grad():
            other.last.weight[0, 0] += 1
        expected = f"checkpoint: expected a checkpoint of a distillation with digest of {what}="
        with pytest.raises(ValueError, match=expected):
            run(model, teacher, train=train, **part)

    refused("the teacher", "all", 1)
    refused("what is not trained", "embedding", 0)
    model, teacher = pair()
    path.unlink()
    assert not run(model, teacher, **part).complete
    fewer = photographs()[:-1]
    for pictures in (fewer, [*fewer, fewer[0]]):
        model, teacher = pair()
        with pytest.raises(ValueError, match="a distillation with digest of the photographs="):
            run(model, teacher, pictures=pictures, **part)
    model, teacher = pair()  # what it began with is taken
    assert run(model, teacher, checkpoint=path).complete


def test_a_checkpoint_of_an_earlier_version_is_refused_by_name(tmp_path: Path) -> None:
    """It does not say of which teacher it is."""
    model, teacher = pair()
    path = tmp_path / "state.safetensors"
    assert not run(model, teacher, minutes=1e-9, checkpoint=path).complete
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    settings = json.loads(metadata["settings"])
    del settings["digest of the teacher"]
    save_file(load_file(path), path, metadata | {"settings": json.dumps(settings)})
    with pytest.raises(ValueError, match=r"expected one of this version .* an earlier version"):
        run(model, teacher, checkpoint=path)


def test_a_harmful_training_stops_early_and_changes_nothing() -> None:
    model, teacher = pair()
    report = run(model, teacher, lr=5.0, own_lr=5.0, patience=2, steps=100)
    assert (report.stopped, report.best_step, report.steps) == ("early", 0, 10)
    assert same(model, teacher)
    assert report.loss[0] == report.loss[1]


def test_without_patience_the_last_step_is_kept() -> None:
    model, teacher = pair()
    report = run(model, teacher, lr=0.5, own_lr=0.5, patience=None, steps=30, evaluate_every=7)
    assert (report.stopped, report.best_step, report.steps) == ("steps", 30, 30)
    assert report.loss[1] == report.history[-1][1]
    assert report.loss[1] > report.loss[0]  # a rate that is far too high
    assert not same(model, teacher)


def test_a_loss_that_is_no_number_is_an_error_and_the_model_keeps_its_best() -> None:
    model, teacher = pair()
    calls = 0

    def features(one: nn.Module, images: Tensor) -> Tensor:
        nonlocal calls
        calls += one is model and torch.is_grad_enabled()
        return one(images) * (float("nan") if calls == 3 else 1.0)

    with pytest.raises(DistillationError, match=r"loss nan.* at step 2, learning rate"):
        run(model, teacher, features=features)
    assert same(model, teacher)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_targets_of_a_batch_are_computed_once() -> None:
    _, teacher = pair()
    calls = [0, 0]

    def features(one: nn.Module, images: Tensor) -> Tensor:
        calls[one is teacher] += 1
        out: Tensor = one(images)
        return out

    def taught(**changes: Any) -> int:
        calls[1] = 0
        run(pair()[0], teacher, keep=0.0, shifts=7, features=features, **changes)
        return calls[1]

    assert taught(steps=9, batches=2) - taught(steps=3, batches=2) == 0
    assert taught(steps=9) - taught(steps=3) == 6 * 7


def test_steps_follow_from_the_minutes() -> None:
    model, teacher = pair()
    report = run(model, teacher, steps=None, minutes=0.002)
    assert report.planned >= 1
    few = run(pair()[0], teacher, steps=None, minutes=1e-7, batches=3)
    assert few.planned == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"steps": None}, "steps: expected a number of steps, or minutes"),
    ({"steps": 0}, "steps: expected an integer of at least 1"),
    ({"minutes": float("nan")}, "minutes: expected a positive number"),
    ({"train": "branch"}, "train: expected 'embedding', 'blocks' or 'all' for a model without"),
    ({"train": "bottom"}, "train: expected one of 'branch', 'embedding', 'blocks', 'all'"),
    ({"minutes": "20"}, "minutes: expected a positive number, got '20'"),
    ({"lr": "1e-3"}, "lr: expected a positive number, got '1e-3'"),
    ({"still": None}, "still: expected a number of at least 0, got None"),
    ({"features": "mean"}, "features: expected a function of a model and images, got str"),
    ({"features": lambda model, x: x}, r"features: expected one vector .*got shape \(1, 16, 16\)"),
    ({"keep": -1.0}, "keep: expected a number of at least 0"),
    ({"still": float("inf")}, "still: expected a number of at least 0"),
    ({"tokens": -1.0}, "tokens: expected a number of at least 0"),
    ({"tokens": 1.0}, "model: expected a model that gives its tokens"),
    (
        {"tokens": 1.0, "features": lambda one, images: one(images)},
        "tokens: expected 0 with features of your own",
    ),
    ({"patience": 0}, "patience: expected an integer of at least 1"),
    ({"batches": 0}, "batches: expected an integer of at least 1"),
    ({"lr": 0.0}, "lr: expected a positive number"),
    ({"span": 1}, "span: expected an integer of at least 2"),
    ({"pictures": []}, "photographs: expected at least one photograph"),
    ({"pictures": "photos"}, r"photographs: expected tensors \(C, H, W\) or a callable"),
    ({"pictures": photographs(1)}, "photographs: expected at least 2 tensors"),
    ({"pictures": photographs(4, 19)}, r"photographs\[\d\]: expected sides of at least 20"),
    ({"pictures": [torch.zeros(40, 40)] * 3}, r"photographs\[0\]: expected a tensor \(C, H, W\)"),
    ({"pictures": lambda count, seed: torch.zeros(1)}, "held_out: expected held-out photographs"),
    (
        {"pictures": lambda count, seed: torch.zeros(2, 1, 9, 9), "held_out": photographs()},
        r"photographs: expected 4 windows of at least 20 x 20",
    ),
    ({"pictures": [torch.zeros(1, 40, 40)] * 3}, "teacher: expected features that are finite"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=[m[:40] for _, m in WRONG])
def test_complaints(changes: dict[str, Any], message: str) -> None:
    model, teacher = pair()
    with pytest.raises(ValueError, match=message):
        run(model, teacher, **changes)
    assert same(model, teacher)


def test_a_teacher_that_would_learn_is_refused() -> None:
    model, teacher = pair()
    with pytest.raises(ValueError, match=r"teacher: expected a model of its own .*shares"):
        run(model, model)
    teacher.last = model.last
    with pytest.raises(ValueError, match=r"shares 'last.weight'"):
        run(model, teacher)
    with pytest.raises(ValueError, match=r"teacher: expected a torch.nn.Module, got str"):
        run(model, "timm:vit_small_patch14_dinov2")


def test_a_teacher_with_other_features_is_refused() -> None:
    model, teacher = pair()
    teacher.last = nn.Linear(6, 7)
    with pytest.raises(ValueError, match=r"model: expected as many features .* 7, got 5"):
        run(model, teacher)


def test_span_of_a_model_without_patches_is_asked_for() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
    with pytest.raises(ValueError, match=r"span: expected a number of pixels"):
        run(model, copy.deepcopy(model), span=None)
    assert run(model, copy.deepcopy(model), span=3).steps == 12


def test_offsets_are_uniform_and_spread() -> None:
    seen = [shift_offsets(4, 5, rng(seed)) for seed in range(400)]
    flat = [offset for offsets in seen for offset in offsets]
    assert {i for i, _ in flat} == {j for _, j in flat} == {-2, -1, 0, 1, 2}
    counts = [flat.count((i, j)) for i in range(-2, 3) for j in range(-2, 3)]
    assert 30 < min(counts) <= max(counts) < 100  # 64 each
    rows = [len({i for i, _ in offsets}) for offsets in seen]
    assert min(rows) >= 3  # independent ones often share a row


def test_windows_are_cut_from_photographs_by_seed() -> None:
    pictures = photographs()
    draw = windows_of("photographs", pictures, 12)
    windows = draw(6, 3)
    assert torch.equal(windows, draw(6, 3))
    assert not torch.equal(windows, draw(6, 4))
    places = torch.stack([p.unfold(1, 12, 1).unfold(2, 12, 1).reshape(-1, 144) for p in pictures])
    gaps = (places[None] - windows.reshape(6, 1, 1, 144)).abs().amax(-1)
    assert float(gaps.amin(dim=(1, 2)).max()) == 0
    assert crop_at(windows, (1, -2), 6).shape == (6, 1, 6, 6)
    assert torch.equal(crop_at(windows, (1, -2), 6), windows[..., 4:10, 1:7])


def test_pooled_features_of_a_model_without_vectors() -> None:
    with pytest.raises(ValueError, match=r"model: expected one vector for each image"):
        pooled_features(nn.Conv2d(1, 2, 3), torch.randn(2, 1, 16, 16, generator=rng()))


@pytest.mark.nightly  # transformers takes seconds to import
def test_pooled_features_of_transformers() -> None:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
        num_channels=1,
    )
    model = ViTForImageClassification(config).eval()
    images = torch.randn(2, 1, 16, 16, generator=rng())
    with torch.no_grad():
        found = pooled_features(model, images)
        hidden = model.vit(images).last_hidden_state
        assert torch.equal(model.classifier(found), model(images).logits)
    assert torch.equal(found, hidden[:, 0])


@pytest.mark.nightly  # transformers takes seconds to import
def test_pooled_features_of_clip_are_its_class_token() -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
    )
    model = CLIPVisionModel(config).eval()
    images = torch.randn(2, 3, 16, 16, generator=rng())
    with torch.no_grad():
        assert torch.equal(pooled_features(model, images), model(images).last_hidden_state[:, 0])
