"""Label-free distillation: a model learns its teacher's features averaged over crop shifts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from wavevit.checks import check_at_least, check_bool, check_number, check_seed, fail
from wavevit.files import as_path, check_output_file
from wavevit.grafting.digests import digest_of_all
from wavevit.grafting.distillation_loop import Run, copies, restore, take_steps
from wavevit.grafting.distillation_loss import JUDGED_SEEDS, Features, Judged, Objective
from wavevit.grafting.distillation_report import Distillation
from wavevit.grafting.distillation_state import State, load_state
from wavevit.grafting.pooled import pooled_features
from wavevit.grafting.trained_parts import choose_parameters, patch_size
from wavevit.grafting.windows import (
    Photographs,
    split_photographs,
    windows_of,
)
from wavevit.measure.evaluation import evaluation_mode

__all__ = ["distil"]


@contextmanager
def _only_trained(model: nn.Module, chosen: Mapping[str, nn.Parameter]) -> Iterator[None]:
    """Gradients of the chosen parameters alone."""
    before = {parameter: parameter.requires_grad for parameter in model.parameters()}
    wanted = set(chosen.values())
    try:
        for parameter in before:
            parameter.requires_grad_(parameter in wanted)
        yield
    finally:
        for parameter, required in before.items():
            parameter.requires_grad_(required)
            parameter.grad = None


def _check_separate(
    model: nn.Module, teacher: nn.Module, chosen: Mapping[str, nn.Parameter]
) -> torch.device:
    """The device of both, if the teacher stays as it is while the model learns."""
    own = {parameter.data_ptr() for parameter in teacher.parameters() if parameter.numel()}
    shared = [name for name, parameter in chosen.items() if parameter.data_ptr() in own]
    if shared:
        expected = "a model of its own (a deep copy), which stays as it is"
        fail("teacher", expected, f"one that shares {shared[0]!r} with the model")
    devices = {parameter.device for one in (model, teacher) for parameter in one.parameters()}
    if len(devices) != 1:
        fail("model and teacher", "one device", sorted(map(str, devices)))
    return devices.pop()


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return dict([*model.named_parameters(), *model.named_buffers()])


def distil(
    model: nn.Module,
    teacher: nn.Module,
    photographs: Photographs,
    *,
    crop_size: int,
    steps: int | None = None,
    minutes: float | None = None,
    train: str = "branch",
    blocks: int = 2,
    shifts: int = 4,
    span: int | None = None,
    keep: float = 0.0,
    still: float = 0.0,
    tokens: float = 0.0,
    batch_size: int = 32,
    batches: int | None = None,
    lr: float = 1e-3,
    own_lr: float | None = None,
    held_out: Photographs | None = None,
    judged: int = 64,
    evaluate_every: int = 25,
    patience: int | None = 6,
    features: Features = pooled_features,
    seed: int = 0,
    progress: bool = False,
    checkpoint: str | Path | None = None,
) -> Distillation:
    """Trains a model, in place and without labels, to give its teacher's shift-averaged features.

    Each step draws windows of photographs, a crop's side plus the range of shifts. The target is
    the mean of the teacher's features over `shifts` crops of a window; the model sees one more
    crop, at a shift of its own. Each window has its own shifts. So the model's best answer is the
    teacher's response averaged over shifts. Two more terms are optional: `still` asks that the
    model's features change little when its crop moves by one pixel, and `keep` pulls to the
    teacher's features of the crop that the model sees. Teacher and model run in eval mode: without
    dropout, with fixed statistics of batch norms.

    Hundreds of steps are needed. The first ones move the features away from the teacher's by more
    than a shift does, so the held-out loss rises before it falls. Where photographs are few, it may
    stay above its start although the sensitivity falls: then `patience=None` keeps the last step.

    Args:
        model: the student, usually from `wavevit.graft`; any module whose features have the
            teacher's size, a plain copy of the teacher too (``train="all"``).
        teacher: the frozen model; it shares no parameter that is trained.
        photographs: tensors (C, H, W), normalised as the models take them, or a callable from
            (count, seed) to windows (count, C, W, W) of at least ``crop_size + 2 * (span // 2)``
            pixels. For a folder of pictures, read them with `wavevit.data.find_pictures` and
            `wavevit.data.read_picture`.
        crop_size: side of the models' input in pixels.
        steps: optimiser steps, warm-up and cosine decay included. By default as many as fit into
            `minutes`, by the time of a few steps before the start.
        minutes: time budget of this call. When it is over before the steps are, the call ends;
            with a checkpoint the same call continues.
        train: what is trained, joined by ``+``: ``"branch"`` (what the graft added),
            ``"embedding"`` (the model's own patch embedding), ``"blocks"`` (the first `blocks`
            blocks); or ``"all"``.
        blocks: number of first blocks.
        shifts: crops whose features are averaged.
        span: shifts go over ``span x span`` pixels; by default the teacher's patch size, so that
            all positions of the patch grid count alike.
        keep: weight of the teacher's features of the crop that the model sees. The best answer is
            then the mean of both targets with weights 1 and `keep`, so a share
            ``keep / (1 + keep)`` of the teacher's sensitivity stays.
        still: weight of the mean square change of the model's features when its crop moves by one
            pixel, in the unit of the loss. A step then runs the model on two crops of each window.
        tokens: weight of the same loss of each token, beside that of the pooled features; for
            models of timm, transformers and wavevit. The target of a token is the mean of the
            teacher's tokens at its place of the grid over the shifts. Targets that are kept
            (`batches`) then hold all tokens.
        batch_size: windows in a step.
        batches: number of different batches, which come in turn, each time with another shift of
            the model's crop. The targets of a batch are computed once, so many `shifts` cost
            little. None for new windows in each step.
        lr: peak learning rate (AdamW without weight decay) of the branch. A large pretrained model
            loses features at a large rate: try 5e-5.
        own_lr: of the model's own parameters; ``lr / 5`` by default.
        held_out: photographs on which the loss is measured; by default an eighth of the tensors.
        judged: number of held-out windows.
        evaluate_every: steps between evaluations (and between checkpoints).
        patience: evaluations without a lower held-out loss before the training stops; the model
            gets the parameters of the lowest one. None to take all steps and keep the last.
        features: from a model and images to (B, D), for both models.
        seed: seed of all random numbers.
        progress: show a bar on a terminal, and a line for each evaluation elsewhere.
        checkpoint: file to resume from, written at evaluations and removed at the end. One of
            another teacher, other photographs or other settings is refused.

    Returns:
        A `Distillation`. The model has the parameters of the lowest held-out loss, which may be
        those from before the training; with ``patience=None`` those of the last evaluation.

    Raises:
        ValueError: an argument that does not fit; the message names it.
        DistillationError: the loss became NaN or infinite.

    Guarantees:
        A run that is killed and called again with its checkpoint ends in the same bits as one that
        was not, on the same machine with the same number of threads
        (tests/unit/test_distillation.py). Only what `train` names changes.
    """
    for argument, one in (("model", model), ("teacher", teacher)):
        if not isinstance(one, nn.Module):
            fail(argument, "a torch.nn.Module", type(one).__name__)
    if not callable(features):
        fail("features", "a function of a model and images", type(features).__name__)
    for name, number, least in (
        ("crop_size", crop_size, 1),
        ("shifts", shifts, 1),
        ("batch_size", batch_size, 1),
        ("judged", judged, 2),
        ("evaluate_every", evaluate_every, 1),
    ):
        check_at_least(name, number, least)
    if steps is None and minutes is None:
        fail("steps", "a number of steps, or minutes", "neither")
    for name, given in (("steps", steps), ("batches", batches), ("patience", patience)):
        if given is not None:
            check_at_least(name, given, 1)
    for name, positive in (("minutes", minutes), ("lr", lr), ("own_lr", own_lr)):
        if positive is not None:
            check_number(name, positive, above=0)
    for name, weight in (("keep", keep), ("still", still), ("tokens", tokens)):
        check_number(name, weight, least=0)
    if tokens and features is not pooled_features:
        fail("tokens", "0 with features of your own", tokens)
    check_seed("seed", seed)
    check_bool("progress", progress)
    own_lr = lr / 5 if own_lr is None else own_lr
    if checkpoint is not None:
        checkpoint = as_path("checkpoint", checkpoint)
        check_output_file("checkpoint", checkpoint, make_folder=True)
    chosen = choose_parameters(model, train, blocks)
    device = _check_separate(model, teacher, chosen.parameters)
    span = patch_size(teacher) if span is None else check_at_least("span", span, 2)

    if held_out is None:
        if callable(photographs):
            fail("held_out", "held-out photographs if `photographs` is a function", None)
        windows_of("photographs", photographs, 1)  # complains of other things than a sequence
        photographs, held_out = split_photographs(photographs, seed)
    side = crop_size + 2 * (span // 2)
    source = windows_of("photographs", photographs, side)
    judging = windows_of("held_out", held_out, side)(judged, JUDGED_SEEDS + seed).to(device)

    settings = {
        "train": train,
        "blocks": blocks if "blocks" in train else 0,
        "shifts": shifts,
        "span": span,
        "keep": keep,
        "still": still,
        "tokens": tokens,
        "crop_size": crop_size,
        "batch_size": batch_size,
        "batches": batches,
        "lr": lr,
        "own_lr": own_lr,
        "judged": judged,
        "evaluate_every": evaluate_every,
        "best": patience is not None,
        "seed": seed,
        "steps": steps,
        "parameters": {name: list(p.shape) for name, p in chosen.parameters.items()},
    }
    if checkpoint is not None:
        drawn = [source(1, seed)] if callable(photographs) else photographs
        settings |= {
            "digest of the teacher": digest_of_all(_tensors(teacher).values()),
            "digest of what is not trained": digest_of_all(
                t for name, t in _tensors(model).items() if name not in chosen.parameters
            ),
            "digest of the photographs": digest_of_all([*drawn, judging]),
        }
    with evaluation_mode(model), evaluation_mode(teacher), _only_trained(model, chosen.parameters):
        objective = Objective(teacher, features, crop_size, shifts, span, keep, still, tokens)
        objective = objective.in_units_of(judging)
        measured = Judged(objective, judging)
        groups = [
            {"params": list(group), "lr": rate, "peak": rate}
            for group, rate in ((chosen.added, lr), (chosen.own, own_lr))
            if group
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
        run = Run(model, objective, source, chosen, optimizer, device, seed, batch_size, batches)
        if checkpoint is not None and checkpoint.exists():
            state = load_state(checkpoint, chosen.parameters, optimizer, settings)
        else:
            before = measured.figures(model)
            planned = steps
            if planned is None:
                assert minutes is not None
                planned = run.steps_within(minutes, evaluate_every, lambda: measured.loss(model))
            history = [(0, measured.loss(model))]
            state = State(planned, before, history=history, best=copies(chosen.parameters))
        stopped = take_steps(
            run, measured, state, minutes, evaluate_every, patience, progress, checkpoint, settings
        )
        restore(chosen.parameters, state.best)
        after = dict(state.history)[state.best_step]
        final = measured.figures(model)
    if checkpoint is not None and stopped != "time":
        checkpoint.unlink(missing_ok=True)
    return Distillation(
        steps=state.done,
        planned=state.steps,
        seconds=state.seconds,
        stopped=stopped,
        best_step=state.best_step,
        parameters=sum(parameter.numel() for parameter in chosen.parameters.values()),
        loss=(state.history[0][1], after),
        sensitivity=(state.before[0], final[0]),
        cosine=(state.before[1], final[1]),
        history=tuple(state.history),
    )
