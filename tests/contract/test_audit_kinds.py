"""Kinds of model that an audit meets: what each section says of them, and that it is true."""

from __future__ import annotations

import copy
import dataclasses
import json
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wavevit
from tests import few_samples
from wavevit.auditing import AuditReport
from wavevit.auditing.scene import Scene
from wavevit.auditing.sections import run_section
from wavevit.auditing.targets import make_target
from wavevit.interop.hub import save_pretrained
from wavevit.testing import assert_close_relative

FEW = dataclasses.replace(few_samples.FEW, worst_pictures=1, singular_values=2)
# Smooth and coloured, brighter one after the other.
_COARSE = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
PICTURES = F.interpolate(_COARSE, (46, 46), mode="bilinear") * 0.5 + 0.15 * torch.arange(4).reshape(
    4, 1, 1, 1
)
EMBED = ("sensitivity", "continuity", "jumps", "scale", "rank")
NAN = float("nan")


class Net(nn.Module):
    """Two strided convolutions and a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.head = nn.Linear(8, 4)

    def maps(self, x: Tensor) -> Tensor:
        return self.two(self.one(x).tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(x).tanh().mean(dim=(2, 3)))


class Calls(nn.Module):
    """A model that does something with its net and its pictures."""

    def __init__(self, what: Callable[[Net, Tensor], Any]) -> None:
        super().__init__()
        self.net, self.what = Net().eval(), what

    def forward(self, x: Tensor) -> Any:
        return self.what(self.net, x)


def audited(model: Any, **arguments: Any) -> AuditReport:
    return wavevit.audit(model, **{"size": 32, "samples": FEW, "images": PICTURES} | arguments)


def reasons(report: AuditReport) -> dict[str, str]:
    """Of each section that was not measured."""
    return {
        name: entry.get("reason") or entry["error"]
        for name, entry in report.sections().items()
        if entry["status"] != "measured"
    }


BRIGHT = 0.6  # the mean of the brightest picture alone is above


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda n, x: n(x) * NAN, "NaN or infinity for 4 of 4 pictures"),
        (lambda n, x: n(x) / 0, "NaN or infinity for 4 of 4 pictures"),
        (
            lambda n, x: n(x.where(x.mean((1, 2, 3), keepdim=True) < BRIGHT, NAN)),
            "NaN or infinity for 1 of 4 pictures",
        ),
    ],
)
def test_outputs_that_are_not_finite_are_told_once(
    what: Callable[[Net, Tensor], Any], words: str
) -> None:
    report = audited(Calls(what))
    found = reasons(report)
    assert set(found.values()) == {f"the model gives {words}"}
    assert set(found) == set(report.sections()) - {"cost"}
    table = report.table()
    assert table.count("NaN or infinity") == 1
    assert words in report.to_html()


def test_only_moved_pictures_may_break_a_model() -> None:
    """The first picture rolled by 1 px starts with a row that was its last one."""
    first = PICTURES[0, 0, 7:39, 7:39]
    edge = float(first[-1, -1])

    def what(net: Net, x: Tensor) -> Tensor:
        return net(x).masked_fill((x[:, 0, 0, 0] == edge)[:, None], NAN) + 0

    found = reasons(audited(Calls(what)))
    expected = "the model gives NaN or infinity for 1 of 4 pictures after a shift by 1 px"
    assert found["consistency"].startswith(expected)


def test_a_classifier_that_overflows_leaves_its_features() -> None:
    model = Net().half()
    model.head.weight.data.fill_(6e4)
    model.two.bias.data.fill_(4)
    report = audited(model)
    assert report.record["models"][0]["precision"] == "float16"
    assert reasons(report)["consistency"] == "the model gives NaN or infinity for 4 of 4 pictures"
    assert not set(EMBED) & set(reasons(report))


def test_classifier_with_zero_weights_is_reported_and_features_are_measured() -> None:
    model, plain = Net(), Net()
    nn.init.zeros_(model.head.weight)
    report, before = audited(model), audited(plain)
    why = "the weights of its last layer, head, are all zero"
    found = reasons(report)
    assert f"the same output for all 4 pictures ({why})" in found["consistency"]
    assert found["worst_shift"] == found["consistency"]
    for name in EMBED:
        assert report.sections()[name] == before.sections()[name], name


def test_constant_output_is_reported() -> None:
    found = reasons(audited(Calls(lambda n, x: n(x * 0))))
    assert all("the same features for all 4 pictures" in found[name] for name in EMBED)


def test_random_model_gets_a_note() -> None:
    report = audited(Calls(lambda n, x: F.dropout(n(x), 0.5, training=True)))
    (note,) = report.record["models"][0]["notes"]
    assert note.startswith("gives another output for the same pictures each time")
    assert "another output" in reasons(report)["jumps"]
    assert note in report.table()


@dataclasses.dataclass
class Answer:
    loss: Tensor | None
    scores: Tensor


class Keyword(Calls):
    def forward(self, *, images: Tensor, flag: bool = False) -> Any:
        return self.what(self.net, images)


@pytest.mark.parametrize(
    "model",
    [
        Calls(lambda n, x: Answer(None, n(x))),
        Calls(lambda n, x: n(x.sub_(0.0))),
        Keyword(lambda n, x: n(x)),
        Calls(lambda n, x: n(x) if len(x) == 4 else 1 / 0),
        Net().eval().forward,
    ],
    ids=["dataclass", "in_place", "keyword", "batch_of_4", "method"],
)
def test_a_model_that_is_called_in_another_way_has_the_same_figures(model: Any) -> None:
    plain = make_target(Net().eval(), size=32)
    found = make_target(model, size=32)
    x = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        for view in ("logits", "embed"):
            torch.testing.assert_close(getattr(found, view)(x), getattr(plain, view)(x))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Calls(lambda n, x: n(x).argmax(1)), r"tensor of shape \(2,\) of torch.int64"),
        (Calls(lambda n, x: 1 / 0), r"^model: .*\(2, 3, 32, 32\), got ZeroDivisionError"),
        (nn.Bilinear(3, 3, 2), "^model: .*missing 1 required positional argument"),
        (nn.Linear(7, 3), "^model: expected one that takes images of shape"),
        (Net, "^model: expected a model, such as .* got the class Net"),
        (Net().to("meta"), "^model: expected weights, got tensors on the meta device"),
    ],
)
def test_unsupported_models_are_refused_with_a_reason(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_target(model, size=32)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_model_without_gradients_has_no_derivative(mode: Any) -> None:
    found = reasons(audited(Calls(mode()(lambda n, x: n(x)))))
    assert "it has no derivative: the model detaches" in found.pop("continuity")
    assert set(found) == {"tokens", "map", "attention"}


class Autocast(nn.Module):
    """Attention in bfloat16, in which torch has no forward-mode derivative of it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(192, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = F.pixel_unshuffle(x, 8).flatten(2).mT
        with torch.autocast("cpu", torch.bfloat16):
            q = self.embed(tokens)[:, None]
            q = F.scaled_dot_product_attention(q, q, q)
            return self.head(q.mean(dim=(1, 2))).float()


def test_a_model_that_autocasts_has_its_derivatives_from_float64() -> None:
    torch.manual_seed(0)
    model = Autocast()
    cast = audited(model).sections()["continuity"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
        plain = audited(model).sections()["continuity"]
    assert cast["status"] == "measured"
    assert cast["figures"]["median_relative"] == pytest.approx(
        plain["figures"]["median_relative"], rel=1e-3
    )


def test_the_precision_of_a_scan_is_what_the_model_takes() -> None:
    weights = torch.randn(3 * 32 * 32, 5, generator=torch.Generator().manual_seed(0))
    function = audited(lambda x: x.flatten(1) @ weights)
    assert function.sections()["jumps"]["figures"]["precision"] == "float32"
    assert function.sections()["jumps"]["grade"] == "good"
    assert "in float32" in function.sections()["jumps"]["verdict"]
    assert set(reasons(function)) == {"tokens", "map", "attention"}
    for model in (Net(), Net().double(), Net().bfloat16()):
        report = audited(model)
        assert report.sections()["jumps"]["figures"]["precision"] == "float64"
        assert set(reasons(report)) == {"tokens", "map", "attention"}


@pytest.mark.filterwarnings("ignore")  # torch.ao is deprecated
def test_a_quantized_model_is_a_step_function() -> None:
    layers = nn.Sequential(nn.Flatten(), nn.Linear(3072, 16), nn.ReLU(), nn.Linear(16, 4))
    report = audited(torch.ao.quantization.quantize_dynamic(layers, {nn.Linear}, torch.qint8))
    found = reasons(report)
    assert "it has no derivative" in found.pop("continuity")
    assert set(found) == {"tokens", "map", "attention"}
    assert report.sections()["jumps"]["figures"]["precision"] == "float32"
    assert "quantized layers are not counted" in report.sections()["cost"]["verdict"]


def test_an_adaptive_model_says_how_many_tokens_a_picture_has() -> None:
    model = wavevit.create_model("test_adaptive_vit", img_size=64, num_classes=4).eval()
    model.tokenizer.options = dataclasses.replace(model.tokenizer.options, budget=None, share=0.9)
    cost = audited(model, size=64, quick=True).sections()["cost"]
    fewest, most = (cost["figures"][f"{end}_tokens"] for end in ("fewest", "most"))
    assert 0 < fewest < most <= 64 + 16 + 4 + 1
    assert f"depends on the picture: {fewest} to {most};" in cost["verdict"]
    assert "fewest_tokens" not in audited(Net(), quick=True).sections()["cost"]["figures"]


def exported(rows: int, free: bool) -> Any:
    shapes = {"x": {0: torch.export.Dim("B")}} if free else None
    x = torch.zeros(rows, 3, 32, 32)
    return torch.export.export(Net().eval(), (x,), dynamic_shapes=shapes)


@pytest.mark.parametrize(("rows", "free"), [(1, False), (3, False), (2, True)])
def test_an_exported_program_is_audited_as_it_is(rows: int, free: bool) -> None:
    program = exported(rows, free)
    for model in (program, program.module()):
        report = audited(model, size=None)
        entry = report.record["models"][0]
        assert (entry["size"], entry["channels"]) == (32, 3)
        assert any("measured in its exported mode" in note for note in entry["notes"])
        assert any(f"batches of {rows} images only" in note for note in entry["notes"]) != free
        assert set(reasons(report)) == {"tokens", "map", "attention"}
    with pytest.raises(ValueError, match=r"size: .*\(32 is one\), got 48 pixels"):
        make_target(program, size=48)


def test_torchscript_is_audited() -> None:
    x = torch.zeros(2, 3, 32, 32)
    with pytest.warns():
        traced = torch.jit.trace(Net().eval(), x)
    assert set(reasons(audited(traced))) == {"tokens", "map", "attention"}


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(exported(1, False), f=path, dynamo=True, verbose=False)
    return path


def test_an_onnx_file_is_audited_without_gradients(onnx_file: Path) -> None:
    session = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
    assert make_target(onnx_file).size == 32  # what the graph says
    report = audited(str(onnx_file), against={"session": session, "net": Net()})
    found = reasons(report)
    assert set(found) == {"tokens", "map", "attention", "continuity", "cost"}
    assert "onnxruntime" in found["continuity"]
    assert "onnxruntime" in found["cost"]
    assert report.sections("session") == report.sections()
    consistency = report.sections()["consistency"]["figures"]
    assert consistency == report.sections("net")["consistency"]["figures"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("weights.pt2", "model: expected an .onnx file .*torch.export.load"),
        ("weights.pth", "model: expected an .onnx file .*unpickled"),
        ("nowhere.onnx", "model: expected an existing file"),
        ("broken.onnx", "model: expected a graph that onnxruntime can run"),
    ],
)
def test_other_files_are_not_read(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_text("no graph")
    with pytest.raises(ValueError, match=message):
        make_target(str(tmp_path / name), size=32)


@pytest.mark.parametrize(
    ("what", "place"),
    [
        (lambda n, x: n.maps(x), "the tensor"),
        (lambda n, x: {"out": n.maps(x), "aux": n.one(x)}, "['out']"),
        (lambda n, x: [n.one(x), n.maps(x)], "[1]"),
        (lambda n, x: {"feature_maps": (n.one(x), n.maps(x))}, "['feature_maps'][1]"),
    ],
)
def test_a_map_is_audited_wherever_it_is(what: Callable[[Net, Tensor], Any], place: str) -> None:
    report = audited(Calls(what))
    entry = report.record["models"][0]
    assert entry["output"] == f"{place} of shape (8, 8, 8) for each image"
    assert set(reasons(report)) == {"consistency", "worst_shift", "attention"}
    assert entry["metrics"]["map_roll"] > 0.01
    assert "The output's map" in report.sections()["map"]["verdict"]


def test_a_map_that_follows_every_roll_is_exact() -> None:
    """A dense output of a circular convolution, at full size: too many cells for tokens."""
    model = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    report = audited(model, size=16)
    assert report.sections()["map"]["verdict"].startswith(
        "The output's map follows a circular shift by 1 px"
    )
    assert report.record["models"][0]["metrics"]["map_roll"] < 1e-5
    large = audited(model, size=40)
    assert "no map of tokens" in large.record["models"][0]["tokens"]
    assert large.status(large.models[0], "map") == "measured"


def test_attention_of_nn_multihead_attention_is_found() -> None:
    import torchvision

    size = {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 2}
    model = torchvision.models.VisionTransformer(**size, hidden_dim=16, mlp_dim=32)
    report = audited(model, size=None)
    assert len(report.sections()["attention"]["figures"]["by_layer"]) == 2
    found = reasons(report)
    assert "the weights of its last layer, heads.head" in found["consistency"]
    assert set(found) == {"consistency", "worst_shift", "tokens", "map"}
    assert torch.backends.mha.get_fastpath_enabled()
    assert report.sections()["cost"]["figures"]["macs"] > 16 * 17 * 16 * 4 * 2  # projections alone


def hugging_face() -> dict[str, Callable[[Any], Any]]:
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    small |= {"intermediate_size": 32, "image_size": 32, "patch_size": 8}
    swin = {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1]}
    swin |= {"num_heads": [2, 2], "window_size": 4}
    former = {"hidden_sizes": [8] * 4, "depths": [1] * 4, "num_attention_heads": [1] * 4}
    return {
        "vit": lambda t: t.ViTForImageClassification(t.ViTConfig(**small, num_channels=1)),
        "tokens": lambda t: t.ViTModel(t.ViTConfig(**small), add_pooling_layer=False),
        "swin": lambda t: t.SwinForImageClassification(t.SwinConfig(**swin)),
        "registers": lambda t: t.Dinov2WithRegistersForImageClassification(
            t.Dinov2WithRegistersConfig(**small)
        ),
        "clip": lambda t: t.CLIPVisionModel(t.CLIPVisionConfig(**small)),
        "backbone": lambda t: t.AutoBackbone.from_config(t.Dinov2Config(**small)),
        "segformer": lambda t: t.SegformerForSemanticSegmentation(
            t.SegformerConfig(**former, decoder_hidden_size=8)
        ),
    }


@pytest.mark.parametrize("name", hugging_face())
def test_models_of_transformers_have_tokens_and_attention(name: str) -> None:
    import transformers

    torch.manual_seed(0)
    size = 32 if name == "segformer" else None
    target = make_target(hugging_face()[name](transformers).eval(), size=size)
    assert (target.size, target.channels) == (32, 1 if name == "vit" else 3)
    assert "image processor" in target.facts["normalization_source"]
    luminance = PICTURES[:, : target.channels]
    scene = Scene(target, luminance, FEW, 0)
    entries = {
        section: run_section(section, scene)[0] for section in ("tokens", "map", "attention")
    }
    assert {entry["status"] for entry in entries.values()} == {"measured"}
    cells = {"segformer": 8}.get(name, 4) ** 2
    assert entries["tokens"]["figures"]["circular"]["tokens"] == 2 * cells  # of two pictures
    depth = {"segformer": 4}.get(name, 2)
    assert len(entries["attention"]["figures"]["by_layer"]) == depth
    classifies = "of shape (2,)" in target.facts["output"]
    assert bool(target.unclassed) != classifies


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trained ViT as transformers saves it, with its image processor's file."""
    import transformers

    torch.manual_seed(0)
    model = hugging_face()["registers"](transformers)
    model.save_pretrained(tmp_path)
    processor = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "do_normalize": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path


def test_folders_of_transformers_are_read(folder: Path) -> None:
    import transformers

    target = make_target(str(folder))
    assert (target.size, target.channels) == (32, 3)
    assert target.facts["weights"] == "of the folder"
    assert target.facts["normalization_source"].startswith("declared by preprocess_cfg of Dinov2")
    model = transformers.Dinov2WithRegistersForImageClassification.from_pretrained(folder).eval()
    pictures = PICTURES[..., :32, :32]
    normal = (pictures - torch.tensor([0.4, 0.5, 0.6]).reshape(3, 1, 1)) / torch.tensor(
        [0.2, 0.3, 0.4]
    ).reshape(3, 1, 1)
    with torch.no_grad():
        assert_close_relative(target.logits(pictures), model(normal).logits)
    assert target.tokens is not None
    assert make_target(folder).facts["output"] == target.facts["output"]
    aligned = make_target(f"{folder}/+group_average").facts
    assert aligned["alignment"]["method"] == "GroupAverage"


def test_folders_without_a_model_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model: expected a folder of a model, with config\.json"):
        make_target(str(tmp_path.parent))
    weights, config = folder / "model.safetensors", folder / "config.json"
    whole = json.loads(config.read_text())

    def complains(changes: dict[str, Any], message: str) -> None:
        config.write_text(json.dumps({k: v for k, v in (whole | changes).items() if v is not None}))
        with pytest.raises(ValueError, match=message):
            make_target(str(folder))

    complains({"model_type": None}, "expected a model_type in")
    complains({"model_type": None, "architecture": "vit"}, "timm:local-dir:")
    complains({"model_type": "no_such"}, "expected a model that transformers can load from")
    complains({"architectures": ["NoSuch"]}, "an architecture that transformers has, got 'NoSuch'")
    wider = {"architectures": ["Dinov2WithRegistersBackbone"], "num_hidden_layers": 3}
    complains(wider, "weights of all parameters of Dinov2WithRegistersBackbone in")
    complains({"hidden_size": 32}, "expected a model that transformers can load from")
    config.write_text("{")
    with pytest.raises(ValueError, match="model: expected JSON in"):
        make_target(str(folder))
    config.write_text(json.dumps(whole))
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(
        ValueError, match=r"expected model\.safetensors in .* \(other formats are unp"
    ):
        make_target(str(folder))


def test_folders_of_ours_are_read(tmp_path: Path) -> None:
    save_pretrained(wavevit.create_model("test_vit", img_size=32, num_classes=3), tmp_path)
    target = make_target(str(tmp_path))
    assert (target.size, target.facts["output"]) == (32, "the tensor of shape (3,) for each image")


def test_timms_model_inside_transformers_is_looked_at_like_the_bare_one() -> None:
    import transformers

    config = transformers.TimmWrapperConfig(architecture="test_vit", model_args={"img_size": 32})
    model = transformers.TimmWrapperForImageClassification(config).eval()
    x = torch.rand(2, 3, 32, 32)
    bare, wrapped = make_target(model.timm_model), make_target(model)
    assert wrapped.facts["normalization"] == bare.facts["normalization"]
    for view in ("logits", "embed", "tokens"):
        here, there = (getattr(target, view)(x) for target in (wrapped, bare))
        assert torch.equal(here, there), view


def test_lora_of_peft_is_seen_through() -> None:
    import peft

    inner = wavevit.create_model("test_vit", img_size=32).eval()
    bare = make_target(copy.deepcopy(inner))
    model = peft.get_peft_model(inner, peft.LoraConfig(target_modules=["qkv"]))
    found, x = make_target(model), torch.rand(2, 3, 32, 32)
    assert found.facts["normalization"] == bare.facts["normalization"]
    for view in ("logits", "embed", "tokens"):  # LoRA starts from nothing added
        torch.testing.assert_close(getattr(found, view)(x), getattr(bare, view)(x))
