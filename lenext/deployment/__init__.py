"""Deployment: a classifier as one file for other engines, proved to answer the same."""
