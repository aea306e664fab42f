"""Studies, one a module; the docstring of each is its lab note.

A module holds one `experiments.core.study.Study`; nothing else lists it.
"""

from __future__ import annotations

from experiments.core.registry import find_experiment, found_in
from experiments.core.study import Study
from wavevit.checks import fail

STUDIES = found_in(__name__, Study)


def get_study(name: str) -> Study:
    """The study of that name, ours or a user's.

    Raises:
        ValueError: an unknown name; the nearest ones are offered.
    """
    found = find_experiment("run", name)
    if not isinstance(found, Study):
        fail("name", "a study", f"the {found.kind} {name!r}")
    return found
