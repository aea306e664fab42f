"""The Shift Explorer in a browser: a drag is a shift; what is shown is what PyTorch computes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from torch import Tensor

from experiments.core.evaluation import embed
from experiments.explorer.choice import CROP, MARGIN, MODELS
from experiments.reporting.site import build, explorer_products
from tests.browser import contrast, requested_addresses, start_browser
from tests.explorer_reader import BUILT, built_asset, model_of, read_script, window_of
from wavevit.data import Scenes
from wavevit.measure import token_change
from wavevit.measure.shifting import shifted

STATIC = Path(__file__).parents[2] / "docs" / "_static" / "explorer"
NAMES = [choice.name for choice in MODELS]
PAIRS = [tuple((NAMES + NAMES[:1])[place : place + 2]) for place in range(0, len(NAMES), 2)]
SHIFTS = (("crop", (0, 3)), ("crop", (-2.5, 1.125)), ("roll", (5, -3)), ("roll", (0, 0.5)))
KINDS = {"crop": "crop", "roll": "circular"}
# As if the reader always dragged: the curve, a core's whole work, waits.
WITHOUT_PAUSES = "Object.defineProperty(shiftExplorer, 'dragging', {get: () => true, set() {}})"
SHOWN = CROP + 2 * MARGIN  # pixels of the photograph on the stage


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    browser = start_browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as a file, in a site of its own."""
    build(chosen=explorer_products())
    site = tmp_path_factory.mktemp("site")
    folder = site / "_static" / "explorer"
    folder.mkdir(parents=True)
    for path in (*STATIC.iterdir(), *BUILT.iterdir()):
        (folder / path.name).symlink_to(path)
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    head += '<meta name="viewport" content="width=device-width,initial-scale=1"></head>'
    body = (STATIC / "page.html").read_text()
    page = site / "explorer.html"
    page.write_text(f'{head}<body><div class="content">{body}</div></body></html>')
    return page.as_uri()


@pytest.fixture(scope="module")
def window(address: str) -> Tensor:
    """The cat as the studies would cut it: (1, 1, 96, 96)."""
    (photograph,) = read_script(BUILT / "photographs" / "cat.js")
    inset = (photograph["side"] - CROP - 2 * MARGIN) // 2
    return Scenes("test", CROP, MARGIN).normalized(
        window_of(photograph)[..., inset:-inset, inset:-inset]
    )


class Explorer:
    """The page in the hands of a reader."""

    def __init__(self, browser: webdriver.Chrome, address: str) -> None:
        self.browser, self.address = browser, address

    def open(self, curve: bool = False, **state: Any) -> None:
        """The page; with `curve` it computes the rest of the curve in every pause."""
        self.browser.get("about:blank")
        self.browser.get(f"{self.address}#" + "&".join(f"{k}={v}" for k, v in state.items()))
        if not curve:
            self.browser.execute_script(WITHOUT_PAUSES)
        self.wait_for(f"{state['photo']} {state['left']} {state['right']} {state['move']}")

    def follow(self, **state: Any) -> None:
        """A link within the page."""
        fragment = "&".join(f"{k}={v}" for k, v in state.items())
        self.browser.execute_script("location.hash = arguments[0]", fragment)

    def wait_for(self, shown: str) -> None:
        """Until the page shows what is asked for: photograph, models, kind, layer, down, right."""

        def is_shown(browser: webdriver.Chrome) -> bool:
            script = "return document.querySelector('#explorer')?.dataset.shown"
            return (browser.execute_script(script) or "").startswith(shown)

        message = f"the page does not show {shown!r}"
        WebDriverWait(self.browser, 120, 0.05).until(is_shown, message)

    @property
    def stage(self) -> Any:
        return self.browser.find_element(By.ID, "ex-stage")

    def drag(self, right: float, down: float) -> None:
        """A real drag of the mouse, by pixels of the photograph."""
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.stage)
        scale = self.stage.size["width"] / SHOWN
        mouse = ActionChains(self.browser, duration=50).click_and_hold(self.stage)
        for _ in range(4):
            mouse.move_by_offset(round(right * scale / 4), round(down * scale / 4))
        mouse.release().perform()

    def texts(self, selector: str) -> list[str]:
        found = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return [element.text for element in found]

    @property
    def distances(self) -> list[float]:
        return [float(text) for text in self.texts(".ex-distance output")]

    @property
    def top_classes(self) -> list[str]:
        found = self.texts(".ex-classes li:first-child .ex-name")
        return [text.removesuffix(" ✓") for text in found]

    @property
    def looks(self) -> list[dict[str, Any]]:
        """The numbers behind what is shown, left and right."""
        script = "return shiftExplorer.looks.map(l => ({...l, changes: Array.from(l.changes)}))"
        return list(self.browser.execute_script(script))


@pytest.fixture
def explorer(browser: webdriver.Chrome, address: str) -> Explorer:
    return Explorer(browser, address)


