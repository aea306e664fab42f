"""The view of tokens in a browser: its choice is the tokenizer's, and its words are its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from experiments.explorer.assets import write_photographs
from experiments.explorer.choice import PHOTOGRAPHS
from tests.browser import requested_addresses, start_browser
from tests.explorer_reader import read_script, window_of
from wavevit.layers.tokenizers import AdaptiveOptions, AdaptiveTokenizer

STATIC = Path(__file__).parents[2] / "docs" / "_static" / "tokens"
CROP = 96
SET = """
for (const [name, value] of Object.entries(arguments[0])) {
  const field = document.getElementById(`wt-${name}`);
  if (field.type === "checkbox") field.checked = value; else field.value = value;
  field.dispatchEvent(new Event("input"));
}
"""
WEIGHTS = """
const place = document.getElementById("wt-right").value, tokens = window.waveletTokens;
const [asset, budget, hard] = arguments;
const pixels = Uint8Array.from(atob(asset.grey), (c) => c.charCodeAt(0));
const { energies } = tokens.pyramid(tokens.crop({ side: asset.side, pixels }, Number(place)));
return tokens.weights(energies, budget, hard).flatMap((one) => [...one.values]);
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """The view as a file, in a site of its own."""
    site = tmp_path_factory.mktemp("site")
    write_photographs(site / "_static" / "explorer")
    (site / "_static" / "tokens").symlink_to(STATIC)
    (site / "page.html").write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8">{(STATIC / "page.html").read_text()}'
    )
    browser = start_browser(tmp_path_factory.mktemp("profile"))
    browser.get((site / "page.html").as_uri())
    WebDriverWait(browser, 60).until(lambda _: "tokens" in says(browser))
    yield browser
    browser.quit()


def says(browser: webdriver.Chrome) -> str:
    return str(browser.execute_script("return document.getElementById('wt-says').textContent"))


def test_choice_in_the_page_is_that_of_the_tokenizer(page: webdriver.Chrome) -> None:
    folder = Path(page.current_url.removeprefix("file://")).parent / "_static" / "explorer"
    (asset,) = read_script(folder / "photographs" / f"{PHOTOGRAPHS[0].photograph}.js")
    inset = (asset["side"] - CROP) // 2
    rows = (window_of(asset).double()[:, :, inset : inset + CROP] - 0.5) / 0.25
    for budget, hard, right in ((0.5, False, 0), (0.25, False, 7), (0.3, True, 7)):
        page.execute_script(SET, {"budget": 100 * budget, "hard": hard, "right": right})
        options = AdaptiveOptions(budget=budget, splitting="hard" if hard else "soft")
        tokenizer = AdaptiveTokenizer(1, 1, 8, options=options).double()
        x = rows[..., right : right + CROP]
        weights = torch.cat([one.flatten() for one in tokenizer.weights_of(x)])
        shown = page.execute_script(WEIGHTS, asset, budget, hard)
        # Photographs are float32 in PyTorch.
        torch.testing.assert_close(torch.tensor(shown).double(), weights, rtol=0, atol=1e-4)
        lost = float((x - tokenizer.seen(x)).norm() / (x - x.mean()).norm())
        words = f"{int((weights > 0).sum())} of 144 tokens are computed; they lose {100 * lost:.1f}"
        assert says(page).startswith(words)
        if right:
            before = tokenizer.weights_of(rows[..., right - 1 : right - 1 + CROP])
            other = torch.cat([one.flatten() for one in before])
            changed = 100 * float((weights - other).abs().sum() / (weights + other).sum())
            assert f"changed {changed:.1f} % of them" in says(page)


def test_view_loads_nothing_from_a_network(page: webdriver.Chrome) -> None:
    requested_addresses(page)
    page.refresh()
    WebDriverWait(page, 60).until(lambda _: "tokens" in says(page))
    addresses = requested_addresses(page)
    assert any(address.endswith("quadtree.js") for address in addresses)
    assert not [url for url in addresses if not url.startswith(("file:", "data:", "about:"))]
    assert not [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
