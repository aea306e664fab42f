"""Timings beside other libraries, and looks beside the studies; each is a command of its own."""
