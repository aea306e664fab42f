"""Contract of a backbone: checks of timm's interface for any model.

`CONTRACT` has every check by name. The checks in `SHAPES` need shapes, names and order only and
also run on the ``meta`` device, where a model of any size needs no memory.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from wavevit.checks import check_device, check_pair, fail, require_extra
from wavevit.testing.assertions import assert_close_relative
from wavevit.testing.calls import copies, empty_batch, hooks, parallel, without_gradient
from wavevit.testing.graphs import compiles, exports, recompiles, symbolic, traces
from wavevit.testing.subject import Size, Subject, chosen_checks, require
from wavevit.testing.tolerances import tolerance

__all__ = ["CONTRACT", "SHAPES", "assert_backbone_contract"]


def arguments(subject: Subject) -> None:
    """Works with 1, 3 and 4 channels, any number of classes, and no classes (pooled features)."""
    for channels in (1, 3, 4):
        logits = subject.new(in_chans=channels)(subject.images(channels=channels))
        require(logits.shape == (2, 7), f"in_chans={channels}: {tuple(logits.shape)}, not (2, 7)")
    model = subject.new(num_classes=0)
    pooled = model(subject.images()).shape
    expected = (2, model.head_hidden_size)
    require(pooled == expected, f"num_classes=0 gives {tuple(pooled)}, not {expected}")


def feature_info(subject: Subject) -> None:
    """Channels, strides and modules agree with `feature_info` at every size."""
    model = subject.new()
    entries: list[dict[str, Any]] = list(model.feature_info)
    for size in subject.sizes:
        maps = model.forward_intermediates(subject.images(size), intermediates_only=True)
        require(len(maps) == len(entries), f"{len(maps)} maps, {len(entries)} in feature_info")
        for entry, feature in zip(entries, maps, strict=True):
            stride = entry["reduction"]
            expected = (2, entry["num_chs"], -(-size[0] // stride), -(-size[1] // stride))
            got = tuple(feature.shape)
            require(got == expected, f"{entry['module']} at {size}: {got}, declared {expected}")
            model.get_submodule(entry["module"])
    strides = [entry["reduction"] for entry in entries]
    require(strides == sorted(strides), f"strides {strides} are not from fine to coarse")


def head(subject: Subject) -> None:
    """`forward` is `forward_head` of `forward_features`; `head_hidden_size` is the input size."""
    model, x = subject.new(), subject.images()
    features = model.forward_features(x)
    pooled = model.forward_head(features, pre_logits=True).shape
    require(pooled == (2, model.head_hidden_size), f"pre_logits {tuple(pooled)}")
    logits = model.forward_head(features)
    require(logits.shape == (2, model.num_classes), f"logits {tuple(logits.shape)}")
    if subject.device != "meta":
        assert_close_relative(model(x), logits)


def classifier(subject: Subject) -> None:
    """`reset_classifier` removes the head or changes its outputs, in the model's dtype."""
    model, x = subject.new(), subject.images()
    model.reset_classifier(0)
    require(model(x).shape == (2, model.head_hidden_size), "reset_classifier(0) leaves a head")
    require(model.num_classes == 0, f"num_classes {model.num_classes} after reset_classifier(0)")
    model.double().reset_classifier(4)
    require(model(x.double()).shape == (2, 4), "reset_classifier(4) does not give 4 outputs")
    parameters = {id(parameter) for parameter in model.parameters()}
    own = {id(parameter) for parameter in model.get_classifier().parameters()}
    require(own and own <= parameters, "get_classifier() is not the model's head")


