"""Contract of a task: checks that any task passes, on any backbone it accepts.

`TASK_CONTRACT` has every check by name.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.checks import fail
from wavevit.tasks import Losses, Task, joined, sliced
from wavevit.testing.subject import chosen_checks, require
from wavevit.testing.task_laws import TASK_LAWS

__all__ = ["TASK_CONTRACT", "assert_task_contract"]

_COUNT = 4  # examples of a batch
_STEPS, _RATE = 8, 1e-3  # of the training that must lower the loss
_EXACT = 1e-9  # relative, in float64


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _batch(task: Task, count: int = _COUNT) -> dict[str, Any]:
    return task.dummy_batch(count, _generator())


def _total(losses: Losses) -> float:
    return float(losses.total.detach())


def _distance(a: Any, b: Any) -> float:
    """Largest difference of two results, relative to the size of the first."""
    if isinstance(a, Tensor):
        require(a.shape == b.shape, f"shapes {tuple(a.shape)} and {tuple(b.shape)}")
        if not a.numel():
            return 0.0
        if not a.is_floating_point():
            return 0.0 if torch.equal(a, b) else math.inf
        a, b = a.detach(), b.detach()
        size = float(a.abs().max()) or 1.0
        return float((a - b).abs().max()) / size
    if isinstance(a, dict):
        return max((_distance(a[name], b[name]) for name in a), default=0.0)
    if isinstance(a, list | tuple):
        require(len(a) == len(b), f"lengths {len(a)} and {len(b)}")
        return max((_distance(x, y) for x, y in zip(a, b, strict=True)), default=0.0)
    return 0.0 if a == b else math.inf


def loss_terms(task: Task) -> None:
    """The loss is a finite scalar, the sum of its parts; reports have no gradient."""
    losses = task.loss(_batch(task), _generator())
    require(losses.parts, "no parts")
    for name, part in losses.parts.items():
        require(part.shape == () and part.isfinite(), f"part {name!r} is {part.detach()}")
    total = sum(float(part.detach().double()) for part in losses.parts.values())
    require(math.isclose(_total(losses), total, rel_tol=1e-5, abs_tol=1e-8), "total != sum")
    loose = [name for name, value in losses.report.items() if value.requires_grad]
    require(not loose, f"reports with gradients: {loose}")
    require(not set(losses.parts) & set(losses.report), "a name is both a part and a report")


def gradients(task: Task) -> None:
    """Every trainable parameter gets a finite gradient, and at least one is not 0."""
    task.train()
    task.loss(_batch(task), _generator()).total.backward()
    found = {name: parameter.grad for name, parameter in task.trainable()}
    require(found, "nothing is trainable")
    missing = [name for name, grad in found.items() if grad is None]
    require(not missing, f"no gradient for {missing[:6]}")
    broken = [n for n, grad in found.items() if grad is not None and not grad.isfinite().all()]
    require(not broken, f"gradients that are not finite: {broken[:6]}")
    require(any(grad is not None and grad.any() for grad in found.values()), "all gradients are 0")


def seeds(task: Task) -> None:
    """The generator alone decides what the loss and the evaluation draw."""
    batch = _batch(task)
    torch.manual_seed(1)
    first = _total(task.loss(batch, _generator(3))), task.evaluate(batch, _generator(4))
    torch.manual_seed(2)
    second = _total(task.loss(batch, _generator(3))), task.evaluate(batch, _generator(4))
    require(first[0] == second[0], f"loss {first[0]} and {second[0]} from one seed")
    require(_distance(first[1], second[1]) == 0, "evaluations differ with one seed")


def examples(task: Task) -> None:
    """Answers and metrics are of one example each: joined halves equal the whole batch."""
    task.double()
    batch = {n: v.double() if _floats(v) else v for n, v in _batch(task).items()}
    answers = task.predict(batch)
    for name, value in answers.items():
        require(len(value) == _COUNT, f"{name!r} has {len(value)} entries for {_COUNT} examples")
    halves = [sliced(batch, 0, 1), sliced(batch, 1, _COUNT)]
    apart = joined(task.predict(half) for half in halves)
    distance = _distance(answers, apart)
    require(distance < _EXACT, f"answers depend on the other examples (relative {distance:.1e})")


def metrics(task: Task) -> None:
    """Metrics have an entry for each example; their summary is finite and has the score."""
    results = task.evaluate(_batch(task), _generator())
    for name, value in results.items():
        require(len(value) == _COUNT, f"{name!r} has {len(value)} entries for {_COUNT} examples")
    summary = task.summarize(joined([results, results]))
    require(task.score in summary, f"summary {sorted(summary)} without {task.score!r}")
    for name, value in summary.items():
        require(isinstance(value, float), f"{name!r} is {type(value).__name__}, not a float")
    require(math.isfinite(summary[task.score]), f"{task.score} is {summary[task.score]}")


def unmoved(task: Task) -> None:
    """Comparing answers with themselves, without a shift, gives no change and changes nothing."""
    answers = task.predict(_batch(task))
    for name, value in task.compare(answers, answers, (0, 0)).items():
        require(value.shape == (_COUNT,), f"{name!r} has shape {tuple(value.shape)}")
    require(_distance(answers, task.predict(_batch(task))) == 0, "answers changed")


def state(task: Task) -> None:
    """A state_dict restores the task."""
    other = copy.deepcopy(task)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    missing = other.load_state_dict(task.state_dict(), strict=True)
    require(not missing.missing_keys and not missing.unexpected_keys, str(missing))
    batch = _batch(task)
    one, two = (_total(t.loss(batch, _generator())) for t in (task, other))
    require(one == two, f"loss {one}, and {two} after loading")


def learning(task: Task) -> None:
    """At least one of a few optimiser steps on one batch lowers its loss (same random numbers)."""
    task.train()
    batch = _batch(task)
    optimizer = torch.optim.AdamW([p for _, p in task.trainable()], lr=_RATE, weight_decay=0.0)
    values = []
    for _ in range(_STEPS):
        total = task.loss(batch, _generator()).total
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        values.append(float(total.detach()))
    best = min(values[1:])
    require(best < values[0], f"loss {values[0]:.4f}, at best {best:.4f} after {_STEPS} steps")


def precision(task: Task) -> None:
    """bfloat16 by autocast gives a finite loss, close to that of float32."""
    batch = _batch(task)
    exact = _total(task.loss(batch, _generator()))
    with torch.autocast("cpu", torch.bfloat16):
        rough = _total(task.loss(batch, _generator()))
    require(math.isclose(exact, rough, rel_tol=0.1, abs_tol=0.05), f"{exact:.4f} and {rough:.4f}")


def parameters(task: Task) -> None:
    """Names without weight decay exist; the units of `fully_shard` are modules of the task."""
    names = {name for name, _ in task.named_parameters()}
    unknown = set(task.no_weight_decay()) - names
    require(not unknown, f"no_weight_decay names {sorted(unknown)[:4]}")
    own = {id(module) for module in task.modules()}
    units = task.fsdp_units()
    require(units and all(id(unit) in own for unit in units), "units that are not in the task")
    held = [id(p) for unit in units for p in unit.parameters()]
    require(len(held) == len(set(held)), "units of fully_shard share parameters")


def bad_batches(task: Task) -> None:
    """A batch that is no dict, lacks an entry, or has no image or NaN pixels, is refused by name
    before any step."""
    batch = _batch(task)
    _refused(task, list(batch.values()), "batch")
    _refused(task, sliced(batch, 0, 0), "images")
    for key in ("images", *task.keys):
        rest = {name: value for name, value in batch.items() if name != key}
        _refused(task, rest, key)
    images = batch["images"]
    if images.is_floating_point():
        broken = images.clone()
        broken[0, 0, 0, 0] = torch.nan
        _refused(task, {**batch, "images": broken}, "images")
    _refused(task, {**batch, "images": images[:, :, 0]}, "images")


def law(task: Task) -> None:
    """The law of its kind holds, for a task of a class in `TASK_LAWS` or derived from one: what may
    depend on what. For example, a masked task reads no hidden pixel."""
    for kind, check in TASK_LAWS.items():
        if isinstance(task, kind):
            check(task)


def _refused(task: Task, batch: Any, key: str) -> None:
    try:
        task.loss(batch, _generator())
    except ValueError as error:
        require(key in str(error), f"the error does not name {key!r}: {error}")
    except Exception as error:
        raise AssertionError(f"a bad {key!r} gives {error!r} in place of a ValueError") from error
    else:
        require(False, f"a bad {key!r} was accepted")


def _floats(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


#: Every check by name.
TASK_CONTRACT: dict[str, Callable[[Task], object]] = {
    check.__name__: check
    for check in (
        *(loss_terms, gradients, seeds, examples, metrics, unmoved),
        *(state, learning, precision, parameters, bad_batches, law),
    )
}


def assert_task_contract(
    build: Callable[[], nn.Module], *, checks: Iterable[str] | None = None
) -> None:
    """Asserts that a task fulfils the contract of tasks, on which training loop and studies rely.

    Args:
        build: makes the task; called once for each check, under a fixed seed.
        checks: names from `TASK_CONTRACT`; all by default.

    Raises:
        AssertionError: lists every check that failed, with the values that were found.
        ValueError: an unknown check or none, or `build` makes no task.

    Example:
        >>> from wavevit.tasks import create_task
        >>> assert_task_contract(
        ...     lambda: create_task("classification", "test_haar_vit", num_classes=3, img_size=32),
        ...     checks=["loss_terms", "bad_batches"],
        ... )
    """
    if isinstance(build, nn.Module) or not callable(build):
        expected = "a function that makes the task, such as lambda: create_task(…)"
        fail("build", expected, type(build).__name__)
    names = chosen_checks(checks, TASK_CONTRACT)
    failures = []
    for name in names:
        check = TASK_CONTRACT[name]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            task = build()
            if not isinstance(task, Task):
                fail("build", "a function that makes a wavevit.tasks.Task", type(task).__name__)
            try:
                check(task.eval())
            except AssertionError as error:
                failures.append(f"{name}: {error}")
    if failures:
        listed = "\n  ".join(failures)
        raise AssertionError(f"{len(failures)} check(s) of the contract failed:\n  {listed}")
