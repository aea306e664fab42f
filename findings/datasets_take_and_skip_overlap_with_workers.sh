#!/usr/bin/env bash
# datasets 5.2.0: `take(n)` and `skip(n)` of a stream are other examples in a DataLoader with workers
# than without, so that a validation part split off by them is trained on.
#
# Versions: datasets 5.2.0, torch 2.13.0 and numpy 2.4.6, Python 3.11, Linux, CPU.
# Input: a stream of the numbers 0 to 23 in four shards of six. validation = stream.take(10) and
# train = stream.skip(10), the split that the documentation shows.
# Expected: take(10) is 0 to 9 and skip(10) is 10 to 23, by their documentation "the first n
# elements" and "skips the first n elements", for every number of workers and ranks.
# Seen: with workers, or after `split_dataset_by_node`, each worker or rank takes or skips a share of
# n from its own shards. Two workers skip 0 to 4 and 6 to 10, and give 5. So a training with workers
# and a validation in the main process share examples, and two runs with other numbers of workers or
# ranks hold out other examples. There is no warning.
# Likely cause: TakeExamplesIterable and SkipExamplesIterable share n among the workers
# (split_when_sharding=True), and a worker knows its own shards only.
# Way around: hold out whole shards or a part of its own, or `filter` by a property of the example.
#
# Output seen:
#   validation, no workers: 0 to 9
#   train, no workers: 0 of 10 held-out examples
#   train, 2 workers: 1 of 10 held-out examples
#   train, 4 workers: 4 of 10 held-out examples
#   train, 2 ranks: 1 of 10 held-out examples
#
# Exits with 0 if the behaviour is as above, with 1 if it changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet torch==2.13.0 datasets==5.2.0 numpy==2.4.6
cat > "$folder/check.py" <<'PYTHON'
from datasets import Dataset
from datasets.distributed import split_dataset_by_node
from torch.utils.data import DataLoader

if __name__ == "__main__":
    stream = Dataset.from_dict({"number": list(range(24))}).to_iterable_dataset(num_shards=4)
    validation, train = stream.take(10), stream.skip(10)
    held_out = [example["number"] for example in validation]
    assert held_out == list(range(10)), held_out
    print("validation, no workers: 0 to 9")
    seen = {"no workers": [example["number"] for example in train]}
    for workers in (2, 4):
        loader = DataLoader(train, batch_size=None, num_workers=workers)
        seen[f"{workers} workers"] = [int(example["number"]) for example in loader]
    ranks = [split_dataset_by_node(train, rank, 2) for rank in range(2)]
    seen["2 ranks"] = [example["number"] for part in ranks for example in part]
    for name, numbers in seen.items():
        print(f"train, {name}: {len(set(numbers) & set(held_out))} of 10 held-out examples")
PYTHON
cd "$folder"
"$folder/venv/bin/python" -W ignore check.py | tee seen
cat > expected <<'TEXT'
validation, no workers: 0 to 9
train, no workers: 0 of 10 held-out examples
train, 2 workers: 1 of 10 held-out examples
train, 4 workers: 4 of 10 held-out examples
train, 2 ranks: 1 of 10 held-out examples
TEXT
cmp --silent seen expected
