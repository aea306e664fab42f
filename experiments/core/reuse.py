"""What another study has trained and measured already is not trained and measured again.

A run follows from its configuration, the code and the machine, to the bit. Where all three are the
same, so are its weights and its measures, whichever study asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.core.folder import RunFolder, StudyFolder
from experiments.core.job import Job
from experiments.core.records import read_json, write_json


def reuse_equal_runs(
    jobs: Sequence[Job], folder: StudyFolder, environment: Mapping[str, Any]
) -> int:
    """Gives jobs that are not trained weights and measures of equal runs of other studies.

    A second folder of the *same* study gives none: repeating a study means training it again. A job
    that keeps weights on the way (`Job.snapshots`) takes none: only a training has them.

    Args:
        jobs: from `plan`.
        folder: of the study; others are looked for beside it.
        environment: what the runs of now would write: a donor must have been trained in the same,
            the digest of the code included.

    Returns:
        How many jobs took weights. What a donor was not measured for is left to do.
    """
    waiting = [
        job
        for job in jobs
        if job.weights_of is None and not job.snapshots and not job.folder.weights.exists()
    ]
    if not waiting:
        return 0
    donors = _donors(folder, environment)
    count = 0
    for job in waiting:
        donor = donors.get(job.folder.config.read_text())
        if donor is None or not job.folder.take():  # another command works on it now
            continue
        try:
            with job.folder.locked():
                if job.folder.weights.exists():  # trained since the list was made
                    continue
                job.folder.take_weights(donor)
                write_json(job.folder.environment, dict(environment))  # the donor's is the same
                if donor.result.exists():
                    result = read_json(donor.result)
                    nothing = dict.fromkeys(result["seconds"], 0.0)  # that it took here
                    write_json(job.folder.result, result | {"seconds": nothing})
            count += 1
        finally:
            job.folder.release()
    return count


def _donors(folder: StudyFolder, environment: Mapping[str, Any]) -> dict[str, RunFolder]:
    """Trained runs of the studies beside `folder`, by the text of their configuration."""
    wanted = json.loads(json.dumps(environment))
    others = [
        identity.parent
        for identity in sorted(folder.path.parent.glob("*/study.json"))
        if read_json(identity)["study"] != folder.study
    ]
    found = {}
    for path in (path for other in others for path in sorted(other.glob("*/seed*"))):
        run = RunFolder(path)
        trained = run.weights.exists() and run.environment.exists() and not run.origin.exists()
        if trained and read_json(run.environment) == wanted:
            found[run.config.read_text()] = run
    return found
