"""`AuditReport`: result of an audit as a table, as JSON and as an HTML page."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from wavevit.auditing.cells import cell, normalized
from wavevit.auditing.metrics import METRICS, Bound
from wavevit.auditing.verdicts import pictures
from wavevit.checks import check_choice, fail
from wavevit.files import write_whole

__all__ = ["AuditReport"]


@dataclass(frozen=True, repr=False)
class AuditReport:
    """Result of an audit: table, JSON and HTML page.

    Attributes:
        record: all results, in JSON types; the page "Audit your model" describes the keys.
        picture: (C, W, W) the picture whose tokens the page shows.
    """

    record: dict[str, Any]
    picture: Tensor

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, the audited one first."""
        return tuple(entry["name"] for entry in self.record["models"])

    def __repr__(self) -> str:
        return f"AuditReport(models={list(self.models)})"

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        """What a notebook shows: the page, in a frame so that its styles stay inside."""
        page = html.escape(self.to_html())
        return f'<iframe srcdoc="{page}" style="width:100%;height:40em;border:0"></iframe>'

    def metrics(self, model: str | None = None) -> dict[str, float | None]:
        """The main table of one model (the audited one by default): values by metric name.

        The names and units are those of `METRICS`. None: not measured.

        Example:
            >>> import wavevit
            >>> report = wavevit.audit("test_vit", against={"ours": "test_haar_vit"}, quick=True)
            >>> rows = {name: report.metrics(name) for name in report.models}
            >>> rows["ours"]["worst_crop"] is None  # left out of the quick audit
            True
        """
        return dict(self._entry(model)["metrics"])

    def sections(self, model: str | None = None) -> dict[str, Any]:
        """The sections of one model (the audited one by default): status, figures, verdict."""
        return self._entry(model)["sections"]

    def _entry(self, model: str | None) -> dict[str, Any]:
        name = self.models[0] if model is None else check_choice("model", model, self.models)
        return self.record["models"][self.models.index(name)]

    def status(self, model: str, section: str) -> str:
        """``"measured"``, ``"not applicable"`` or ``"failed"``."""
        found = self.sections(model)
        return found[check_choice("section", section, found)]["status"]

    def broken(self, bounds: Sequence[Bound]) -> list[str]:
        """One sentence for each bound that the audited model breaks (see `parse_bounds`)."""
        for bound in bounds if isinstance(bounds, Sequence) else [bounds]:
            if not isinstance(bound, Bound):
                fail("bounds", "a sequence of Bound (parse_bounds)", repr(bound))
        return [words for bound in bounds if (words := bound.broken(self.sections()))]

    def table(self) -> str:
        """The main table and the audited model's verdicts, for a terminal."""
        entries = self.record["models"]
        rows = [["", *self.models]]
        for name, metric in METRICS.items():
            arrow = {"high": " ↑", "low": " ↓", "": ""}[metric.better]
            unit = f", {metric.unit}" if metric.unit else ""
            values = [cell(entry["metrics"][name], metric.digits) for entry in entries]
            rows.append([f"{metric.title}{unit}{arrow}", *values])
        if self.record["timings"]["time"]:
            times = self.record["timings"]["time"]
            rows.append(
                [f"time, {self.models[0]} = 1 ↓", *(cell(times[m], 2) for m in self.models)]
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = []
        for row in rows:
            values = [text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join([row[0].ljust(widths[0]), *values]))
        lines.insert(1, "-" * len(lines[0]))
        lines += ["", f"{self.models[0]}:"]
        verdicts: dict[str, list[str]] = {}  # what several sections say is said once
        for name, entry in self.sections().items():
            verdicts.setdefault(entry["verdict"], []).append(name)
        for verdict, names in verdicts.items():
            lines.append(f"  {', '.join(names) + ':':13s} {verdict}")
        for entry in entries:
            lines += ["", f"{entry['name']}:", f"  pictures:     {normalized(entry)}"]
            lines += [f"  note:         {note}" for note in entry["notes"]]
        skipped = self.record["images"]["skipped"]
        if skipped:
            lines += ["", f"{len(skipped)} {pictures(len(skipped))} skipped:"]
            lines += [f"  {item['name']}: {item['reason']}" for item in skipped]
        notes = self.record["images"].get("notes")  # records of earlier versions have none
        if notes:
            lines += ["", "Pictures:", *(f"  {note}" for note in notes)]
        return "\n".join(lines)

    def to_json(self, path: str | Path | None = None) -> str:
        """The record as JSON text; also written to `path`, atomically, if it is given."""
        text = json.dumps(self.record, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
        if path is not None:
            write_whole(Path(path), text.encode(errors="backslashreplace"))  # names not in UTF-8
        return text

    def to_html(self, path: str | Path | None = None) -> str:
        """A self-contained HTML page as text; also written to `path`, as in `to_json`."""
        from wavevit.auditing.page import render_page

        text = render_page(self)
        if path is not None:
            write_whole(Path(path), text.encode(errors="backslashreplace"))  # names not in UTF-8
        return text