@torch.no_grad()
def expected(asset: dict[str, Any], window: Tensor, kind: str, shift: tuple[float, float]) -> Any:
    """Distance, changes, probabilities and offset by the library's own definitions."""
    model = model_of(asset)
    base = Scenes("test", CROP, MARGIN).center(window)
    how = kind if kind == "crop" or all(s == int(s) for s in shift) else "subpixel"
    moved = shifted(window if kind == "crop" else base, shift, how, (CROP, CROP))
    distance = (embed(model, moved) - embed(model, base)).norm() / asset["unit"]
    views, offset = [base, moved], (0, 0)
    if model.alignment is not None:
        views = [model.alignment(x) for x in views]
        offset = model.alignment._nearest_views(moved).offset[0].tolist()
    probabilities = model(moved).softmax(1)
    model.alignment = None
    maps = [tokens.transpose(1, 2).unflatten(2, g) for tokens, g in map(model.tokenize, views)]
    changes = token_change(*maps)[0]
    return float(distance), changes, probabilities[0], list(offset)


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_the_page_shows_what_pytorch_computes(
    explorer: Explorer, window: Tensor, left: str, right: str
) -> None:
    """On both sides of the page, so that each model is opened once."""
    state = {"photo": "cat", "left": left, "right": right}
    explorer.open(**state, move="crop")
    for kind, shift in SHIFTS:
        explorer.follow(**state, move=kind, down_px=shift[0], right_px=shift[1])
        explorer.wait_for(f"cat {left} {right} {kind} first {shift[0]} {shift[1]}")
        looks, distances = explorer.looks, explorer.distances
        for name, look, shown in zip((left, right), looks, distances, strict=True):
            asset = built_asset(name)
            distance, changes, probabilities, offset = expected(asset, window, KINDS[kind], shift)
            assert look["distance"] == pytest.approx(distance, abs=2e-5)
            assert look["offset"] == offset
            found = sorted(look["changes"])
            assert found == pytest.approx(sorted(changes.flatten().tolist()), abs=2e-4)
            top = probabilities.topk(3)
            names = [found["name"] for found in look["classes"]]
            assert names == [asset["classes"][label] for label in top.indices]
            shares = [found["probability"] for found in look["classes"]]
            assert shares == pytest.approx(top.values.tolist(), abs=2e-5)
            assert shown == pytest.approx(distance, abs=6e-4)


def test_circular_drag_by_a_patch_does_not_change_the_locked_vit(explorer: Explorer) -> None:
    explorer.open(photo="cat", left="vit", right="vit-phase_lock", move="roll")
    before = explorer.top_classes
    assert explorer.distances == [0, 0]
    explorer.drag(right=8, down=0)
    explorer.wait_for("cat vit vit-phase_lock roll first 0 8")
    plain, locked = explorer.distances
    assert locked == 0
    assert explorer.texts(".ex-changed output")[1] == "0 %"
    assert explorer.top_classes[1] == before[1]
    assert plain > 0.05, "the plain ViT has positions: even a shift by a whole patch moves it"
    # All its tokens are there again, one place further: only their positions are new.
    assert explorer.texts(".ex-changed output")[0] == "0 %"
    explorer.drag(right=-5, down=2)
    explorer.wait_for("cat vit vit-phase_lock roll first 2 3")
    assert explorer.distances[1] == 0
    assert explorer.texts(".ex-changed output")[0] != "0 %"
    words = f"{explorer.distances[0]:.3f} of the distance between two images"
    WebDriverWait(explorer.browser, 30).until(
        lambda _: words in explorer.texts("#ex-says")[0], "the sentence is not that of the numbers"
    )
    assert "moved 3 px to the right and 2 px down" in explorer.texts("#ex-says")[0]


def test_a_crop_moves_the_locked_vit_too(explorer: Explorer) -> None:
    """The negative control of the test above: exactness is for rolls only."""
    explorer.open(photo="cat", left="vit", right="vit-phase_lock", move="crop")
    explorer.drag(right=8, down=0)
    explorer.wait_for("cat vit vit-phase_lock crop first 0 8")
    assert min(explorer.distances) > 0.05


def test_keys_do_what_a_drag_does(explorer: Explorer) -> None:
    explorer.open(photo="cat", left="vit", right="dtcwt_tokens", move="crop")
    explorer.drag(right=3, down=-2)
    explorer.wait_for("cat vit dtcwt_tokens crop first -2 3")
    dragged = explorer.distances
    explorer.stage.send_keys(Keys.ESCAPE)
    explorer.wait_for("cat vit dtcwt_tokens crop first 0 0")
    assert explorer.distances == [0, 0]
    explorer.stage.send_keys(Keys.ARROW_RIGHT * 3 + Keys.ARROW_UP * 2)
    explorer.wait_for("cat vit dtcwt_tokens crop first -2 3")
    assert explorer.distances == dragged
    explorer.stage.send_keys(Keys.SHIFT + Keys.ARROW_RIGHT + Keys.SHIFT)
    explorer.wait_for("cat vit dtcwt_tokens crop first -2 3.125")
    assert explorer.distances != dragged
    field = explorer.browser.find_element(By.ID, "ex-right")
    assert field.get_attribute("value") == "3.125"
    field.clear()
    field.send_keys("-1")
    explorer.wait_for("cat vit dtcwt_tokens crop first -2 -1")


