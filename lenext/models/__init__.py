"""Every architecture, one family a file, in the order of their papers: the table of contents."""

# isort: off
from lenext.models import lenet
from lenext.models import mlp
from lenext.models import alexnet
from lenext.models import zfnet
from lenext.models import nin
from lenext.models import overfeat
from lenext.models import vgg
from lenext.models import googlenet

# isort: on
from lenext.models.base import ImageClassifier, Spec
from lenext.registry import Facts, list_models, lookup

__all__ = [
    "Facts",
    "ImageClassifier",
    "Spec",
    "alexnet",
    "googlenet",
    "lenet",
    "list_models",
    "lookup",
    "mlp",
    "nin",
    "overfeat",
    "vgg",
    "zfnet",
]
