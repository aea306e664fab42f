"""How many examples Hypothesis draws for a law that is slow: few by day, its share at night."""

from __future__ import annotations

from hypothesis import settings

DAILY = 15  # of a law that says nothing, in a developer's run


def examples(*, daily: int) -> settings:
    """Settings of a law whose examples are expensive, or which needs more than others.

    Args:
        daily: examples by day. At night the law gets the same share of the nightly examples as it
            has of the daily ones, and never more than all of them.

    Example:
        >>> examples(daily=3).max_examples >= 3
        True
    """
    if settings.get_current_profile_name() != "nightly":
        return settings(max_examples=daily)
    nightly = settings().max_examples
    return settings(max_examples=min(nightly * daily // DAILY, nightly))
