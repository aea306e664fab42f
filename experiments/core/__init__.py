"""What all experiments share: configurations, runs, records, statistics, tables."""
