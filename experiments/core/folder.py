"""Files of a run: written whole or not at all, and never over something else's."""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from experiments.core.config import RunConfig, differing_fields
from experiments.core.records import read_json, write_json
from wavevit.checks import fail
from wavevit.files import PART, write_whole


def slug(name: str) -> str:
    """A variant's name as a folder's: ``vit + phase_lock`` becomes ``vit-phase_lock``."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-")


_LOCKS = (".lock", ".taken")


def _has_other_files(path: Path) -> bool:
    """Whether a folder has files beside locks and what `write_whole` writes now, or was writing
    when its process was killed."""
    return path.exists() and any(
        file.name not in _LOCKS and not (file.name.startswith(".") and file.name.endswith(PART))
        for file in path.iterdir()
    )


class RunFolder:
    """One run's files.

    ``config.json`` comes first and is the folder's identity; ``environment.json`` beside it, with
    what was different before where a training resumed elsewhere (`note_environment`);
    ``metrics.jsonl`` grows; ``checkpoint.safetensors`` is where a killed run resumes;
    ``weights.safetensors`` ends the training; ``result.json`` ends the run. ``ema.safetensors``
    has the moving average of the weights, where the run keeps one beside them;
    ``snapshot_STEP.safetensors`` the weights after so many steps, where they are kept for pictures
    (`experiments.core.snapshots`). ``failed.json`` tells why a run stopped; it goes away when a
    later attempt succeeds. ``origin.json`` is there where the weights were trained in another
    folder, and says which.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.environment = path / "environment.json"
        self.metrics = path / "metrics.jsonl"
        self.checkpoint = path / "checkpoint.safetensors"
        self.weights = path / "weights.safetensors"
        self.ema = path / "ema.safetensors"
        self.result = path / "result.json"
        self.failed = path / "failed.json"
        self.origin = path / "origin.json"
        self._taken: IO[str] | None = None

    def snapshot(self, step: int) -> Path:
        """The file with the weights after so many steps of the training."""
        return self.path / f"snapshot_{step}.safetensors"

    def complete(self, measures: Sequence[str] = ()) -> bool:
        """Whether the run is trained and measured, these measures included."""
        if not self.result.exists():
            return False
        result = read_json(self.result)
        return all(name in result for name in measures)

    def take_weights(self, source: RunFolder) -> None:
        """Copies the weights that another run trained; ``origin.json`` names the run."""
        if not source.weights.exists():
            fail("weights", f"those of {source.path}", "a run that is not trained")
        write_json(self.origin, {"weights_of": str(source.path)})
        write_whole(self.weights, source.weights.read_bytes())

    def note_failure(self, error: str, message: str, trace: str = "") -> None:
        """Writes why the run stopped: the kind of error, what it says, where it was raised."""
        write_json(self.failed, {"error": error, "message": message, "traceback": trace})

    def claim(self, config: RunConfig) -> None:
        """Makes this the folder of `config`, or checks that it is.

        Raises:
            ValueError: the folder holds another configuration; the differing fields are named.
        """
        wanted = json.loads(json.dumps(config.to_dict()))
        # Asked first: another command that starts now may claim the folder in between.
        others = _has_other_files(self.path)
        if self.config.exists():
            # Through the classes: an earlier version spelled some fields otherwise.
            held = json.loads(json.dumps(self.load_config().to_dict()))
            self.refuse(differing_fields(held, wanted))
            return
        if others:
            fail("out", f"{self.path} to be empty or a run", "other files")
        write_json(self.config, wanted)

    def refuse(self, differing: Sequence[str]) -> None:
        """Raises a ``ValueError`` if there are fields in which the run here differs."""
        if differing:
            fail(
                "out",
                f"{self.path} to hold this configuration (give a changed variant another name, or "
                "choose another --out)",
                f"a run that differs in {', '.join(differing[:5])}",
            )

    def load_config(self) -> RunConfig:
        """The configuration that the folder was claimed for."""
        return RunConfig.from_dict(read_json(self.config))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Waits until no other process works in the folder; a killed one lets go by dying.

        Removes the parts of checkpoints and weights that a killed process was writing.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # These are written under the lock only.
            large = (self.checkpoint.name, self.weights.name, self.ema.name)
            for name in (*large, self.snapshot(0).name.replace("0", "*")):
                for part in self.path.glob(f".{name}.*{PART}"):
                    part.unlink(missing_ok=True)
            yield

    def take(self) -> bool:
        """Takes the run for this process, until `release`; False if another one has it, here or on
        a machine that shares the folder.

        A process takes a run before the one that computes it has started and locked the folder: two
        commands that start together never choose the same run.
        """
        file = (self.path / ".taken").open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        if self._busy():  # its command may have been killed, or is one that does not take runs
            file.close()
            return False
        self._taken = file
        return True

    def release(self) -> None:
        """Lets other processes take the run; nothing happens if this one has not."""
        if self._taken is not None:
            self._taken.close()
            self._taken = None

    def _busy(self) -> bool:
        """Whether a process works in the folder now."""
        path = self.path / ".lock"
        if not path.is_file():
            return False
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def keep_metrics_until(self, step: int) -> None:
        """Drops what was logged after a checkpoint, a torn last line included."""
        lines = []
        if self.metrics.exists():
            for line in self.metrics.read_text().splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    break
                if entry["step"] <= step:
                    lines.append(line + "\n")
        write_whole(self.metrics, "".join(lines).encode())

    def log(self, **entry: Any) -> None:
        """Appends one line to the metrics."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(entry) + "\n")


class StudyFolder:
    """All runs of one study under one folder, which is theirs alone."""

    def __init__(self, path: Path, study: str) -> None:
        self.path = path
        self.study = study
        self.identity = path / "study.json"
        self.latency = path / "latency.json"

    def claim(self) -> None:
        """Makes this the study's folder, or checks that it is.

        Raises:
            ValueError: the folder holds another study, or files that are no study's.
        """
        if self.path.exists() and not self.path.is_dir():
            fail("out", f"{self.path} to be a folder", "a file")
        others = _has_other_files(self.path)  # asked first, as in `RunFolder.claim`
        if self.identity.exists():
            held = read_json(self.identity)["study"]
            if held != self.study:
                fail("out", f"a folder of the study {self.study!r}", f"{self.path} of {held!r}")
            return
        if others:
            fail("out", f"{self.path} to be empty or a study's folder", "other files")
        write_json(self.identity, {"study": self.study})

    def run(self, variant: str, seed: int) -> RunFolder:
        """The folder of one run."""
        return RunFolder(self.path / slug(variant) / f"seed{seed}")
