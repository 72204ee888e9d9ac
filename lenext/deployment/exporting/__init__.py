"""Exporting: the network and its preprocessing as one graph, in the format of each engine."""
