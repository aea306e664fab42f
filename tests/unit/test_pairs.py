"""Pairs of pictures and captions: folders, indexes, splits, and complaints with file and line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from wavevit.data import create_source, read_pairs
from wavevit.data.pairs import _splits


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(20):
        path = tmp_path / ("inner" if index % 2 else ".") / f"p{index}.png"
        picture(path, index)
        path.with_suffix(".txt").write_text(f"picture {index}\n")
    return tmp_path


def test_folder_and_index_have_the_same_pairs_and_splits(folder: Path) -> None:
    pairs = read_pairs(folder)
    assert len(pairs) == 20
    assert {(pair.name, pair.text) for pair in pairs} >= {("p0", "picture 0")}
    index = folder / "index.jsonl"
    entries = [{"image": str(p.path.relative_to(folder)), "text": p.text} for p in pairs]
    index.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert read_pairs(index) == pairs
    splits = {}
    for split in ("train", "test", "fit", "validation"):
        one, two = (create_source("pairs", split, 16, path=path) for path in (folder, index))
        assert one.pairs == two.pairs
        splits[split] = {pair.name for pair in one.pairs}
    assert splits["train"] | splits["test"] == {pair.name for pair in pairs}
    assert not splits["train"] & splits["test"]
    assert splits["fit"] | splits["validation"] == splits["train"]
    assert not splits["fit"] & splits["validation"]


def test_a_new_picture_moves_no_other_to_another_split(folder: Path) -> None:
    before = {pair.name for pair in create_source("pairs", "test", 16, path=folder).pairs}
    picture(folder / "a_first_one.png")
    (folder / "a_first_one.txt").write_text("new")
    after = {pair.name for pair in create_source("pairs", "test", 16, path=folder).pairs}
    assert after - {"a_first_one"} == before


def test_several_captions_of_one_picture(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text("one\n two \n", encoding="utf-8")
    assert [pair.text for pair in read_pairs(tmp_path)] == ["one", "two"]


@pytest.mark.parametrize("color", [False, True])
def test_crops_are_those_of_the_seed_and_normalised(folder: Path, color: bool) -> None:
    source = create_source("pairs", "train", 16, 2, path=folder, color=color)
    count = len(source.pairs)
    batch = source.sample(count, torch.Generator().manual_seed(0))
    pairs = zip(batch["texts"], batch["pictures"], strict=True)
    assert sorted(pairs) == sorted((pair.text, pair.name) for pair in source.pairs)
    assert batch["images"].shape == (count, source.in_chans, 20, 20)
    crops = source.crop(batch)["images"]
    assert float(crops.mean(dim=(1, 2, 3)).abs().max()) < 1e-5
    assert 0.7 < float(crops.std(dim=(1, 2, 3)).min()) < 1.05
    again = source.sample(count, torch.Generator().manual_seed(0))
    assert torch.equal(again["images"], batch["images"])
    assert again["texts"] == batch["texts"]
    other = source.sample(count, torch.Generator().manual_seed(1))
    assert not torch.equal(other["images"], batch["images"])


def test_bad_pictures_are_named_before_anything_is_drawn(folder: Path) -> None:
    source = create_source("pairs", "train", 16, path=folder)
    first, second = source.pairs[0].path, source.pairs[1].path
    first.write_bytes(b"no picture")
    second.unlink()
    second.symlink_to(folder / "nowhere.png")
    with pytest.raises(ValueError, match="pictures that can be read") as caught:
        create_source("pairs", "train", 16, path=folder)
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    create_source("pairs", "train", 16, path=folder, check=False)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"image": "a.png", "text": "a"}', '{"image": "a.png", "text": " "}'], r"line 2\)"),
        (['{"image": "a.png"}'], r'lines {"image": path, "text": caption}.*line 1\)'),
        (['{"image": "a.png", "text": 3}'], r"both strings.*line 1\)"),
        (["", "{}"], r"JSON on each line.*line 1\)"),
        ([], "pictures with captions"),
    ],
)
def test_bad_index_is_refused_by_file_and_line(
    lines: list[str], message: str, tmp_path: Path
) -> None:
    index = tmp_path / "index.jsonl"
    index.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message) as caught:
        read_pairs(index)
    assert "index.jsonl" in str(caught.value)


def test_lines_end_where_json_ends_them(tmp_path: Path) -> None:
    """A caption may hold U+2028, at which `str.splitlines` splits; Windows adds a mark."""
    index = tmp_path / "index.jsonl"
    entries = [{"image": "a.png", "text": "one\u2028two"}, {"image": "b.png", "text": "three"}]
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    index.write_bytes("\r\n".join(["\ufeff" + lines[0], lines[1], ""]).encode())
    assert [pair.text for pair in read_pairs(index)] == ["one\u2028two", "three"]


def test_options_of_another_type_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"scale: expected 0 < smallest <= largest <= 1, got 0\.5"):
        create_source("pairs", "train", 16, path=folder, scale=0.5)
    with pytest.raises(ValueError, match="color: expected True or False, got 'no'"):
        create_source("pairs", "train", 16, path=folder, color="no")
    source = create_source("pairs", "train", 16, path=folder)
    with pytest.raises(ValueError, match="count: expected an integer of at least 1, got 0"):
        source.sample(0, torch.Generator())


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="path: expected a folder of pairs"):
        create_source("pairs", "train")
    with pytest.raises(ValueError, match="path: expected a folder of pairs"):
        read_pairs(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="path: expected pictures with captions"):
        read_pairs(tmp_path)
    picture(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"path: expected a file of captions a\.txt"):
        read_pairs(tmp_path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"an empty one .*a\.txt, line 1"):
        read_pairs(tmp_path)
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    with pytest.raises(ValueError, match=r"an empty one .*a\.txt, line 2"):
        read_pairs(tmp_path)
    (tmp_path / "a.txt").write_text("one")
    full, empty = ("test", "train") if "test" in _splits("a") else ("train", "test")
    assert len(create_source("pairs", full, path=tmp_path).pairs) == 1
    with pytest.raises(ValueError, match=f"pictures in the split '{empty}'"):
        create_source("pairs", empty, path=tmp_path)
    with pytest.raises(ValueError, match="scale: expected"):
        create_source("pairs", full, path=tmp_path, scale=(0.0, 1.0))
