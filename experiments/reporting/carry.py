"""The page "How far does it carry?": generated parts, from records of `carry` and `carry_again`."""

from __future__ import annotations

from experiments.claims.c24_other_data import CLAIM, answer, carry_table, rate_table
from experiments.claims.records import records_of
from experiments.core.experiment import DOCS
from experiments.core.marked import marked
from experiments.studies.carry import CARRY
from experiments.studies.carry_again import CARRY_AGAIN

PAGE = DOCS / "how-far-does-it-carry.md"
_NO_RECORD = "There is no record yet."
_RESULTS = (
    "Means with 95 % intervals over seeds. `vit` is the plain ViT with patches, `peak rate` the "
    "highest learning rate of the training, `time` the time of a forward pass as a multiple of the "
    "plain ViT's. The [glossary](glossary.md) explains the other columns."
)
_RATES = (
    "Top-1 on validation pictures in %, for each peak learning rate. The rate that was taken is "
    "bold:"
)


def commands() -> str:
    """The commands of all data sets, in their order."""
    pairs = [*CARRY.data_commands().values(), *CARRY_AGAIN.data_commands().values()]
    lines = [line for pair in pairs for line in pair.split(" && ")]
    return "\n".join(["```console", *lines, "```"])


def page_with(page: str) -> str:
    """The page with its answer, tables and commands."""
    records = records_of(CLAIM)
    parts = {"answer": answer(records), "commands": commands()}
    if records is None:
        parts |= dict.fromkeys(("results", "rates"), _NO_RECORD)
    else:
        parts["results"] = f"{_RESULTS}\n\n{carry_table(records)}"
        parts["rates"] = f"{_RATES}\n\n{rate_table(records)}"
    for name, text in parts.items():
        page = marked(page, name, text)
    return page
