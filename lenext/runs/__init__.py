"""Keeping track of runs: which there are, how far they are, how two compare, and taking them away."""
