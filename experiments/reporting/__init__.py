"""From a study's summary to figures, sentences and one page."""
