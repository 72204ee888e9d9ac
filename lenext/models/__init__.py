"""Every architecture, one family a file, in the order of their papers: the table of contents."""

from lenext.models import lenet, mlp
from lenext.models.base import ImageClassifier, Spec
from lenext.registry import Facts, list_models, lookup

__all__ = ["Facts", "ImageClassifier", "Spec", "lenet", "list_models", "lookup", "mlp"]
