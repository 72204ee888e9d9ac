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
from lenext.models import prelunet
from lenext.models import bn_inception
from lenext.models import highway
from lenext.models import inception_v3
from lenext.models import resnet
from lenext.models import resnet_cifar
from lenext.models import preresnet
from lenext.models import wide_resnet
from lenext.models import resnext
from lenext.models import inception_v4
from lenext.models import inception_resnet
from lenext.models import densenet
from lenext.models import mobilenet
from lenext.models import resnet_d
from lenext.models import mobilenet_v3
from lenext.models import efficientnet
from lenext.models import convnext

# isort: on
from lenext.models.base import ImageClassifier, Spec
from lenext.registry import Facts, list_models, lookup

__all__ = [
    "Facts",
    "ImageClassifier",
    "Spec",
    "alexnet",
    "bn_inception",
    "convnext",
    "densenet",
    "efficientnet",
    "googlenet",
    "highway",
    "inception_resnet",
    "inception_v3",
    "inception_v4",
    "lenet",
    "list_models",
    "lookup",
    "mlp",
    "mobilenet",
    "mobilenet_v3",
    "nin",
    "overfeat",
    "prelunet",
    "preresnet",
    "resnet",
    "resnet_cifar",
    "resnet_d",
    "resnext",
    "vgg",
    "wide_resnet",
    "zfnet",
]
