"""Writes the photographs in Debian's package gcompris-qt-data to a folder.

The package (44 MB) holds 115 natural photographs, 32 of them with 1920 x 1080 pixels, and 140 small
ones in five themes, in Qt resource files. Licences are GPL or Creative Commons, file by file: the
package's ``copyright`` is written beside them. Keep the folder outside the repository.

    apt-get download gcompris-qt-data
    python -m experiments.data.gcompris gcompris-qt-data_*.deb ~/photographs
    python -m experiments run tokenizers --photographs ~/photographs
    python -m experiments.data.gcompris gcompris-qt-data_*.deb ~/themes --themes
    python -m experiments run tokenizers --source folder --source-options path=$HOME/themes
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import tyro

from experiments.core.usage import run_command
from experiments.data.debian import package_files
from experiments.data.qt_resources import read_resources
from wavevit.checks import fail
from wavevit.files import check_output_folder, write_whole

_PICTURES = (".webp", ".jpg", ".png")
# By resource file: the folder of the pictures in it, and a folder's name for ours.
_PHOTOGRAPHS = {
    "erase.rcc": "erase/resource",
    "explore_farm_animals.rcc": "explore_farm_animals/resource",
    "explore_monuments.rcc": "explore_monuments/resource",
    "explore_world_animals.rcc": "explore_world_animals/resource",
    "explore_world_music.rcc": "explore_world_music/resource",
}
_THEMES = {"categorization.rcc": "categorization/resource/images"}
_CLASSES = ("fishes", "monuments", "others", "renewable", "tools")
_COPYRIGHT = "usr/share/doc/gcompris-qt-data/copyright"


@dataclass
class Options:
    """Write the photographs of Debian's package gcompris-qt-data to a folder."""

    package: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DEB")]
    """The package: gcompris-qt-data_*.deb."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """A new or empty folder."""
    themes: bool = False
    """The 140 small pictures, a folder for each theme, in place of the photographs."""


def write_photographs(package: Path, out: Path, themes: bool = False) -> int:
    """Writes the pictures; returns their number.

    Args:
        package: the ``.deb`` file.
        out: a new or empty folder.
        themes: the small pictures, a folder for each theme, in place of the photographs.

    Raises:
        ValueError: another package, or a folder that holds something.
    """
    check_output_folder("out", out)
    if out.exists() and any(out.iterdir()):
        fail("out", f"{out} to be a new or empty folder", "files in it")
    wanted, count = _THEMES if themes else _PHOTOGRAPHS, 0
    for name, data in package_files(package):
        resource = PurePosixPath(name).name
        if name == _COPYRIGHT:
            write_whole(out / "copyright", data)
        if resource not in wanted:
            continue
        for file in read_resources(data):
            below = f"gcompris/src/activities/{wanted[resource]}/"
            path = PurePosixPath(file.path)
            if not file.path.startswith(below) or path.suffix not in _PICTURES:
                continue
            own = path.relative_to(below)
            if themes and own.parts[0] not in _CLASSES:
                continue
            folder = out if themes else out / re.sub(r"^explore_|\.rcc$", "", resource)
            # The names are a stranger's: nothing is written outside the folder.
            if ".." in own.parts or own.is_absolute():
                fail("package", "names inside their folder", file.path)
            write_whole(folder / own, file.read())
            count += 1
    if not count:
        fail("package", "gcompris-qt-data_*.deb with its photographs", str(package))
    return count


def _write(options: Options) -> None:
    if not options.package.is_file():
        fail("package", "an existing file gcompris-qt-data_*.deb", repr(str(options.package)))
    print(f"{write_photographs(options.package, options.out, options.themes)} pictures")
    print(f"→ {options.out}")


if __name__ == "__main__":
    run_command("experiments.data.gcompris", Options, _write)