def layer_groups(subject: Subject) -> None:
    """timm's grouping of parameters by `group_matcher` follows the order of execution."""
    timm_models = require_extra("timm.models", "timm")
    timm_optim = require_extra("timm.optim", "timm")
    model = subject.new()
    ran: list[str] = []
    for name, module in model.named_modules():
        if name and next(module.parameters(recurse=False), None) is not None:
            module.register_forward_pre_hook(lambda _, __, name=name: ran.append(name))
    model(subject.images())
    for coarse in (False, True):
        layer = timm_models.group_parameters(model, model.group_matcher(coarse), reverse=True)
        order = [
            (name, layer[f"{name}.{parameter}"])
            for name in dict.fromkeys(ran)
            for parameter, _ in model.get_submodule(name).named_parameters(recurse=False)
        ]
        for (before, one), (after, two) in itertools.pairwise(order):
            require(one <= two, f"{after} runs after {before} but is in group {two} < {one}")
        loose = [layer[name] for name, _ in model.named_parameters(recurse=False)]
        require(not any(loose), f"tokens of the model's own are in groups {loose}, not in the stem")
        in_head = {layer[f"head.{name}"] for name, _ in model.get_classifier().named_parameters()}
        require(in_head == {max(layer.values())}, f"the head is in groups {in_head}")
    groups = timm_optim.param_groups_layer_decay(
        model, no_weight_decay_list=model.no_weight_decay(), layer_decay=0.5
    )
    counted = sum(len(group["params"]) for group in groups)
    require(counted == len(list(model.parameters())), f"{counted} parameters are in groups")


def weight_decay(subject: Subject) -> None:
    """`no_weight_decay` names parameters, and no matrix or kernel of a layer."""
    model = subject.new()
    names, exempt = dict(model.named_parameters()), set(model.no_weight_decay())
    require(exempt <= set(names), f"no parameters: {sorted(exempt - set(names))}")
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            require(f"{name}.weight" not in exempt, f"{name}.weight is exempt")


def learned_state(subject: Subject) -> None:
    """The state_dict has all parameters and nothing else, and restores the model."""
    model, other = subject.new(), subject.new(seed=1)
    state = model.state_dict()
    extra = set(state) ^ {name for name, _ in model.named_parameters()}
    require(not extra, f"state_dict and parameters differ in {sorted(extra)[:4]}")
    other.load_state_dict(state, strict=True)
    if subject.device != "meta":
        assert_close_relative(other(subject.images()), model(subject.images()))


def intermediates(subject: Subject) -> None:
    """The last intermediate is `forward_features`; indices, formats and early stops are consistent.

    The list is ordered from the first entry to the last, each once, as in timm.
    """
    model, x = subject.new(), subject.images(subject.sizes[-1])
    final, maps = model.forward_intermediates(x, norm=True)
    features = model.forward_features(x)
    assert_close_relative(final, features)
    count, last = len(maps), maps[-1].flatten(2).transpose(1, 2)
    sequence = features if features.ndim == 3 else features.flatten(2).transpose(1, 2)
    assert_close_relative(last, sequence[:, sequence.shape[1] - last.shape[1] :])
    maps = model.forward_intermediates(x, intermediates_only=True)
    both = sorted({0, count - 1})
    for indices, expected in (([0], [0]), (1, [count - 1]), ([-1, 0], both), ([0, 0], [0])):
        _same(model.forward_intermediates(x, indices, intermediates_only=True), maps, expected)
    _, early = model.forward_intermediates(x, indices=[0], stop_early=True)
    _same(early, maps, [0])
    flat = model.forward_intermediates(x, output_fmt="NLC", intermediates_only=True)
    _same(flat, [feature.flatten(2).transpose(1, 2) for feature in maps], range(count))
    pairs = model.forward_intermediates(x, return_prefix_tokens=True, intermediates_only=True)
    prefix = getattr(model, "num_prefix_tokens", 0)
    if prefix:
        shapes = {tuple(tokens.shape) for _, tokens in pairs}
        require(shapes == {(2, prefix, model.num_features)}, f"prefix tokens {shapes}")
        pairs = [feature for feature, _ in pairs]
    _same(pairs, maps, range(count))
    found = model.forward_intermediates(x, output_dict=True, return_prefix_tokens=True)
    _same(found["image_intermediates"], maps, range(count))
    assert_close_relative(found["image_features"], features)
    require(("image_intermediates_prefix" in found) == bool(prefix), f"keys {list(found)}")


def _same(got: Sequence[Tensor], maps: Sequence[Tensor], chosen: Iterable[int]) -> None:
    expected = [maps[index] for index in chosen]
    require(len(got) == len(expected), f"{len(got)} maps where {len(expected)} were asked for")
    for one, two in zip(got, expected, strict=True):
        assert_close_relative(one, two)


