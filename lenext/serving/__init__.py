"""Serving: classifiers behind HTTP, and the pages to use and explore them by."""
