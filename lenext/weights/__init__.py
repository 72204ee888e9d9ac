"""Weights on disk: the model file, and strict loading into a model."""
