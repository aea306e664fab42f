"""Timings beside other libraries; each module is a command of its own."""
