"""Scanning: where in a large image a class is, from the dense form of a classifier, at several scales and in tiles."""
