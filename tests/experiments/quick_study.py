"""A study that trains in seconds."""

from __future__ import annotations

import dataclasses

from experiments.core.study import Study
from experiments.studies.smoke import SMOKE


def quick(name: str = "smoke", lr: float | None = None) -> Study:
    """The smoke study in six steps; `lr` spoils its second variant."""

    def variants():
        configs = SMOKE.variants()
        short = {
            key: dataclasses.replace(
                run, optimizer=dataclasses.replace(run.optimizer, steps=6, warmup_steps=1)
            )
            for key, run in configs.items()
        }
        if lr is not None:
            spoiled = short["vit + phase_lock"]
            short["vit + phase_lock"] = dataclasses.replace(
                spoiled, optimizer=dataclasses.replace(spoiled.optimizer, lr=lr, warmup_steps=0)
            )
        return short

    contrasts = SMOKE.contrasts if lr is None else ()
    return dataclasses.replace(SMOKE, name=name, variants=variants, contrasts=contrasts)