def features_only(subject: Subject) -> None:
    """`features_only` returns the chosen intermediates and keeps only the layers they need."""
    x, whole = subject.images(), subject.new()
    maps = whole.forward_intermediates(x, intermediates_only=True)
    for chosen in ([0], [0, len(maps) - 1]):
        model = subject.new(features_only=True, out_indices=tuple(chosen))
        found, chosen = model(x), sorted(set(chosen))
        _same(found, maps, chosen)
        info = model.feature_info
        channels = [whole.feature_info[i]["num_chs"] for i in chosen]
        require(info.channels() == channels, f"channels {info.channels()}, {channels} expected")
        strides = [whole.feature_info[i]["reduction"] for i in chosen]
        require(info.reduction() == strides, f"reduction {info.reduction()}, {strides} expected")
        for name in info.module_name():
            require(name in dict(model.named_modules()), f"{name} is no module of the wrapper")
        model.set_grad_checkpointing()
        model.train()(x)[-1].square().sum().backward()
        idle = without_gradient(model)
        require(not idle, f"out_indices={chosen}: nothing needs {idle[:4]}")
        _same(pickle.loads(pickle.dumps(model.eval()))(x), maps, chosen)  # our own bytes
    model = subject.new(features_only=True, out_indices=(len(maps) - 1, 0))
    _same(model(x), maps, sorted({0, len(maps) - 1}))
    channels = [whole.feature_info[i]["num_chs"] for i in (len(maps) - 1, 0)]
    require(model.feature_info.channels() == channels, "feature_info has not the order given")


def pruning(subject: Subject) -> None:
    """`prune_intermediate_layers` keeps the chosen maps and drops parameters."""
    x, whole, model = subject.images(), subject.new(), subject.new()
    maps = whole.forward_intermediates(x, intermediates_only=True)
    indices = model.prune_intermediate_layers([0], prune_norm=True)
    _same(model.forward_intermediates(x, indices, intermediates_only=True), maps, [0])
    sizes = [sum(p.numel() for p in m.parameters()) for m in (model, whole)]
    require(sizes[0] < sizes[1], f"{sizes[0]} of {sizes[1]} parameters are left")


def checkpointing(subject: Subject) -> None:
    """Gradient checkpointing changes neither outputs nor gradients."""
    runs: list[list[Tensor]] = []
    for enable in (False, True):
        model = subject.new().train()
        model.set_grad_checkpointing(enable)
        logits = model(subject.images())
        logits.square().sum().backward()
        runs.append([logits, *(p.grad for p in model.parameters() if p.grad is not None)])
    require(len(runs[0]) == len(runs[1]), "other parameters get gradients")
    for plain, recomputed in zip(*runs, strict=True):
        assert_close_relative(recomputed, plain)


def gradients(subject: Subject) -> None:
    """Every parameter is used."""
    model = subject.new().train()
    # Squared: a plain sum is blind to a bias before the last norm's mean.
    model(subject.images(subject.sizes[-1], batch=4)).square().sum().backward()
    idle = without_gradient(model)
    require(not idle, f"no gradient reaches {idle[:4]}")


def seeds(subject: Subject) -> None:
    """Equal seeds give equal weights; another seed gives others."""
    one, two, other = (subject.new(seed).state_dict() for seed in (3, 3, 4))
    for name, tensor in one.items():
        require(torch.equal(tensor, two[name]), f"{name} differs between equal seeds")
    require(any(not torch.equal(one[n], other[n]) for n in one), "the seed has no effect")


def dtypes(subject: Subject) -> None:
    """float64 and bfloat16 in, the same out, and about the same values."""
    model, x = subject.new(), subject.images()
    exact = subject.new().double()(x.double())
    assert_close_relative(model(x), exact, depth=10)
    half = subject.new().bfloat16()(x.bfloat16())
    require(half.dtype == torch.bfloat16, f"bfloat16 in, {half.dtype} out")
    assert_close_relative(half, exact, bound=5 * tolerance(torch.bfloat16))


def memory_format(subject: Subject) -> None:
    """channels_last images and weights change nothing."""
    model, x = subject.new(), subject.images()
    expected = model(x)
    last = x.contiguous(memory_format=torch.channels_last)
    assert_close_relative(model(last), expected, depth=10)
    assert_close_relative(model.to(memory_format=torch.channels_last)(last), expected, depth=10)


