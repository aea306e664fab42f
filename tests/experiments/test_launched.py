"""Studies under torchrun and on a Ray cluster, with processes that are killed. Minutes: nightly."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file

from experiments.core.folder import RunFolder
from experiments.core.study import StudyOptions
from experiments.studies.smoke import SMOKE

ROOT = Path(__file__).parents[2]
MINUTES = 20
ENVIRONMENT = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
WORDS = ("run", "smoke", "--seeds", "0", "--no-timing", "--device", "cpu", "--threads", "1")


def torchrun(*options: str) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, "--nproc-per-node", "2", *options, "-m", "experiments", *WORDS]


def ranks_of(launcher: int) -> list[int]:
    """Processes of the study that a launcher started."""
    found = []
    for path in Path(f"/proc/{launcher}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            if b"experiments" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return sorted(found)


def wait_for_checkpoint(run: RunFolder, study: subprocess.Popen[bytes]) -> None:
    """Until a run of a study has its first checkpoint."""
    deadline = time.monotonic() + 60 * MINUTES
    while not run.checkpoint.exists():
        assert study.poll() is None, "the study ended before one of its processes could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)  # a small run ends soon after its checkpoint


def assert_close_weights(found: RunFolder, expected: RunFolder) -> None:
    one, two = load_file(found.weights), load_file(expected.weights)
    assert set(one) == set(two)
    for name, value in two.items():
        assert float((one[name] - value).abs().max()) < 1e-3, name


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of one process."""
    out = tmp_path_factory.mktemp("alone") / "runs"
    options = StudyOptions(seeds=(0,), out=out, jobs=1, threads=1, timing=False, device="cpu")
    assert SMOKE.run(options) == 0
    return out


def mark_metrics(run: RunFolder) -> int:
    """Marks what is logged so far; returns the step of the run's checkpoint.

    A run that resumes keeps these lines up to the checkpoint, and one that begins again writes
    others in their place.
    """
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    run.metrics.write_text("".join(json.dumps(one | {"marked": True}) + "\n" for one in lines))
    with safe_open(run.checkpoint, "pt") as file:
        return int(file.metadata()["step"])


@pytest.mark.nightly
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_rank_that_is_killed_and_restarted_continues_from_the_checkpoint(
    tmp_path: Path, alone: Path, parallel: str
) -> None:
    """It loses at most the steps since the last checkpoint, and ends in the same weights."""
    out = tmp_path / "runs"
    command = [*torchrun("--max-restarts", "1"), "--parallel", parallel, "--out", str(out)]
    launcher = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT)
    run = RunFolder(out / "vit" / "seed0")
    wait_for_checkpoint(run, launcher)
    ranks = ranks_of(launcher.pid)
    for rank in ranks:  # nothing is written while the lines are marked
        os.kill(rank, signal.SIGSTOP)
    step = mark_metrics(run)
    os.kill(ranks[-1], signal.SIGKILL)
    for rank in ranks[:-1]:
        os.kill(rank, signal.SIGCONT)
    assert launcher.wait(60 * MINUTES) == 0
    entries = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    kept = [one["step"] for one in entries if "marked" in one]
    assert 0 < step < SMOKE.configs()["vit"].optimizer.steps
    assert kept[-1] == step
    assert entries[-1]["step"] == SMOKE.configs()["vit"].optimizer.steps
    for variant in ("vit", "vit-phase_lock"):
        found = RunFolder(out / variant / "seed0")
        assert found.complete(SMOKE.measures)
        assert_close_weights(found, RunFolder(alone / variant / "seed0"))


@pytest.mark.nightly
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra cluster")
def test_study_on_a_cluster_survives_the_loss_of_a_machine(tmp_path: Path, alone: Path) -> None:
    """Two nodes of Ray on this machine. The node of a job that trains is killed: the job continues
    on the other node, and the weights are those of one process, bit for bit."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        out = tmp_path / "runs"
        options = ("--cluster", cluster.address, "--out", str(out))
        study = subprocess.Popen(
            [sys.executable, "-m", "experiments", *WORDS, *options], cwd=ROOT, env=ENVIRONMENT
        )
        run = RunFolder(out / "vit" / "seed0")
        wait_for_checkpoint(run, study)
        node = parent_of(holder_of(run.path / ".lock"))
        assert b"raylet" in Path(f"/proc/{node}/cmdline").read_bytes()
        os.kill(node, signal.SIGKILL)
        assert study.wait(60 * MINUTES) == 0
    finally:
        cluster.shutdown()
    for variant in ("vit", "vit-phase_lock", "vit-then-phase_lock"):
        found, expected = (RunFolder(one / variant / "seed0") for one in (out, alone))
        assert found.complete(SMOKE.measures)
        assert found.weights.read_bytes() == expected.weights.read_bytes()


def parent_of(process: int) -> int:
    """The process that started a process: of a job of Ray, its node."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def holder_of(path: Path) -> int:
    """The process that has a file open."""
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if entry.readlink() == path:
                return int(entry.parts[2])
        except OSError:  # it ended, or belongs to somebody else
            continue
    raise AssertionError(f"nobody has {path} open")


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parallel: expected one of"):
        SMOKE.run(StudyOptions(parallel="both"))
    with pytest.raises(ValueError, match="minutes: expected none with a cluster"):
        SMOKE.run(StudyOptions(cluster="local", minutes=1.0))


def test_parts_of_batches_are_those_of_the_options() -> None:
    chosen = SMOKE._chosen(StudyOptions(accumulate=4))
    assert {run.execution.accumulate for run in chosen.configs().values()} == {4}
    with pytest.raises(ValueError, match=r"optimizer\.batch_size: expected a multiple of 3"):
        SMOKE._chosen(StudyOptions(accumulate=3)).configs()
    assert SMOKE._chosen(StudyOptions()) is SMOKE
