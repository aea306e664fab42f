"""The device that a command line names."""

from __future__ import annotations

import torch

from wavevit.checks import check_device


def pick_device(name: str) -> torch.device:
    """The device of that name, or the best one for ``auto``.

    Raises:
        ValueError: an unknown name, or a device that this machine lacks.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return check_device("device", name)
