"""Key maps: what other libraries call the tensors of our models, one family a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lenext.models import ImageClassifier
from lenext.models.alexnet import AlexNet
from lenext.models.convnext import ConvNeXt
from lenext.models.densenet import DenseNet
from lenext.models.efficientnet import EfficientNet
from lenext.models.googlenet import GoogLeNet
from lenext.models.inception_resnet import InceptionResNet
from lenext.models.inception_v3 import InceptionV3
from lenext.models.inception_v4 import InceptionV4
from lenext.models.mobilenet import MobileNetV1, MobileNetV2
from lenext.models.mobilenet_v3 import MobileNetV3
from lenext.models.preresnet import PreResNet
from lenext.models.resnet import ResNet
from lenext.models.vgg import VGG
from lenext.weights.keymaps import alexnet, convnext, densenet, googlenet, inception, mobilenet, preresnet, resnet, vgg
from lenext.weights.keymaps.layout import Layout

FAMILIES: dict[type[ImageClassifier], Callable[[Any], tuple[Layout, ...]]] = {
    AlexNet: alexnet.layouts,
    VGG: vgg.layouts,
    GoogLeNet: googlenet.layouts,
    InceptionV3: inception.inception_v3,
    ResNet: resnet.layouts,
    PreResNet: preresnet.layouts,
    InceptionV4: inception.inception_v4,
    InceptionResNet: inception.inception_resnet,
    DenseNet: densenet.layouts,
    MobileNetV1: mobilenet.mobilenet_v1,
    MobileNetV2: mobilenet.mobilenet_v2,
    MobileNetV3: mobilenet.mobilenet_v3,
    EfficientNet: mobilenet.efficientnet,
    ConvNeXt: convnext.layouts,
}


def layouts(model: ImageClassifier) -> tuple[Layout, ...]:
    """Return every other library's layout of this very model; none for a family that has no key map."""
    family = FAMILIES.get(type(model))
    return family(model) if family else ()
