"""Benching: how fast each engine answers for a model on this machine, each in a process of its own."""
