"""The claims ledger: each sentence of the project's intuition, a test of it, and a verdict."""
