"""Evaluation: what a model answers, and the figures and the page that come of it."""
