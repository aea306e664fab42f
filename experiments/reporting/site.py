"""Build what the docs show from the records: ``python -m experiments.reporting.site``.

The figures that pages show, the page of the audit, and the models and photographs of the Shift
Explorer, all in ``docs/_generated``. None of it is in git. ``make docs`` runs this before Sphinx.
What has the same records and sources as before is not made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from experiments.claims.claim import Claim
from experiments.claims.ledger import CLAIMS
from experiments.claims.page import claim_figure
from experiments.core.code import ROOT
from experiments.core.records import RECORDS, load_record, read_json, write_json
from experiments.core.style import figure_style, save_figure
from experiments.core.usage import run_command
from experiments.explorer.assets import write_model, write_photographs
from experiments.explorer.choice import MODELS, ModelChoice
from experiments.explorer.store import STORE
from experiments.reporting.study_figures import study_figures
from experiments.reporting.token_pictures import write_token_pictures
from wavevit.auditing.images import load_pictures, window_side
from wavevit.auditing.report import AuditReport
from wavevit.checks import fail
from wavevit.files import check_output_folder
from wavevit.progress import in_steps

GENERATED = ROOT / "docs" / "_generated"
_EXPERIMENTS, _LIBRARY = ROOT / "experiments", ROOT / "wavevit"
_EXPLORER = Path("static") / "explorer"
_PACKAGES = ("matplotlib", "numpy", "scikit-image", "pillow")


@dataclass(frozen=True)
class Product:
    """Files that follow from records and sources.

    Attributes:
        name: of the product.
        inputs: files and folders of Python sources that it depends on.
        make: writes the files into a folder and returns their paths.
        packages: that it depends on as well.
    """

    name: str
    inputs: Sequence[Path]
    make: Callable[[Path], Sequence[Path]]
    packages: Sequence[str] = _PACKAGES

    def digest(self) -> str:
        """Of everything that the files depend on."""
        digest = hashlib.sha256()
        for package in self.packages:
            digest.update(f"{package} {version(package)}\n".encode())
        for path in self.inputs:
            for file in sorted(path.rglob("*.*")) if path.is_dir() else [path]:
                if file.suffix in (".py", ".j2") or file == path:
                    digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
        return digest.hexdigest()


def shown_figures() -> dict[str, set[str]]:
    """The studies' figures that a page of the docs refers to, by the study's record."""
    found: dict[str, set[str]] = {}
    for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("*/*.md")]:
        for record, name in re.findall(r"_generated/figures/(\w+)/(\w+)\.png", page.read_text()):
            found.setdefault(record, set()).add(name)
    found.pop("claims", None)
    return found


def _write_study(name: str, wanted: Collection[str], folder: Path) -> list[Path]:
    """The figures of a recorded study that pages show; its report has the others."""
    summary = load_record(f"{name}/summary.json")
    seen = RECORDS / name / "pictures.json"
    pictures = read_json(seen) if seen.exists() else None
    target = folder / "figures" / name
    with figure_style():
        drawn = [one for one in study_figures(summary, pictures) if one.name in wanted]
        for figure in drawn:
            save_figure(figure.draw(), target, figure.name, (".png",))
    missing = set(wanted) - {figure.name for figure in drawn}
    if missing:
        fail("pages", f"figures of the record {name}", ", ".join(sorted(missing)))
    return [target / f"{figure.name}.png" for figure in drawn]


def _write_claim(claim: Claim, folder: Path) -> list[Path]:
    with figure_style():
        figure = claim_figure(claim)
        if figure is None:
            return []
        save_figure(figure, folder / "figures" / "claims", claim.name, (".png",))
    return [folder / "figures" / "claims" / f"{claim.name}.png"]


def _write_audit(folder: Path) -> list[Path]:
    """The page of the recorded audit; its pictures are the bundled ones, cut as they were."""
    record = read_json(RECORDS / "audit" / "audit.json")
    size = max(entry["size"] for entry in record["models"])
    pictures = load_pictures(None, record["samples"]["pictures"], window_side(size))
    page = folder / "static" / "reports" / "audit.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    AuditReport(record, pictures.windows(size)[0]).to_html(page)
    return [page]


def _write_model(choice: ModelChoice, folder: Path) -> list[Path]:
    return [write_model(choice, folder / _EXPLORER)]


def products() -> Iterator[Product]:
    """Everything that the docs show and git does not hold."""
    core, data = _EXPERIMENTS / "core", _LIBRARY / "data"
    drawing = [core, _EXPERIMENTS / "reporting", _EXPERIMENTS / "templates", data]
    drawing += [_LIBRARY / "auditing" / "style.py", _LIBRARY / "measure"]
    for name, wanted in sorted(shown_figures().items()):
        record = [RECORDS / name / file for file in ("summary.json", "pictures.json")]
        inputs = [*(path for path in record if path.exists()), *drawing]
        made = partial(_write_study, name, wanted)
        yield Product(f"study {name}: {', '.join(sorted(wanted))}", inputs, made)
    for claim in CLAIMS:
        names = (*claim.records, *claim.optional)
        held = [RECORDS / name for name in names if (RECORDS / name).exists()]
        inputs = [*held, core, _EXPERIMENTS / "claims"]
        yield Product(f"claim {claim.id}", inputs, partial(_write_claim, claim))
    audit = (RECORDS / "audit" / "audit.json", _LIBRARY / "auditing", data)
    yield Product("audit", audit, _write_audit)
    tokens = [_EXPERIMENTS / "reporting" / "token_pictures.py", core / "style.py", data]
    tokens += [_LIBRARY / name for name in ("pictures.py", "layers", "wavelets", "measure")]
    yield Product("pictures of tokens", tokens, write_token_pictures, (*_PACKAGES, "torch"))
    yield from explorer_products()


def explorer_products() -> Iterator[Product]:
    """Scripts of the Shift Explorer."""
    own, data = _EXPERIMENTS / "explorer", _LIBRARY / "data"
    yield Product("photographs", (own, data), lambda folder: write_photographs(folder / _EXPLORER))
    for choice in MODELS:
        inputs = (STORE, own, _EXPERIMENTS / "core", _LIBRARY)
        yield Product(f"model {choice.name}", inputs, partial(_write_model, choice), ("torch",))


def build(folder: Path = GENERATED, chosen: Iterable[Product] | None = None) -> list[str]:
    """Makes what is not there or not up to date, of all products or of these; returns the names of
    what was made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes would do the same work twice
        listed = folder / "products.json"
        known = read_json(listed) if listed.exists() else {}
        listing = products() if chosen is None else chosen
        for product in in_steps(listing, lambda product: product.name):
            digest = product.digest()
            held = known.get(product.name, {"digest": "", "files": []})
            there = all((folder / name).exists() for name in held["files"])
            if held["digest"] == digest and there:
                continue
            files = [path.relative_to(folder).as_posix() for path in product.make(folder)]
            known[product.name] = {"digest": digest, "files": files}
            write_json(listed, known)
            made.append(product.name)
    return made


@dataclass
class Options:
    """Build figures, reports and the explorer's models from the records."""

    out: Path = GENERATED


def _build(options: Options) -> None:
    check_output_folder("out", options.out)
    made = build(options.out)
    print(f"{options.out}: made {', '.join(made) if made else 'nothing, all is up to date'}")


if __name__ == "__main__":
    run_command("experiments.reporting.site", Options, _build)
