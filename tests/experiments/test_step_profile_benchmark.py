"""The benchmark of profiles splits a pass into kinds of operation that add up to the whole."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from experiments.benchmarks.step_profile import PARTS, Options, benchmark, kind_of, render, shares
from experiments.benchmarks.training_steps import Case
from wavevit import create_model
from wavevit.wavelets import dwt2
from wavevit.wavelets._kernels import bank_cpu_rows

TINY = Case(
    {"vit": partial(create_model, "test_vit"), "haar": partial(create_model, "test_haar_vit")},
    {"haar": "vit"},
    (2, 3, 32, 32),
    rounds=1,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("aten::addmm", "matrix products"),
        ("aten::gelu_backward", "GELU"),
        ("aten::add_", "element by element"),
        ("wavevit::haar_analysis", "our kernels"),
        ("_Details", "our kernels"),
        ("_DetailsBackward", "our kernels"),
        ("MapFunctionBackward", "our kernels"),
        ("Optimizer.zero_grad#AdamW.zero_grad", "rest"),
        ("AddmmBackward0", "rest"),
        ("aten::t", "rest"),
        ("autograd::engine::evaluate_function: AddmmBackward0", "rest"),
    ],
)
def test_operations_have_a_kind(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_most_of_a_large_product_is_matrix_products_and_of_a_transform_our_kernels() -> None:
    """Negative control: each has nearly nothing of the other."""
    x = torch.randn(600, 600)
    product = shares(lambda: x @ x, 20)
    images = torch.randn(8, 3, 256, 256)

    def derived() -> Tensor:
        leaf = images.clone().requires_grad_()
        return torch.autograd.grad(dwt2(leaf, "db4", "symmetric")[0].sum(), leaf)[0]

    transform = shares(derived, 4)
    assert product["matrix products"] > 0.5
    assert product["our kernels"] == 0
    assert shares(lambda: dwt2(images, "db4", "symmetric"), 4)["our kernels"] > 0.2
    assert type(bank_cpu_rows.analyse_rows).__name__ == "CPUDispatcher"
    assert transform["matrix products"] == 0
    assert transform["our kernels"] > 0.2
    assert sum(product.values()) == pytest.approx(1)
    assert sum(transform.values()) == pytest.approx(1)


def test_parts_of_a_row_add_up_to_its_whole() -> None:
    record = benchmark(Options(quick=True), cases=(TINY,))
    assert list(record["models"]) == ["vit", "haar"]
    for kind in ("forward", "step"):
        assert record["models"]["vit"][kind]["times_reference"] == 1
        for model in record["models"].values():
            parts = model[kind]["shares"]
            assert set(parts) == set(PARTS)
            assert sum(parts.values()) == pytest.approx(1, abs=0.01)
            assert (parts["AdamW"] > 0) == (kind == "step")
            assert parts["matrix products"] > 0
    assert render(record).count("\n") == 1 + 2 * 2
