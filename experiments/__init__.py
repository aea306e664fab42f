"""Studies: train, measure, compare, record. Imports wavevit, never the reverse."""
