"""The page "How a Swin becomes a wavelet pyramid" prints what it says, and its steps are steps."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from wavevit import BackboneConfig, model_config

PAGE = Path(__file__).parents[2] / "docs" / "how-a-swin-becomes-a-wavelet-pyramid.md"


def changed_fields(one: BackboneConfig, two: BackboneConfig) -> set[str]:
    """Names of fields in which two configurations or their stages differ."""

    def flat(config: BackboneConfig) -> dict[str, list[Any]]:
        values = {name: [value] for name, value in config.to_dict().items()}
        stages = values.pop("stages")[0]
        return values | {f"stages.{n}": [stage[n] for stage in stages] for n in stages[0]}

    before, after = flat(one), flat(two)
    return {name.removeprefix("stages.") for name in before if before[name] != after[name]}


def test_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = PAGE.read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    (output,) = re.findall(r"```text\n(.*?)```", text, re.S)
    seen: list[tuple[str, BackboneConfig]] = []
    scope: dict[str, Any] = {"seen": seen}
    # `show` also leaves its arguments here, to compare neighbours.
    ending = "    return config\n"
    assert code.count(ending) == 1
    exec(code.replace(ending, "    seen.append((step, config))\n" + ending), scope)
    assert capsys.readouterr().out == output
    assert seen[0] == ("swin_tiny", model_config("swin_tiny"))
    steps = {field: changed_fields(a, b) for (_, a), (field, b) in itertools.pairwise(seen)}
    assert list(steps) == ["tokenizer", "downsample", "mixer", "inject", "padding"]
    assert all(changed == {field} for field, changed in steps.items())


def test_global_attention_everywhere_is_refused() -> None:
    config = model_config("swin_tiny")
    stages = tuple(dataclasses.replace(stage, mixer="global") for stage in config.stages)
    with pytest.raises(ValueError, match=r"position: .*'relative_bias' with global"):
        dataclasses.replace(config, stages=stages)
