"""Explanation: which places of an image speak for an answer, how far that is to be believed, what a network sees."""
