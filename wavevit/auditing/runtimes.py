"""Wrap programs of `torch.export` and ONNX files as modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wavevit.auditing.folders import read_model_folder
from wavevit.checks import fail, require_extra

__all__ = ["OnnxModel", "ProgramModel", "as_callable", "is_model_file", "read_model_file"]

_DTYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
}
# Formats that only unpickling reads, which can run anything: the caller may do that, we do not.
_PICKLED = {
    ".pt2": "torch.export.load",
    ".pt": "torch.load or torch.jit.load",
    ".pth": "torch.load",
    ".ckpt": "the library that wrote it",
    ".pkl": "pickle.load",
    ".bin": "torch.load",
}


class ProgramModel(nn.Module):
    """A program of `torch.export`, in the mode that it was exported in.

    Attributes:
        input_shape: of its images; None for a size that is free.
    """

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.program = program.module() if hasattr(program, "graph_signature") else program
        shapes = [
            node.meta["val"].shape
            for node in self.program.graph.nodes
            if node.op == "placeholder" and isinstance(node.meta.get("val"), Tensor)
        ]
        if len(shapes) != 1:
            fail("model", "an exported program with one input tensor", f"{len(shapes)} inputs")
        sides = tuple(side if isinstance(side, int) else None for side in shapes[0])
        self.input_shape: tuple[int | None, ...] = sides

    def forward(self, x: Tensor) -> Any:
        """What the program returns."""
        return self.program(x)


class OnnxModel(nn.Module):
    """An ONNX graph, run by onnxruntime on the CPU. It has no derivatives.

    Args:
        session: an `onnxruntime.InferenceSession`.

    Attributes:
        input_shape: of its images; None for a size that is free.
        input_dtype: of its images.
        opaque: why torch cannot see what it does.
    """

    opaque = "onnxruntime runs the graph outside torch"

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session = session
        inputs = session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _DTYPES:
            got = ", ".join(f"{i.name}: {i.type} of shape {i.shape}" for i in inputs) or "none"
            fail("model", "an ONNX graph with one floating input (B, C, H, W)", got)
        self.input_name = inputs[0].name
        self.input_dtype = _DTYPES[inputs[0].type]
        sides = tuple(side if isinstance(side, int) else None for side in inputs[0].shape)
        self.input_shape: tuple[int | None, ...] = sides
        self.output_names = [output.name for output in session.get_outputs()]

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxModel:
        return self  # a session has no state, and cannot be copied

    def forward(self, x: Tensor) -> Any:
        """A dict of the graph's outputs by name."""
        images = np.ascontiguousarray(x.detach().cpu().numpy())
        found = self.session.run(self.output_names, {self.input_name: images})
        pairs = zip(self.output_names, found, strict=True)
        return {name: torch.from_numpy(np.asarray(value)).to(x.device) for name, value in pairs}


def is_model_file(name: str) -> bool:
    """Whether a string names a file of a model that is not Python."""
    return Path(name).suffix.lower() in (".onnx", *_PICKLED)


def read_model_file(path: str | Path) -> nn.Module:
    """The model of an ONNX file.

    Raises:
        ImportError: onnxruntime is not installed; the message names the extra.
        ValueError: no such file, one that onnxruntime refuses, or a format that only unpickling
            reads.
    """
    path = Path(path)
    loader = _PICKLED.get(path.suffix.lower())
    if loader is not None:
        expected = "an .onnx file (other formats are unpickled, which can run code in them: load "
        expected += f"a file that you trust with {loader} and pass the module to wavevit.audit)"
        fail("model", expected, repr(str(path)))
    if not path.is_file():
        fail("model", "an existing file", repr(str(path)))
    runtime: Any = require_extra("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        fail("model", f"a graph that onnxruntime can run in {path}", reason)
    return OnnxModel(session)


def as_callable(model: Any) -> Callable[..., Any] | Any:
    """What can be called in place of a model: a program's module, a session's graph, or itself."""
    if _is_program(model):
        return ProgramModel(model)
    if type(model).__name__ == "InferenceSession" and hasattr(model, "get_inputs"):
        return OnnxModel(model)
    if isinstance(model, Path):
        return read_model_folder(model) if model.is_dir() else read_model_file(model)
    return model


def _is_program(model: Any) -> bool:
    """An `ExportedProgram`, or the module that it makes: a graph whose mode cannot be switched."""
    if type(model).__name__ == "ExportedProgram":
        return True
    if not isinstance(model, torch.fx.GraphModule):
        return False
    # torch.export replaces both by functions that raise NotImplementedError.
    return "eval" in vars(model) or "train" in vars(model)
