"""Records of results: JSON files, written whole, with what made them noted in one way.

The committed ones are below ``experiments/records/``.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from experiments.core.code import code_digest
from wavevit.files import write_whole

RECORDS = Path(__file__).parents[1] / "records"
NOT_INSTALLED = "not installed"


def load_record(name: str) -> Any:
    """A record by its path below ``experiments/records/``: a `StudySummary` or plain data."""
    data = read_json(RECORDS / name)
    if Path(name).name != "summary.json":
        return data
    from experiments.core.summary import StudySummary  # scipy: a quarter of a worker's start

    return StudySummary.from_dict(data)


def read_json(path: Path) -> Any:
    """The plain data in a file of JSON."""
    return json.loads(path.read_text())


def json_text(data: Any, width: int = 160) -> str:
    """JSON with what fits into `width` characters on one line; refuses NaN, which JSON does not
    have. A quarter smaller than a line for each number, and a change still shows as a few lines."""

    def text(value: Any, indent: str) -> str:
        flat = json.dumps(value, allow_nan=False)
        if not value or not isinstance(value, (dict, list, tuple)):
            return flat
        if len(indent) + len(flat) <= width:
            return flat
        inner = f"{indent} "
        if isinstance(value, dict):
            lines = [f"{json.dumps(str(key))}: {text(item, inner)}" for key, item in value.items()]
        else:
            lines = [text(item, inner) for item in value]
        first, last = "{}" if isinstance(value, dict) else "[]"
        return f"{first}\n{inner}" + f",\n{inner}".join(lines) + f"\n{indent}{last}"

    return text(data, "") + "\n"


def write_json(path: Path, data: Any) -> None:
    """`write_whole` of `json_text`."""
    write_whole(path, json_text(data).encode())


def noted(data: Mapping[str, Any], command: str, seconds: float) -> dict[str, Any]:
    """A record with the command, the seconds and the environment that made it; one that it names
    itself stays."""
    where = data.get("environment") or environment(torch.device("cpu"), torch.get_num_threads())
    return {"command": command, "seconds": round(seconds), "environment": where} | {
        key: value
        for key, value in data.items()
        if key not in ("command", "seconds", "environment")
    }


def seconds_taken(record: Mapping[str, Any], cores: int) -> float | None:
    """What a record says of its own time, on so many cores; None where it does not."""
    if "seconds" in record:
        return float(record["seconds"])
    minutes = record.get("core_minutes")
    return 60 * float(minutes) / cores if minutes else None


def environment(device: torch.device, threads: int, packages: Sequence[str] = ()) -> dict[str, Any]:
    """What a result may depend on beside its configuration.

    Args:
        device: where it was computed.
        threads: of the CPU.
        packages: distributions whose versions are noted beside those that every run uses.
    """
    noted = ("wavevit", "torch", "numpy", "scikit-image", "kornia", "safetensors", *packages)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(device),
        "device_name": name,
        "threads": threads,
        "code": code_digest(),
        "packages": {package: _version(package) for package in noted},
    }


def _version(package: str) -> str:
    """Of a distribution; this one may be run from its sources."""
    try:
        return version(package)
    except PackageNotFoundError:
        return NOT_INSTALLED


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"model name\s*:\s*(.+)", cpuinfo.read_text())
        if names:
            return f"{names[0]} ({len(names)} logical cores)"
    return platform.processor() or platform.machine()
