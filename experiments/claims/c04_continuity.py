"""C4: is ViT continuous all the same?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.claims.claim import Claim, Finding
from experiments.claims.measured import between, values_table
from experiments.claims.verdict import Verdict

_RECORD = "continuity/measurement.json"
_CONTROL = "vit + polyphase"
_PATHS = {"subpixel": "one pixel of shift", "line": "to another photograph"}


def _find(records: Mapping[str, Any]) -> Finding:
    record = records[_RECORD]
    found = record["subjects"]
    vit, control = found["vit"], found[_CONTROL]
    effects = []
    for path, how in _PATHS.items():
        jumps_of = (control[path]["jump"], "vit", vit[path]["jump"])
        effects.append(between(_CONTROL, *jumps_of, f"largest jump, {how}", predicted="higher"))
    shown = [
        between(name, own["condition"], "vit", vit["condition"], "condition number", digits=1)
        for name, own in found.items()
        if name not in ("vit", _CONTROL)
    ]
    jumps = {name: max(max(own[path]["jumped"]) for path in _PATHS) for name, own in found.items()}
    continuous = [name for name, share in jumps.items() if share == 0]
    if jumps["vit"] > 0:
        verdict = Verdict("refuted", "the scan finds a jump of the plain ViT")
    elif jumps[_CONTROL] == 0:
        verdict = Verdict("inconclusive", "the scan does not see the control jump either")
    else:
        verdict = Verdict("supported", "no jump on any path that was scanned; the control jumps")
    columns = ["condition number", *(f"jumps, share: {how}" for how in _PATHS.values())]
    columns += [f"largest jump, of ‖f‖: {how}" for how in _PATHS.values()]
    rows = {
        name: [
            own["condition"],
            *(own[path]["jumped"] for path in _PATHS),
            *(own[path]["jump"] for path in _PATHS),
        ]
        for name, own in found.items()
    }
    norms = ", ".join(f"{norm:.2f}" for norm in record["patch_embedding_norm"])
    names = ", ".join(f"`{name}`" for name in continuous)
    body = (
        values_table("model", columns, rows, 2),
        f"No jump on any path: {names}. The patch embedding is linear: its largest singular "
        f"value (seed by seed {norms}) bounds its response to any change.",
    )
    return Finding(verdict, (*effects, *shown), body)


CLAIM = Claim(
    id="C4",
    sentence=(
        "Yet it is continuous: small pixel change, small embedding change (linear at patchify; "
        "bounded weights)."
    ),
    records=(_RECORD,),
    find=_find,
    alt="Largest jumps of the control over the plain ViT, and condition numbers of the hybrids",
)
