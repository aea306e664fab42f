"""Are a model's features as good as before? Questions with known answers, put to features alone.

A changed model has features that look like the original's and may still have lost what told classes
apart. A linear probe and nearest neighbours read classes from features without training the model.
Where no labels exist, the photographs themselves are classes: of which one is this crop?
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.measurements.graft.pictures import Labelled
from experiments.measurements.graft.subjects import Classified
from experiments.measurements.retrieval import nearest
from experiments.measurements.ridge import chosen_ridge
from wavevit.grafting.windows import middle
from wavevit.measure import shift_consistency
from wavevit.measure.evaluation import Model, in_batches

NEIGHBOURS = 20


def neighbour_classes(queries: Tensor, gallery: Tensor, known: Tensor, classes: int) -> Tensor:
    """The class (M,) that most of the nearest have: cosine around the gallery's mean.

    Args:
        queries: features (M, D).
        gallery: features (N, D).
        known: classes (N,) of the gallery.
        classes: number of classes.
    """
    mean = gallery.mean(dim=0)
    own, others = (F.normalize((x - mean).double(), dim=1) for x in (queries, gallery))
    found = (own @ others.T).topk(min(NEIGHBOURS, len(gallery)), dim=1)
    # Near ones weigh more, so a tie of votes is none.
    votes = torch.zeros(len(queries), classes, dtype=torch.float64)
    return votes.scatter_add_(1, known[found.indices], (1 + found.values) / 2).argmax(dim=1)


def labelled_figures(embed: Model, pictures: Labelled, size: int, batch: int) -> dict[str, float]:
    """Top-1 of a linear probe and of nearest neighbours, and S-Cons of the probe, in percent.

    Args:
        embed: crops to features (B, D).
        pictures: the probe is fitted to the first and asked about the others.
        size: side of the crops in pixels.
        batch: crops at a time.
    """
    fitted = in_batches(embed, middle(pictures.fitted, size), batch)
    target = F.one_hot(pictures.known, pictures.classes)
    features = in_batches(embed, middle(pictures.asked, size), batch)

    def probe(crops: Tensor) -> Tensor:
        return chosen_ridge(fitted, target, embed(crops))

    consistency = shift_consistency(
        probe, pictures.asked, kind="crop", crop_size=size, pairs_per_image=1, batch_size=batch
    )
    probed = chosen_ridge(fitted, target, features).argmax(dim=1)
    voted = neighbour_classes(features, fitted, pictures.known, pictures.classes)
    return {
        "probe": _percent(probed == pictures.wanted),
        "neighbours": _percent(voted == pictures.wanted),
        "s_cons": consistency.percent,
    }


def head_figures(
    logits: Model, pictures: Classified, photographs: Tensor, size: int, batch: int
) -> dict[str, float]:
    """Top-1 of a classifier's own head on pictures of its classes, and S-Cons on photographs.

    Args:
        logits: crops to class scores (B, K).
        pictures: with classes.
        photographs: windows; whatever class they get, it should stay under a shift.
        size: side of the crops in pixels.
        batch: crops at a time.
    """
    found = in_batches(logits, middle(pictures.windows, size), batch).argmax(dim=1)
    consistency = shift_consistency(
        logits, photographs, kind="crop", crop_size=size, batch_size=batch
    )
    return {"top1": _percent(found == pictures.labels), "s_cons": consistency.percent}


def recall(embed: Model, queries: Tensor, wanted: Tensor, gallery: Tensor, batch: int) -> float:
    """R@1 in percent: the share of crops whose nearest crop is of the same photograph.

    Args:
        embed: crops to features (B, D).
        queries: crops (M, C, S, S).
        wanted: (M,) the place of each one's photograph in the gallery.
        gallery: one crop of each photograph, at another place.
        batch: crops at a time.
    """
    own, others = (in_batches(embed, crops, batch) for crops in (queries, gallery))
    found = nearest(own, others, torch.ones(len(own), len(others), dtype=torch.bool))
    return _percent(found == wanted)


def _percent(right: Tensor) -> float:
    return 100 * float(right.double().mean())
