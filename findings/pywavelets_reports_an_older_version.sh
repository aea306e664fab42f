#!/usr/bin/env bash
# PyWavelets 1.9.0: the package says that it is version 1.8.0.
#
# Versions: PyWavelets 1.9.0 (the wheel of PyPI), numpy 2.4.6, Python 3.11, Linux.
# Input: pywt.__version__, and importlib.metadata.version("PyWavelets").
# Expected: the same text.
# Seen: "1.8.0" and "1.9.0". A program that asks pywt.__version__ for a feature of 1.9, or writes it
# into a record of results, gets the release before. (The wheel of 1.10.0, for Python 3.12 and later,
# has "1.8.0" in pywt/version.py as well.) Ask the installed distribution instead.
#
# Output seen:
#   pywt.__version__: 1.8.0
#   installed distribution: 1.9.0
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --only-binary=:all: numpy==2.4.6 PyWavelets==1.9.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import pywt

print(f"pywt.__version__: {pywt.__version__}")
print(f"installed distribution: {version('PyWavelets')}")
sys.exit(0 if (pywt.__version__, version("PyWavelets")) == ("1.8.0", "1.9.0") else 1)
PYTHON
