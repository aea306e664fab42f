"""Answers of models in reports: pictures, lossless files, nearest crops, probes."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.transforms import Transform

from experiments.core.checkpoint import save_weights
from experiments.core.folder import StudyFolder
from experiments.core.measurement import MeasurementOptions
from experiments.core.style import figure_style, save_figure
from experiments.core.training import make_task
from experiments.measurements.lossless_files import FORMATS, file_sizes, lossless_bits
from experiments.measurements.masked_probe import (
    MEASUREMENT,
    SHOTS,
    principal_components,
    probe_table,
    top1,
    with_labels,
)
from experiments.measurements.nearest_crops import nearest_crops
from experiments.measurements.ridge import chosen_ridge, ridge
from experiments.reporting.answers import Answers, answers_of, register_answers
from experiments.reporting.answers.canvas import Canvas
from experiments.reporting.answers.contrastive import closest_picture, zero_shot_table
from experiments.reporting.answers.detection import boxes_picture
from experiments.reporting.answers.diffusion import followed
from experiments.reporting.answers.grid import Cell, picture_grid
from experiments.reporting.answers.lines import Line, picture_with_lines
from experiments.reporting.answers.packed import packed, unpacked
from experiments.reporting.study_report import _pictures
from experiments.studies.clip import CLIP
from experiments.studies.masked import MASKED
from tests.tensors import noise
from wavevit.data import Captioned
from wavevit.tasks import Contrastive, create_task, list_tasks


@pytest.mark.parametrize("task", list_tasks())
def test_every_task_of_ours_shows_its_answers(task: str) -> None:
    assert isinstance(answers_of(task), Answers)


def test_task_without_answers_has_a_report_without_pictures() -> None:
    assert answers_of("mine") is None
    assert _pictures(SimpleNamespace(task="mine"), None) is None


def test_second_answers_of_a_task_are_refused() -> None:
    with pytest.raises(ValueError, match="task: expected one without answers"):
        register_answers("masked")(type("Other", (type(answers_of("detection")),), {}))


@pytest.mark.parametrize("name", FORMATS)
def test_lossless_files_keep_the_image_and_their_headers_are_constant(name: str) -> None:
    """Pixels of noise cost about a byte each; a flat image costs almost its headers alone."""
    loud = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    flat = np.full((64, 64), 7, np.uint8)
    sizes = [file_sizes(image, name) for image in (loud, flat)]
    headers = {size.whole - size.pixels for size in sizes}
    assert max(headers) - min(headers) <= 1  # WebP fills up to an even number
    assert 10 < min(headers) < 200
    assert 0.99 < sizes[0].pixels / 4096 < 1.15
    assert sizes[1].pixels < 120
    bits = lossless_bits([loud, flat])[name]
    assert bits["whole"][0] == pytest.approx(8 * sizes[0].whole / 4096)
    assert file_sizes(np.stack([loud] * 3, axis=-1), name).whole > 4096


def test_nearest_crop_is_that_of_a_search_over_all_places() -> None:
    pages = [100 + 20 * noise(20, 17), 90 + 20 * noise(14, 30, seed=1)]
    copy, other = pages[1][3:11, 9:17].clone(), 100 + 20 * noise(8, 8, seed=2)
    found = nearest_crops(torch.stack([copy, other]), pages)
    assert float(found.distances[0]) == 0.0
    assert torch.equal(found.crops[0], copy)
    windows = [page.unfold(0, 8, 1).unfold(1, 8, 1).reshape(-1, 8, 8) for page in pages]
    distances = (torch.cat(windows) - other).square().mean((1, 2)).sqrt()
    assert float(found.distances[1]) == pytest.approx(float(distances.min()), rel=1e-12)
    with pytest.raises(ValueError, match=r"photographs: expected sides of at least \(8, 8\)"):
        nearest_crops(other[None], [pages[0][:6]])
    with pytest.raises(ValueError, match="photographs: expected at least one"):
        nearest_crops(other[None], [])


def test_penalty_has_the_smallest_leave_one_out_error() -> None:
    """Noise in many features wants a large penalty, an exact law of few ones a small one."""
    x, judged = noise(24, 20), noise(50, 20, seed=1)
    weights = noise(20, 2, seed=2)
    exact = chosen_ridge(x, x @ weights, judged)
    assert torch.equal(exact, ridge(x, x @ weights, judged))
    loud = x @ weights * 0.1 + noise(24, 2, seed=3)
    truth = judged @ weights * 0.1
    errors = [(f(x, loud, judged) - truth).norm() for f in (chosen_ridge, ridge)]
    assert float(errors[0]) < 0.5 * float(errors[1])


def test_probe_names_classes_that_features_separate_and_is_at_chance_else() -> None:
    labels = torch.arange(60) % 3
    features = F.one_hot(labels, 3) + 0.05 * noise(60, 3)
    for shots in (None, 5):
        assert top1(features, labels, features, labels, shots) == 100
        assert top1(noise(60, 3), labels, noise(60, 3, seed=1), labels, shots) < 65
    one = {"size": [7], "linear": [50.0], "few": [40.0]}
    two = {"size": [9, 9], "linear": [50.0, 52.0], "few": [40.0, 40.0]}
    record = {"classes": 3, "shots": 5, "models": {"vit": one, "swin": two}}
    text = probe_table(record).markdown()
    assert "| chance | – | 33.3 | 33.3 |" in text
    assert "| vit | 7 | 50.0 | 40.0 |" in text
    assert "| swin | 9 | 51.0 ± 1.4 | 40.0 ± 0.0 |" in text


def test_masked_probe_reads_finished_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """One run with 5 crops to fit: controls, trained and random weights, and the table."""
    config = MASKED.configs()["vit"]
    config = dataclasses.replace(
        config, model=dataclasses.replace(config.model, stages=config.model.stages[:1])
    )
    run = StudyFolder(tmp_path / "runs" / "masked", "masked").run("vit", 1)
    run.claim(dataclasses.replace(config, seed=1))
    task = make_task(run.load_config())
    with torch.no_grad():
        for parameter in task.backbone.parameters():
            parameter.mul_(0.1)
    save_weights(run.weights, task.network())
    own = StudyFolder(tmp_path / "runs" / "masked_probe", "masked_probe")
    own.claim()
    labelled = own.run("vit", 1)
    labelled.claim(dataclasses.replace(with_labels()["vit"], seed=1))  # as if it were trained
    save_weights(labelled.weights, make_task(labelled.load_config()).network())
    probe = dataclasses.replace(
        MEASUREMENT, measure=lambda runs: MEASUREMENT.measure(runs, crops=SHOTS)
    )
    assert probe.run(MeasurementOptions(runs=tmp_path / "runs", out=tmp_path / "records")) == 0
    folder = tmp_path / "records" / "masked_probe"
    record = json.loads((folder / "measurement.json").read_text())
    names = ["PCA of patches", "scattering", "vit, labels", "vit, masked", "vit, random weights"]
    assert list(record["models"]) == names
    assert record["models"]["vit, masked"] != record["models"]["vit, random weights"]
    assert all(own["linear"] == own["few"] for own in record["models"].values())
    assert record["models"]["scattering"]["linear"][0] > 15  # chance is 5.6
    assert (folder / "table.md").read_text() in capsys.readouterr().out
    with pytest.raises(ValueError, match="runs: expected a folder with trained runs"):
        MEASUREMENT.measure(tmp_path)


class _Knows(Contrastive):
    """Embeds a picture and a text as the noun that they show; the pictures are those of a batch."""

    batch: dict

    def embed_images(self, images):
        same = (images[:, None] == self.batch["images"]).flatten(2).all(2)
        return F.one_hot(self.batch["labels"][same.int().argmax(1)], 12).float()

    def embed_texts(self, texts, argument="texts"):
        nouns = list(Captioned("test", 64).nouns)
        named = torch.tensor([nouns.index(text.split()[2]) for text in texts])
        return F.one_hot(named, 12).float()


def test_zero_shot_table_has_the_share_of_right_nouns() -> None:
    config = CLIP.configs()["vit"]
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, test_crops=96))
    seed = torch.Generator().manual_seed(config.data.seed)
    drawn = Captioned("test", 64, two=0.0).sample(96, seed)
    assert all("of a" not in text and text.split()[3:5] == ["at", "the"] for text in drawn["texts"])
    torch.manual_seed(0)
    new = create_task("contrastive", "test_vit", img_size=64, in_chans=1).eval()
    knows = _Knows(new.backbone, new.options)
    knows.batch = drawn
    by_name = {"new": [new], "knows": [knows, knows]}
    trained = SimpleNamespace(seeds=by_name, of_seeds=lambda name: iter(by_name[name]))
    with torch.no_grad():
        found = zero_shot_table(trained, config)
    assert found["head"] == ["variant", "zero-shot top-1, %"]
    (_, guess), knowing, chance = found["rows"]
    assert float(guess) < 30
    assert knowing == ["knows", "100.0 ± 0.0"]
    assert chance == ["chance", "8.3"]


@torch.no_grad()
def test_samples_follow_their_noise_by_the_period_and_no_other_shift() -> None:
    torch.manual_seed(0)
    task = create_task("diffusion", "test_haar_pyramid", img_size=32, in_chans=1).double().eval()
    for parameter in task.output.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    noise = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    assert task.multiple == task.backbone.symmetry.lockable_period == 16
    assert followed(task, noise, 16) < 1e-9
    assert followed(task, noise, 5) > 1e-2


def test_principal_components_are_those_of_the_patches() -> None:
    """Images of one component: all others are 0."""
    pattern = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    pattern[..., ::2] = 1.0
    images = pattern * torch.tensor([1.0, -2.0, 3.0, 0.5])[:, None, None, None].double()
    features = principal_components(images, 4, 3)(images)
    assert features.shape == (4, 6)
    spread = features.std(0)
    assert float(spread[2]) > 1
    assert float(spread[:2].max()) < 1e-6


def test_text_of_a_model_is_drawn_as_it_is(tmp_path: Path) -> None:
    """Control characters, ends of lines, mathematics and letters that the font lacks; in warnings
    as errors."""
    record = {
        "crops": packed(np.zeros((1, 2, 2), np.uint8)),
        "gallery": 4,
        "texts": ["a $cat_{1}"],
        "models": {
            "vit_$x$": {
                "still": [{"text": "\x7f\n\t" + "语" * 90, "cosine": 0.5}],
                "moved": [{"text": "W" * 90, "cosine": 0.5}],
            }
        },
    }
    with figure_style():
        figure = closest_picture(record)
        right = max(text.get_window_extent().x1 for axis in figure.axes for text in axis.texts)
        assert right <= figure.bbox.x1 + 1
        save_figure(figure, tmp_path, "texts")
        assert (tmp_path / "texts.svg").exists()


@pytest.mark.parametrize("step", [4, 8, 16])
def test_packed_pictures_come_back_to_half_a_step_of_grey(step: int) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 5, 7), dtype=np.uint8)
    data = packed(pictures) if step == 4 else packed(pictures, step)
    back = unpacked(json.loads(json.dumps(data)))
    assert back.shape == pictures.shape
    assert back.dtype == np.uint8
    assert int(np.abs(back.astype(int) - pictures).max()) == step // 2


@pytest.mark.parametrize("step", [0, 12, 128])
def test_steps_of_grey_that_lose_white_are_refused(step: int) -> None:
    with pytest.raises(ValueError, match="step: expected a power of two up to 64"):
        packed(np.full((1, 4, 4), 255, np.uint8), step)


def test_larger_steps_of_grey_make_smaller_records() -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (4, 32, 32), dtype=np.uint8)
    assert len(packed(noisy, 8)["png"]) < 0.9 * len(packed(noisy)["png"])


def test_both_files_of_a_page_have_the_same_layout() -> None:
    with figure_style():
        canvas = Canvas(2, 1)
        canvas.picture(np.zeros((4, 4), np.uint8), 0.5, 0.1, 0.5)
        places = []
        for kind in ("png", "svg"):
            canvas.figure.savefig(io.BytesIO(), format=kind)
            places.append(canvas.axis.get_position().bounds)
        assert places == [(0, 0, 1, 1)] * 2


def test_pictures_of_a_grid_do_not_overlap() -> None:
    cell = Cell(np.zeros((4, 6), np.uint8), "right", "#009E73")
    rows = [("one", [cell, None, cell]), ("two", [cell, cell, None])]
    figure = picture_grid(rows, ["a", "b", "c"], legend=[("x", "red"), ("y", "blue")])
    boxes = [image.get_window_extent() for image in figure.axes[0].images]
    boxes += [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 4 + 4 + 2 + 3 + 2
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:index])


def test_what_is_drawn_on_a_picture_stays_inside_it() -> None:
    def pixels(left: float, right: float) -> np.ndarray:
        """Of two pictures beside each other, with a box drawn on the first."""

        def draw(axis: Axes, moved: Transform) -> None:
            box = Rectangle((left, left), right - left, right - left, color="red", linewidth=0)
            axis.add_patch(box).set_transform(moved)

        black = np.zeros((8, 8), np.uint8)
        figure = picture_grid([("a", [Cell(black, draw=draw), Cell(black)])])
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba())

    assert np.array_equal(pixels(0, 8), pixels(-5, 30))
    assert not np.array_equal(pixels(0, 8), pixels(0, 4))


def test_scores_of_boxes_that_leave_their_picture_stay_inside_it() -> None:
    corners = [(-9.0, -9.0), (60.0, -3.0), (-3.0, 62.0), (62.0, 62.0)]
    rows = [[left, top, left + 20, top + 20, 0, 0.5] for left, top in corners]
    crops = packed(np.zeros((1, 64, 64), np.uint8))
    record = {
        "crops": [crops, crops],
        "truth": [[[]], [[]]],
        "models": {"vit": {"boxes": [[rows], [rows]], "moved": [0.1]}},
        "classes": ["disc"],
    }
    axis = boxes_picture(record).axes[0]
    pictures = [image.get_window_extent() for image in axis.images]
    scores = [text.get_window_extent() for text in axis.texts if text.get_text() == "0.50"]
    assert len(scores) == 8
    for score in scores:
        assert any(one.x0 <= score.x0 < score.x1 <= one.x1 for one in pictures)
        assert any(one.y0 <= score.y0 < score.y1 <= one.y1 for one in pictures)


def test_long_names_of_models_are_written_whole() -> None:
    name = "ViT with dual-tree tokens of 16 px"
    crops = packed(np.zeros((1, 8, 8), np.uint8))
    record = {"crops": crops, "texts": ["a ring"], "models": {name: {}, "vit": {}}}
    axis = picture_with_lines(
        record,
        lambda model, own, index, truth: Line(model, "0.30", truth, "→ same", "red"),
        ("model", "bits", "caption"),
    ).axes[0]
    places = {text.get_text(): text.get_window_extent() for text in axis.texts}
    assert places[name].x1 < places["0.30"].x0
    assert places["→ same"].x1 < axis.figure.bbox.x1
