"""Train a study: two variants that differ in one field are trained, measured and compared.

Run it in the repository's root. The models are tiny and have forty training steps, so the figures
mean nothing.
"""

import tempfile
from pathlib import Path

from experiments.core.folder import StudyFolder
from experiments.core.markdown import markdown_table
from experiments.core.study import StudyOptions
from experiments.core.summarize import summarize
from experiments.studies import get_study

with tempfile.TemporaryDirectory() as folder:
    study = get_study("smoke")
    options = StudyOptions(seeds=(0,), out=Path(folder), device="cpu", jobs=1)
    failed = study.run(options)  # after a stop, the same call resumes
    summary = summarize(study, StudyFolder(Path(folder), "smoke"))

print(f"{failed} runs failed")
print(markdown_table(summary), end="")