def test_every_control_is_reached_with_the_tab_key(explorer: Explorer) -> None:
    explorer.open(photo="cat", left="vit", right="haar_vit", move="crop")
    explorer.browser.find_element(By.CSS_SELECTOR, "#ex-photographs input:checked").send_keys("")
    reached = set()
    script = "const e = document.activeElement; return e.id || e.name || e.dataset.try || e.tagName"
    for _ in range(20):
        reached.add(explorer.browser.execute_script(script))
        ActionChains(explorer.browser).send_keys(Keys.TAB).perform()
    fields = {"ex-photo", "ex-stage", "ex-kind", "ex-right", "ex-down", "ex-reset", "ex-fine"}
    assert fields | {"SELECT", "ex-layer"} <= reached
    assert any("photo=" in name for name in reached), "the suggestions"


def test_the_curve_passes_through_what_is_shown(explorer: Explorer) -> None:
    explorer.open(curve=True, photo="cat", left="vit", right="haar_vit", move="crop", right_px=4)
    script = "return [...document.querySelectorAll('.curve')].map(c => c.getAttribute('points'))"

    def complete(browser: webdriver.Chrome) -> bool:
        return [len(points.split()) for points in browser.execute_script(script)] == [65, 65]

    WebDriverWait(explorer.browser, 120, 0.2).until(complete, "the curve is never complete")
    for side, points in enumerate(explorer.browser.execute_script(script)):
        places = [tuple(map(float, point.split(","))) for point in points.split()]
        dot = explorer.browser.find_element(By.CSS_SELECTOR, f".dot.side{side}")
        here = float(dot.get_attribute("cx")), float(dot.get_attribute("cy"))
        assert min(abs(x - here[0]) + abs(y - here[1]) for x, y in places) < 0.2
        origin, highest = places[32], min(y for _, y in places)
        assert origin[1] == max(y for _, y in places) > highest  # 0 at rest, more elsewhere


def test_nothing_is_loaded_from_a_network(explorer: Explorer) -> None:
    requested_addresses(explorer.browser)
    explorer.open(photo="rocket", left="haar_vit", right="alias_free", move="roll")
    asked = requested_addresses(explorer.browser)
    assert any(url.endswith("models/alias_free.js") for url in asked)
    assert not any(url.endswith("models/vit.js") for url in asked), "only what is chosen is loaded"
    outside = [url for url in asked if not url.startswith(("file:", "data:", "about:"))]
    assert not outside
    complaints = [e for e in explorer.browser.get_log("browser") if e["level"] == "SEVERE"]
    assert not complaints


def test_a_phone_shows_all_of_it_and_a_finger_drags(explorer: Explorer) -> None:
    screen = {"width": 400, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    command = explorer.browser.execute_cdp_cmd
    command("Emulation.setDeviceMetricsOverride", screen)
    command("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        explorer.open(photo="cat", left="vit", right="vit-phase_lock", move="roll")
        assert explorer.browser.execute_script("return document.documentElement.scrollWidth") <= 400
        explorer.browser.execute_script("arguments[0].scrollIntoView()", explorer.stage)
        script = "const r = arguments[0].getBoundingClientRect(); return [r.x, r.y, r.width]"
        x, y, width = explorer.browser.execute_script(script, explorer.stage)
        x, y = x + width / 2, y + width / 2
        for kind, right in (("touchStart", 0), ("touchMove", 4), ("touchMove", 8)):
            point = {"x": x + right * width / SHOWN, "y": y}
            command("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        command("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        explorer.wait_for("cat vit vit-phase_lock roll first 0 8")
        assert explorer.distances[0] > 0.05
        assert explorer.distances[1] == 0
    finally:
        command("Emulation.clearDeviceMetricsOverride", {})
        command("Emulation.setTouchEmulationEnabled", {"enabled": False})


SCHEMES = {"light": ("#5a5c63", (255, 255, 255)), "dark": ("#9ca0a5", (19, 20, 22))}


def test_colours_can_be_read(explorer: Explorer) -> None:
    """AA on furo's own background of either scheme, whose secondary colour is set here."""
    explorer.open(photo="cat", left="vit", right="vit-phase_lock", move="crop")
    numbers = (".side0 .ex-distance output", ".side1 .ex-distance output")
    found = {}
    for scheme, (soft, ground) in SCHEMES.items():
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        explorer.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        script = "document.body.style.setProperty('--color-foreground-secondary', arguments[0])"
        explorer.browser.execute_script(script, soft)
        for selector in (*numbers, ".ex-kinds small", ".ex-classes li:last-child", ".ex-ramp span"):
            script = "return getComputedStyle(document.querySelector(arguments[0])).color"
            colour = explorer.browser.execute_script(script, selector)
            levels = tuple(float(level) for level in re.findall(r"[\d.]+", colour)[:3])
            assert contrast(levels, ground) >= 4.5, f"{selector} is {colour} on {ground}"
            found[scheme, selector] = colour
    assert found["light", numbers[0]] != found["dark", numbers[0]]  # the page has followed
