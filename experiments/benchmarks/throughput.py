"""Images per second of models on a GPU, each compiled and run in a process of its own.

Compiling takes most of a run, so all processes compile at the same time, one compiler thread each;
then the parent asks them in turn, one pass after another, and the GPU is never shared. Passes are
queued ahead, so that what is timed is the GPU and not how fast a host launches. Between its
turns a process gives its cached memory back. A model that does not compile, or not in time, is
named with the reason and the others are measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import torch
from torch import nn

from experiments.benchmarks.interleaved import clock_of, times
from experiments.core.worker import Complaint, Worker
from wavevit.measure import peak_activation_bytes

Builder = Callable[[int], nn.Module]  # takes the side of the image; picklable

# Of a turn. Two passes of a few hundred launches each fit into a GPU's queue, and 200 million
# cycles, a tenth of a second, are time to fill it even where a host launches slowly.
_UNTIMED, _PASSES, _AHEAD = 2, 2, 200_000_000


def _serve(
    build: Builder, side: int, batch: int, device: str, compiled: bool, pipe: Connection
) -> None:
    """Sends the peak memory of a pass, or a complaint; then seconds of a pass, each time asked."""
    torch.set_num_threads(1)
    try:
        torch._inductor.config.compile_threads = 1  # the other processes have the other cores
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(batch, 3, side, side, generator=generator).to(device, torch.bfloat16)
        model: Callable[..., Any] = build(side).to(device, torch.bfloat16).eval()
        if compiled:
            model = torch.compile(model, dynamic=False)
        with torch.no_grad():
            for _ in range(_UNTIMED):
                model(images)
            pipe.send(peak_activation_bytes(model, images))
            clock = clock_of(images.device, _AHEAD)
            while True:
                _wait(device)
                if device != "cpu":
                    torch.cuda.empty_cache()
                pipe.recv()
                for _ in range(_UNTIMED):
                    model(images)
                _wait(device)
                pipe.send(clock(lambda: model(images), _PASSES))
    except EOFError:
        return
    except Exception as error:
        pipe.send(Complaint.of(error))


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _seconds(worker: Worker) -> Callable[[], float]:
    """Asks a process for the seconds of one pass."""

    def ask() -> float:
        answer = worker.ask(None)
        if isinstance(answer, Complaint):
            raise RuntimeError(answer)
        return float(answer)

    return ask


def throughput(
    models: Mapping[str, Builder],
    batch: int,
    sides: Sequence[int],
    save: Callable[[list[dict[str, Any]]], None],
    *,
    device: str = "cuda",
    compiled: bool = True,
    rounds: int = 15,
    limit: float = 900.0,
    settle: float = 0.0,
) -> list[dict[str, Any]]:
    """Images per second and peak memory in bfloat16, interleaved.

    Args:
        models: picklable builders by name; the first is what the others are compared with.
        batch: images at once.
        sides: of the images, px.
        save: called with the rows so far, after every size.
        device: of torch.
        compiled: whether by ``torch.compile``.
        rounds: in which every model is asked once, for two passes.
        limit: seconds that compiling may take in all.
        settle: seconds between the last compiler and the first pass that is timed, in which other
            work on the machine can be paused.

    Returns:
        A row for each size and model: ``model``, ``side``, ``batch`` and either ``error`` or
        ``images_per_second`` (median over rounds), ``times_reference`` (median of the ratios
        inside a round) and ``peak_bytes`` (of activations, one pass).
    """
    begin = time.perf_counter()
    running = {
        (side, name): Worker(_serve, build, side, batch, device, compiled)
        for side in sides
        for name, build in models.items()
    }
    rows: list[dict[str, Any]] = []
    try:
        # All of them before the first is timed: compilers would disturb.
        peaks = {
            key: _waited(f"{key[1]} at {key[0]} px", worker, begin, limit)
            for key, worker in running.items()
        }
        for key, worker in running.items():
            if isinstance(peaks[key], Complaint):
                worker.close()
        print(
            f"{time.perf_counter() - begin:4.0f} s  compiled, or over the time; timing",
            flush=True,
        )
        time.sleep(settle)
        for side in sides:
            ready = [name for name in models if not isinstance(peaks[side, name], Complaint)]
            asked = {name: _seconds(running[side, name]) for name in ready}
            seconds = times(asked, rounds) if ready else {}
            rows += [_row(name, side, batch, peaks[side, name], seconds, models) for name in models]
            print(f"{side} px timed after {time.perf_counter() - begin:.0f} s", flush=True)
            save(rows)
            for name in ready:
                running[side, name].close()
    finally:
        for worker in running.values():
            worker.close()
    return rows


def _waited(label: str, worker: Worker, begin: float, limit: float) -> int | Complaint:
    """Bytes of the peak of a pass, once it is compiled, or why there are none."""
    peak: int | Complaint = worker.answer(begin + limit - time.perf_counter())
    said = peak if isinstance(peak, Complaint) else f"{peak / 2**30:.2f} GiB"
    print(f"{time.perf_counter() - begin:4.0f} s  {label}: {said}", flush=True)
    return peak


def _row(
    name: str,
    side: int,
    batch: int,
    peak: int | Complaint,
    seconds: Mapping[str, Sequence[float]],
    models: Mapping[str, Builder],
) -> dict[str, Any]:
    row: dict[str, Any] = {"model": name, "side": side, "batch": batch}
    if name not in seconds:
        return {**row, "error": str(peak)}
    reference = seconds.get(next(iter(models)))
    if reference is not None:
        ratios = [theirs / own for own, theirs in zip(seconds[name], reference, strict=True)]
        row["times_reference"] = round(median(ratios), 3)
    row["images_per_second"] = round(batch / median(seconds[name]), 1)
    return {**row, "peak_bytes": peak}
