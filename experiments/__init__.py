"""Studies: train, measure, compare, record. Imports wavevit, never the reverse."""

from wavevit.checks import require_extra

# Without the extra, the first import names it.
for _module in ("tyro", "cattrs"):
    require_extra(_module, "experiments")
