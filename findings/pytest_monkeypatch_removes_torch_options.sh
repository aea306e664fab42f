#!/usr/bin/env bash
# pytest 9.2.0: after `monkeypatch.setattr` on one of torch's configuration modules the option no
# longer exists, and later compilations in the same process fail.
#
# Versions: pytest 9.2.0 beside pytest 9.1.1, torch 2.13.0, Python 3.11, Linux, CPU.
# Input: `monkeypatch.setattr(torch._inductor.config, "compile_threads", 1)`, then `undo()`, which is
# what pytest does when a test ends.
# Expected: the option has the value that it had before.
# Seen: with pytest 9.1.1 it has. With 9.2.0 reading the option raises AttributeError "does not
# exist", and `torch.compile` fails with it in every later test of the process, in any file.
# The same for the options of `torch._dynamo.config` and `torch._functorch.config`.
# Likely cause: since 9.2.0 pytest remembers only what is in the `__dict__` of an object and deletes
# the attribute where nothing was there. torch's modules keep their options elsewhere and answer by
# `__getattr__`; for them `del` means that the option is hidden.
# Way around: `with torch._inductor.config.patch(compile_threads=1):`, torch's own.
#
# Output seen:
#   pytest 9.1.1, monkeypatch: as before
#   pytest 9.1.1, config.patch: as before
#   pytest 9.2.0, monkeypatch: AttributeError
#   pytest 9.2.0, config.patch: as before
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/check.py" <<'PYTHON'
import pytest
import torch._dynamo.config
import torch._functorch.config
import torch._inductor.config

# A module, one of its options, and another value of it.
OPTIONS = (
    (torch._inductor.config, "compile_threads", 1),
    (torch._dynamo.config, "verbose", True),
    (torch._functorch.config, "debug_partitioner", True),
)


def by_pytest(module, name, value):
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(module, name, value)
    monkeypatch.undo()


def by_torch(module, name, value):
    with module.patch({name: value}):
        pass


def outcome(change):
    found = set()
    for module, name, value in OPTIONS:
        before = getattr(module, name)
        change(module, name, value)
        try:
            found.add("as before" if getattr(module, name) == before else "changed")
        except AttributeError:
            found.add("AttributeError")
            setattr(module, name, before)
    return " and ".join(sorted(found))


# torch's own first: nothing was removed then.
patched, monkeypatched = outcome(by_torch), outcome(by_pytest)
print(f"pytest {pytest.__version__}, monkeypatch: {monkeypatched}")
print(f"pytest {pytest.__version__}, config.patch: {patched}")
PYTHON
cd "$folder"
for version in 9.1.1 9.2.0; do
  "$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.4.6 "pytest==$version"
  "$folder/venv/bin/python" -W ignore check.py
done | tee seen
cat > expected <<'TEXT'
pytest 9.1.1, monkeypatch: as before
pytest 9.1.1, config.patch: as before
pytest 9.2.0, monkeypatch: AttributeError
pytest 9.2.0, config.patch: as before
TEXT
cmp --silent seen expected
