"""Every registered layer has a rule for its Lipschitz constant, or a reason why there is none."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Iterable, Mapping

import pytest
import torch
from torch import Tensor, nn

import wavevit
from wavevit import layers
from wavevit.layers import Part, PartContext, Registry, Symmetry
from wavevit.layers.blocks import Block, Mlp
from wavevit.layers.forward_steps import TokenizerStep, TokenStep
from wavevit.layers.mixers import LipschitzAttention
from wavevit.layers.tokenizers import PatchTokenizer
from wavevit.measure import NoLipschitzBound, certified_lipschitz
from wavevit.measure.certify import (
    LipschitzConstant,
    LipschitzStep,
    declares_constant,
    lipschitz_at,
    lipschitz_of,
    lipschitz_rule,
    lipschitz_rule_at,
    no_lipschitz_bound,
)
from wavevit.models.parts import downsample_context, first_context

REGISTRIES: dict[str, Registry] = {
    "activation": layers.ACTIVATIONS,
    "downsample": layers.DOWNSAMPLES,
    "mixer": layers.MIXERS,
    "mlp": layers.MLPS,
    "norm": layers.NORMS,
    "position": layers.POSITIONS,
    "tokenizer": layers.TOKENIZERS,
}
IMAGES = torch.zeros(1, 3, 32, 32)


def registered(registries: Iterable[Registry] = REGISTRIES.values()) -> dict[str, type]:
    """wavevit's own classes by kind and name; other tests register theirs."""
    return {
        f"{registry.kind} {name}": registry.get(name)
        for registry in registries
        for name in registry.names()
        if registry.get(name).__module__.startswith("wavevit.")
    }


def check_rules(classes: Mapping[str, type]) -> None:
    missing = {name: cls.__name__ for name, cls in classes.items() if not declares_constant(cls)}
    assert not missing, (
        f"layers without a rule for their Lipschitz constant: {missing}. Add one in "
        "wavevit/measure/certify/: @lipschitz_rule(Class) for a function that returns the bound, "
        "or no_lipschitz_bound(Class, because='...') for the reason why there is none"
    )


