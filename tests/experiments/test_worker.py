"""A process of its own that answers, complains, is late or dies."""

from __future__ import annotations

from experiments.core.worker import Complaint, Worker
from tests.worker_here import echo


def test_worker_answers_fails_times_out_and_dies() -> None:
    worker = Worker(echo)
    try:
        assert worker.ask((1, "two")) == (1, "two")
        said = worker.ask("complain")
        assert isinstance(said, Complaint)
        assert said == "RuntimeError: no such thing"
        assert not isinstance(worker.ask("words"), Complaint)
        assert worker.answer(0.0) == Complaint("not ready in time")
        assert worker.answer(-1.0) == Complaint("not ready in time")
        assert worker.ask("die") == Complaint("its process ended")
        assert worker.ask("anything") == Complaint("its process ended")
    finally:
        worker.close()


def test_an_idle_process_ends_by_itself() -> None:
    worker = Worker(echo)
    assert worker.ask(1) == 1
    worker.close(patience=60.0)
    assert worker.process.exitcode == 0  # and not the number of a signal


def test_a_process_is_ended_in_the_middle_of_its_work() -> None:
    worker = Worker(echo)
    worker.send("be silent")
    worker.close()
    assert not worker.process.is_alive()