def batches(subject: Subject) -> None:
    """Images of a batch do not affect each other."""
    model, x = subject.new(), subject.images()
    assert_close_relative(model(x[1:]), model(x)[1:], depth=10)


def modes(subject: Subject) -> None:
    """Stochastic depth is active in training only, and eval mode is deterministic."""
    model, x = subject.new(drop_path_rate=0.5), subject.images(batch=8)
    require(torch.equal(model(x), model(x)), "eval mode is not deterministic")
    assert_close_relative(model(x), subject.new()(x))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one, two = model.train()(x), model(x)
    require(not torch.equal(one, two), "drop_path_rate=0.5 drops nothing in training")


def meta(subject: Subject) -> None:
    """A model built on the meta device and filled from a state_dict equals the original."""
    model = subject.new()
    empty = Subject(subject.source, subject.sizes, "meta").new().to_empty(device=subject.device)
    empty.load_state_dict(model.state_dict())
    assert_close_relative(empty(subject.images()), model(subject.images()))


_SHAPE_CHECKS = (
    *(arguments, feature_info, head, classifier),
    *(layer_groups, weight_decay, learned_state),
)
_VALUE_CHECKS = (
    *(intermediates, features_only, pruning, checkpointing, gradients, seeds, dtypes),
    *(memory_format, batches, modes, hooks, empty_batch, copies, parallel, meta),
    *(traces, symbolic, compiles, recompiles, exports),
)
_NEED_ARGUMENTS = ("arguments", "features_only", "seeds", "modes", "meta")

#: Names of the checks that need no values.
SHAPES = tuple(check.__name__ for check in _SHAPE_CHECKS)

#: Every check by name.
CONTRACT: dict[str, Callable[[Subject], object]] = {
    check.__name__: check for check in (*_SHAPE_CHECKS, *_VALUE_CHECKS)
}


def assert_backbone_contract(
    source: nn.Module | Callable[..., nn.Module],
    *,
    sizes: Sequence[Size] = ((64, 64), (96, 64), (33, 47)),
    checks: Iterable[str] | None = None,
    device: str = "cpu",
) -> None:
    """Asserts that a backbone has timm's interface. Needs the extra ``timm`` for comparison.

    Args:
        source: a callable that builds it from timm's arguments (``num_classes``, ``in_chans``,
            ``features_only``, ``out_indices``, ``drop_path_rate``), or a module; checks of a module
            run on copies, without those that need other arguments.
        sizes: (H, W) in pixels that it must accept; include odd sides if it should accept them.
        checks: names from `CONTRACT`; all by default (on ``"meta"``, those in `SHAPES`).
        device: where it runs; ``"meta"`` for models that are too large to run.

    Raises:
        AssertionError: lists every check that failed, with the values that were found.
        ValueError: an unknown check or none, sizes that are not (H, W), or a device that this
            machine does not have.

    Example:
        >>> import functools, wavevit
        >>> create = functools.partial(wavevit.create_model, "test_haar_vit", img_size=64)
        >>> assert_backbone_contract(create, checks=["feature_info", "intermediates"])
    """
    if not callable(source):
        fail("source", "a model, or a function that builds one", repr(source))
    if not isinstance(sizes, Sequence) or isinstance(sizes, str) or not sizes:
        fail("sizes", "at least one (H, W)", repr(sizes))
    for index, size in enumerate(sizes):
        check_pair(f"sizes[{index}]", size, "(H, W) in pixels", least=1)
    if device != "meta":
        check_device("device", device)
    subject = Subject(source, sizes, device)
    if checks is None:
        checks = SHAPES if device == "meta" else CONTRACT
        checks = [name for name in checks if subject.builds or name not in _NEED_ARGUMENTS]
    names = chosen_checks(checks, CONTRACT)
    failures = []
    for name in names:
        try:
            CONTRACT[name](subject)
        except AssertionError as error:
            failures.append(f"{name}: {error}")
    if failures:
        listed = "\n  ".join(failures)
        raise AssertionError(f"{len(failures)} check(s) of the contract failed:\n  {listed}")
