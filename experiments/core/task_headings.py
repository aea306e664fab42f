"""Column headings of tasks' own metrics, as a reader understands them without the code.

They are here and not in `wavevit.tasks`, because a run's key holds the code of the tasks: another
heading would train every study again.
"""

from __future__ import annotations

import re

from wavevit.tasks import TASKS

# Task -> entry of `Task.summarize` or `Task.compare` -> heading, with the unit behind a comma.
_HEADINGS = {
    "autoregressive": {"bits_change": "change of the bits"},
    "captioning": {
        "bits_shuffled": "bits with a wrong picture",
        "bits_without": "bits without a picture",
        "same_caption": "same caption, %",
    },
    "classification": {"same_class": "same class, %"},
    "contrastive": {
        "negatives_right": "right before one-word negatives, %",
        "negatives_chance": "right before one-word negatives by chance, %",
        "image_to_text_r5": "image to text R@5, %",
        "text_to_image_r1": "text to image R@1, %",
        "text_to_image_r5": "text to image R@5, %",
        "image_to_text_r1_chance": "image to text R@1 by chance, %",
        "image_to_text_r5_chance": "image to text R@5 by chance, %",
        "text_to_image_r1_chance": "text to image R@1 by chance, %",
        "text_to_image_r5_chance": "text to image R@5 by chance, %",
        "gallery_images": "pictures searched",
        "gallery_texts": "captions searched",
        "same_caption": "same nearest caption, %",
        "cosine": "cosine",
    },
    "detection": {
        "AP50": "AP50, %",
        "AP75": "AP75, %",
        "AP_small": "AP small, %",
        "AP_medium": "AP medium, %",
        "AP_large": "AP large, %",
        "box_shift": "box shift, px",
        "unmatched": "boxes without a partner, %",
    },
    "diffusion": {},
    "masked": {
        "error": "squared error",
        "error_mean": "squared error of the mean",
        "error_inpainting": "squared error of inpainting",
        "relative": "error relative to inpainting, %",
        "relative_mean": "error relative to the mean, %",
    },
    "retrieval": {
        "R@5": "R@5, %",
        "mAP": "mAP, %",
        "chance R@1": "R@1 by chance, %",
        "chance R@5": "R@5 by chance, %",
        "chance mAP": "mAP by chance, %",
        "gallery": "pictures searched",
        "neighbours": "nearest five kept, %",
        "same_nearest": "same nearest picture, %",
        "cosine": "cosine",
    },
    "segmentation": {
        "pixels": "pixels right, %",
        "border_pixels": "right near borders, %",
        "border_share": "pixels near borders, %",
        "kept": "pixels that keep their class, %",
        "border_shift": "border shift, px",
    },
}
_QUARTERS = ("1st", "2nd", "3rd", "4th")  # of the way from noise to image, of diffusion


def task_heading(task: str, name: str) -> str:
    """Heading of a task's metric, with its unit behind a comma.

    Args:
        task: name of the task.
        name: an entry of its `summarize`, or ``"NAME at 1 px"`` of its `compare`.

    Returns:
        The heading; for a metric that is not listed here, such as that of a task of your own, its
        name with spaces.
    """
    known = _HEADINGS.get(task, {})
    entry, at, pixels = name.partition(" at ")
    if entry in known:
        title, comma, unit = known[entry].partition(", ")
        return f"{title}{at}{pixels}{comma}{unit}"
    kind = TASKS.get(task)
    if name == kind.score:
        return kind.title
    quarter = re.fullmatch(r"(?:band(\d)_)?time([0-3])", name) if task == "diffusion" else None
    if quarter is not None:
        band = "" if quarter[1] is None else f" of band {quarter[1]}"
        return f"loss{band}, {_QUARTERS[int(quarter[2])]} quarter"
    return name.replace("_", " ")
