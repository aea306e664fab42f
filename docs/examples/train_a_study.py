"""A study from nothing: two variants that differ in one field, trained, measured, compared.

Run it in the repository's root. The models are tiny and see forty steps: the figures mean nothing.
"""

import tempfile
from pathlib import Path

from experiments.core.folder import StudyFolder
from experiments.core.markdown import markdown_table
from experiments.core.summarize import summarize
from experiments.run import Options, run_study
from experiments.studies import get_study

with tempfile.TemporaryDirectory() as folder:
    options = Options(study="smoke", seeds=(0,), out=Path(folder), device="cpu", jobs=1)
    failed = run_study(options)  # killed, the same call goes on where it was
    summary = summarize(get_study("smoke"), StudyFolder(Path(folder), "smoke"))

print(f"{failed} runs failed")
print(markdown_table(summary), end="")
