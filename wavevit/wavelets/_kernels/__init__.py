"""Compiled loops for the CPU (numba) and CUDA (Triton), and the tables they read. Not public."""
