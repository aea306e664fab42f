"""Is the built site whole, and does it need a network? ``python docs/check_site.py FOLDER``.

Run by `make docs` behind Sphinx. Checks every page: nothing is loaded from another host; search
works from files (the index and what reads it are there); every public name has an entry in the
inventory.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

# What a browser fetches by itself; a link that a reader may follow is none of these.
LOADS = {
    ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"),
    ("source", "srcset"), ("img", "srcset"), ("object", "data"), ("embed", "src"),
}  # fmt: skip
RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect"}
FETCHED_BY_STYLES = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])([^'\")]+)")
REMOTE = re.compile(r"^\s*(?:https?:)?//")
MODULES = (
    "wavevit", "wavevit.wavelets", "wavevit.wavelets.compat", "wavevit.alignment", "wavevit.models",
    "wavevit.measure", "wavevit.testing", "wavevit.interop.timm", "wavevit.interop.hub",
    "wavevit.data", "wavevit.auditing", "wavevit.layers.tokenizers", "wavevit.layers.mixers",
    "wavevit.layers.downsample", "wavevit.layers.positions", "wavevit.pictures",
)  # fmt: skip


class Loaded(HTMLParser):
    """Collects what a page fetches from another host."""

    def __init__(self) -> None:
        super().__init__()
        self.remote: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        for name, value in values.items():
            loads = (tag, name) in LOADS
            relations = set((values.get("rel") or "").split())
            loads = loads or (tag == "link" and name == "href" and bool(relations & RELATIONS))
            if loads and value and REMOTE.match(value):
                self.remote.append(value)


def remote_loads(folder: Path) -> list[str]:
    """Pages, styles and scripts that name another host to fetch from."""
    found = []
    for page in sorted(folder.rglob("*.html")):
        reader = Loaded()
        reader.feed(page.read_text())
        found += [f"{page.relative_to(folder)}: {address}" for address in reader.remote]
    for style in sorted(folder.rglob("*.css")):
        for address in FETCHED_BY_STYLES.findall(style.read_text()):
            if REMOTE.match(address):
                found.append(f"{style.relative_to(folder)}: {address}")
    return found


def missing_search(folder: Path) -> list[str]:
    """Files that search needs, on a machine without a network."""
    needed = ("search.html", "searchindex.js", "_static/searchtools.js", "_static/language_data.js")
    missing = [f"no {name}" for name in needed if not (folder / name).exists()]
    index = folder / "searchindex.js"
    if index.exists() and "phase_lock" not in index.read_text():
        missing.append("searchindex.js does not know the word phase_lock")
    return missing


def missing_names(folder: Path) -> list[str]:
    """Public names without an entry in the inventory, under any module that documents them."""
    from sphinx.util.inventory import InventoryFile  # the rest needs no Sphinx

    inventory = InventoryFile.loads((folder / "objects.inv").read_bytes(), uri="")
    kinds = [kind for kind in inventory.data if kind.startswith("py:")]
    known = {name for kind in kinds for name in inventory.data[kind]}
    last = {name.rpartition(".")[2] for name in known}
    return [
        f"no entry for {module}.{name}"
        for module in MODULES
        for name in import_module(module).__all__
        if f"{module}.{name}" not in known and name not in last
    ]


def main() -> None:
    """Says what is wrong; exits with 1 if anything is."""
    folder = Path(sys.argv[1])
    wrong = [*remote_loads(folder), *missing_search(folder), *missing_names(folder)]
    print("\n".join(wrong) or f"{folder}: whole, and nothing is loaded from a network")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