class Undeclared(Part):
    """A new layer, as somebody writes it who forgets the rule."""

    symmetry = Symmetry(1)

    def forward(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        return 3 * x


def test_every_registered_layer_has_a_rule_or_a_reason() -> None:
    classes = registered()
    assert {"mixer lipschitz", "tokenizer dtcwt", "norm map", "activation gate"} <= set(classes)
    check_rules(classes)


def test_a_new_layer_without_a_rule_is_named() -> None:
    """Negative control of the pairing, and what the message asks for mends it."""
    with pytest.raises(AssertionError, match=r"Undeclared.*\n?.*@lipschitz_rule\(Class\)"):
        check_rules(registered() | {"mixer new": Undeclared})

    class Ruled(Undeclared):
        pass

    class Refused(Undeclared):
        pass

    class Own(Undeclared):
        def lipschitz_bound(self, tokens: int | None = None) -> float:
            return 3.0

    class Reasoned(Undeclared):
        unbounded = "is a test"

    lipschitz_rule(Ruled)(lambda module, tokens: 3.0)
    no_lipschitz_bound(Refused, because="is a test")
    check_rules({cls.__name__: cls for cls in (Ruled, Refused, Own, Reasoned)})


def context_of(kind: str, name: str) -> PartContext:
    """A place where the layer can stand."""
    config = wavevit.model_config("test_haar_pyramid")
    config = dataclasses.replace(config, img_size=32, patch_size=4, norm="center")
    context = downsample_context(config, 1) if kind == "downsample" else first_context(config)
    return dataclasses.replace(context, num_heads=2)


def built(registry: Registry, name: str) -> nn.Module:
    cls = registry.get(name)
    torch.manual_seed(0)
    if registry.kind == "norm":
        return cls.build(8, 1e-2)
    if registry.kind == "activation":
        return cls.build()
    context = context_of(registry.kind, name)
    return cls.build(context, registry.options(registry.kind, name, None))


def test_each_rule_gives_a_number_or_its_reason() -> None:
    found: dict[str, float | str] = {}
    for registry in REGISTRIES.values():
        for name in registry.names():
            module = built(registry, name).eval()
            try:
                found[f"{registry.kind} {name}"] = lipschitz_at(module, (16, 16)).value
            except NoLipschitzBound as error:
                found[f"{registry.kind} {name}"] = error.reason
    own = {key: found[key] for key in registered()}
    silent = [key for key, value in own.items() if value == Part.unbounded]
    assert not silent
    numbers = [value for value in own.values() if isinstance(value, float)]
    assert all(0 < value < math.inf for value in numbers)
    assert sorted(key for key, value in own.items() if isinstance(value, str)) == [
        "activation gate",
        "downsample attention",
        "downsample lifting",
        *(f"mixer {name}" for name in ("covariance", "cross_covariance", "global", "lowpass_kv")),
        *(f"mixer {name}" for name in ("pooled", "spatial_reduction", "wavelet_kv", "window")),
        "tokenizer adaptive",
    ]


def test_a_rule_of_ones_own_counts_in_a_network() -> None:
    class Halved(Undeclared):
        @classmethod
        def build(cls, context: PartContext, options: object) -> Halved:
            return cls()

        def forward(self, x: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
            return x / 2

    block = Block(4, Halved(), Mlp(4, 4), 0.0, 1e-6, norm="center").eval()
    with pytest.raises(NoLipschitzBound, match="Halved declares no Lipschitz constant"):
        lipschitz_of(block)
    lipschitz_rule(Halved)(lambda module, tokens: 0.5)
    assert lipschitz_of(block) == pytest.approx(1.5 * (1 + lipschitz_of(block.mlp)))


def test_own_methods_count_and_may_build_on_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    class Double(PatchTokenizer):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

        def lipschitz_bound(self, tokens: int | None = None) -> float:
            with pytest.warns(DeprecationWarning, match="lipschitz_of"):
                return 2 * super().lipschitz_bound(tokens)

    torch.manual_seed(0)
    part = Double(3, 5, 4)
    norm = lipschitz_of(part.proj)
    assert lipschitz_of(part) == pytest.approx(2 * norm)
    # What is nearer than the rule for one size counts, and is not known to be exact.
    assert lipschitz_at(part, (8, 8)) == LipschitzConstant(2 * norm, exact=False)
    lipschitz_rule_at(Double)(lambda module, size: LipschitzConstant(7.0, exact=True))
    assert lipschitz_at(part, (8, 8)) == LipschitzConstant(7.0, exact=True)
    own = LipschitzConstant(8.0, exact=True)
    monkeypatch.setattr(part, "constant_at", lambda size: own)
    assert lipschitz_at(part, (8, 8)).value == 8.0


def test_a_subclass_that_computes_something_else_has_no_rule() -> None:
    class Double(PatchTokenizer):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    class Same(PatchTokenizer):
        pass

    for find in (lipschitz_of, lambda part: lipschitz_at(part, (8, 8))):
        with pytest.raises(NoLipschitzBound, match="Double computes something else than Patch"):
            find(Double(3, 5, 4))
    assert lipschitz_at(Same(3, 5, 4), (8, 8)).exact


def test_a_module_that_passes_its_attributes_on_is_its_inner_one() -> None:
    """As `torch.compile` wraps modules."""

    class Wrapped(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def __getattr__(self, name: str) -> object:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("inner"), name)

    model = wavevit.create_model("test_lipschitz_vit", img_size=32).eval()
    expected = certified_lipschitz(model, IMAGES)
    assert certified_lipschitz(Wrapped(model), IMAGES) == expected
    part = model.tokenizer
    assert lipschitz_of(Wrapped(part)) == lipschitz_of(part)
    assert lipschitz_at(Wrapped(part), (32, 32)) == lipschitz_at(part, (32, 32))


def test_a_network_of_anybodys_describes_its_steps_or_declares_them() -> None:
    class Described(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cut, self.mix = PatchTokenizer(3, 4, 8), LipschitzAttention(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.cut(x)
            return self.mix(tokens.flatten(1, 2), (tokens.shape[1], tokens.shape[2]))

        def forward_steps(self, size: tuple[int, int]) -> list[TokenizerStep | TokenStep]:
            tokens = (size[0] // 8) * (size[1] // 8)
            first = TokenizerStep("cut", self.cut, size, size)
            return [first, TokenStep("mix", self.mix, tokens)]

    class Declared(Described):
        def lipschitz_steps(self, size: tuple[int, int]) -> list[LipschitzStep]:
            return [LipschitzStep("all", 9.0, 0.0, 9.0)]

    model = Described().eval()
    found = certified_lipschitz(model, IMAGES)
    assert [step.name for step in found.steps] == ["cut", "mix"]
    product = lipschitz_of(model.cut) * lipschitz_of(model.mix, 16)
    assert found.bound == pytest.approx(product)
    assert certified_lipschitz(Declared().eval(), IMAGES).bound == 9.0


MOVED = {
    "wavevit.layers.lipschitz": (
        *("DOT_PRODUCTS", "GELU_CONSTANT", "LipschitzConstant", "LipschitzStep", "BoundedLinear"),
        *("BranchGain", "NoLipschitzBound", "convolution_norm", "lipschitz_at", "lipschitz_of"),
        *("spectral_norm", "wavelet_norm", "bound_linear_maps", "matrix_of"),
    ),
    "wavevit.layers.circulant": ("circle_bounds", "circle_norm", "polyphase_matrices"),
    "wavevit.layers.pooling": ("pool_constant",),
    "wavevit.models.lipschitz": ("lipschitz_steps",),
    "wavevit.measure.certified": ("CertifiedLipschitz", "certified_lipschitz"),
}


def test_old_names_warn_and_name_their_successors() -> None:
    for place, names in MOVED.items():
        module = importlib.import_module(place)
        for name in names:
            with pytest.warns(
                DeprecationWarning, match=rf"{place}.{name} is deprecated, .* removes it: use "
            ) as w:
                value = getattr(module, name)
            where, _, last = str(w[0].message).rpartition("use ")[2].rpartition(".")
            assert getattr(importlib.import_module(where), last) is value
        with pytest.raises(AttributeError):
            _ = module.nothing


def test_old_methods_warn_and_give_what_the_rules_give() -> None:
    model = wavevit.create_model("test_lipschitz_pyramid", img_size=32).eval()
    halving = model.stages[1].downsample
    with pytest.warns(DeprecationWarning, match="certify.lipschitz_steps"):
        assert tuple(model.lipschitz_steps((32, 32))) == certified_lipschitz(model, IMAGES).steps
    for module in (model.tokenizer, model.stages[0].blocks[0], model.stages[1].inject, halving):
        with pytest.warns(DeprecationWarning, match=r"lipschitz_of\(module, tokens\)"):
            assert module.lipschitz_bound() == lipschitz_of(module)
    with pytest.warns(DeprecationWarning, match=r"lipschitz_at\(module, size\)"):
        assert model.tokenizer.constant_at((32, 32)) == lipschitz_at(model.tokenizer, (32, 32))
    for grid in ((4, 4), (3, 4), (3, 5)):
        with pytest.warns(DeprecationWarning, match=r"lipschitz_at\(module, grid\)"):
            growth = halving.growth(grid)
        assert growth * lipschitz_of(halving) == pytest.approx(lipschitz_at(halving, grid).value)
    with (
        pytest.warns(DeprecationWarning, match="Undeclared.lipschitz_bound"),
        pytest.raises(NoLipschitzBound, match="Undeclared declares no"),
    ):
        Undeclared().lipschitz_bound()
