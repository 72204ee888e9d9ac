"""VGG: Simonyan and Zisserman 2014, https://arxiv.org/abs/1409.1556

vgg16 at 224 px: stem identity | stages 64x224x224, 128x112x112, 256x56x56, 512x28x28, 512x14x14
                 | head pool 512x7x7, 4096, 4096, (N, classes)

Nothing but 3x3 convolutions and 2x2 pools: two 3x3 see what a 5x5 sees, three what a 7x7 sees, with fewer weights
and more nonlinearities. The six configurations of the paper's table 1, and their batch-normalised forms.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvReLU, cross_map_norm, named
from lenext.models.heads import DenseHead
from lenext.models.initialisation import Init, gaussian, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register

WIDTHS = (64, 128, 256, 512, 512)

# The kernels of each stage: table 1 of the paper, columns A to E.
A = ((3,), (3,), (3, 3), (3, 3), (3, 3))
B = ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3))
C = ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))
D = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
E = ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))


class VGG(ImageClassifier):
    """Five stages of 3x3 convolutions, each at half the resolution of the one before, and three dense layers.

        model = VGG(kernels=((3,), (3,), (3, 3), (3, 3), (3, 3)))
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    `norm` is what follows a convolution: None, `batch`, or `response`, which follows the first alone. The paper's
    weights are normal with variance 0.01, from which it trained configuration A, to grow the deeper ones from it;
    its authors found afterwards that `init="glorot"` trains every depth. `width` multiplies the maps
    of the stages, not the dense layers.
    """

    def __init__(
        self,
        *,
        kernels: tuple[tuple[int, ...], ...],
        norm: str | None = None,
        dropout: float = 0.5,
        width: float = 1.0,
        init: Init = "he",
        size: tuple[int, int] = (224, 224),
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.kernels, self.norm = kernels, norm
        self.stem = nn.Identity()
        self.stages = nn.ModuleList()
        channels = in_channels
        for stage, (maps, sides) in enumerate(zip(WIDTHS, kernels, strict=True)):
            layers: dict[str, nn.Module] = {"pool": nn.MaxPool2d(2)} if stage else {}  # halves H and W
            for number, side in enumerate(sides, 1):
                batch_norm = nn.BatchNorm2d if norm == "batch" else None
                out_channels = scale_width(maps, width)
                layers[f"conv{number}"] = ConvReLU(channels, out_channels, side, padding=side // 2, norm=batch_norm)
                channels = out_channels
            self.stages.append(named(**layers))
        if norm == "response":
            self.stages[0].add_module("norm1", cross_map_norm())
        self.head = DenseHead(
            channels, (size[0] // 32, size[1] // 32), (4096, 4096), nn.Linear(4096, classes),
            pool=nn.MaxPool2d(2), activation=nn.ReLU, dropout=(dropout, dropout),
        )  # fmt: skip
        initialise(self, init, gaussian(0.1))

    def convolutions(self) -> list[list[ConvReLU]]:
        """Return the convolutions of each stage, in order, each with the norm and ReLU that follow it."""
        return [[layer for layer in stage.children() if isinstance(layer, ConvReLU)] for stage in self.stages]


def _vgg(kernels: tuple[tuple[int, ...], ...], *, depth: float = 1.0, **options: Any) -> VGG:
    """Return the configuration with `depth` times the layers of each stage: more of its last kernel."""
    counts = [scale_depth(len(sides), depth) for sides in kernels]
    deepened = tuple((sides + sides[-1:] * count)[:count] for sides, count in zip(kernels, counts, strict=True))
    return VGG(kernels=deepened, **options)


def _facts(
    params: int, macs: int, errors: tuple[Published, ...], claims: tuple[Claim, ...] = (), lr_scale: float = 0.1
) -> Facts:
    return Facts(
        paper="1409.1556", year=2014, params=params, macs=macs, size=224, smallest=32, strides=(1, 2, 4, 8, 16),
        size_bound=True, lr_scale=lr_scale, errors=errors, claims=claims,
    )  # fmt: skip


def _dense(top1: float, top5: float) -> Published:
    return Published(top1=top1, top5=top5, protocol="dense at 256")


def _one_crop(top1: float, top5: float | None = None) -> Published:
    return Published(top1=top1, top5=top5, protocol="one crop", source="torchvision")


@register(_facts(132_863_336, 7_609_090_048, (_dense(29.6, 10.4), _one_crop(30.98)), (Claim("params", 133e6),)))
def vgg11(**options: Any) -> VGG:
    """Configuration A."""
    return _vgg(A, **options)


@register(_facts(132_863_336, 7_609_090_048, (_dense(29.7, 10.5),), (Claim("params", 133e6),)))
def vgg11_lrn(**options: Any) -> VGG:
    """Configuration A-LRN: local response normalisation after the first convolution."""
    return _vgg(A, norm="response", **options)


@register(_facts(133_047_848, 11_308_466_176, (_dense(28.7, 9.9), _one_crop(30.07)), (Claim("params", 133e6),)))
def vgg13(**options: Any) -> VGG:
    """Configuration B."""
    return _vgg(B, **options)


@register(_facts(133_638_952, 11_770_888_192, (_dense(28.1, 9.4),), (Claim("params", 134e6),)))
def vgg16_c(**options: Any) -> VGG:
    """Configuration C: the third convolution of the last three stages is 1x1."""
    return _vgg(C, **options)


def _test_set(top5: float, networks: str) -> Published:
    return Published(top5=top5, protocol=f"ensemble of {networks}, test set")


@register(
    _facts(
        138_357_544, 15_470_264_320,
        (_dense(27.0, 8.8), _one_crop(28.41), _test_set(7.32, "seven"), _test_set(6.8, "two, with vgg19")),
        (Claim("params", 138e6),),
    )
)  # fmt: skip
def vgg16(**options: Any) -> VGG:
    """Configuration D."""
    return _vgg(D, **options)


@register(_facts(143_667_240, 19_632_062_464, (_dense(27.3, 9.0), _one_crop(27.62)), (Claim("params", 144e6),)))
def vgg19(**options: Any) -> VGG:
    """Configuration E."""
    return _vgg(E, **options)


@register(_facts(132_868_840, 7_609_090_048, (_one_crop(29.63, 10.19),), lr_scale=1.0))
def vgg11_bn(**options: Any) -> VGG:
    """Configuration A, batch-normalised."""
    return _vgg(A, norm="batch", **options)


@register(_facts(133_053_736, 11_308_466_176, (_one_crop(28.41, 9.63),), lr_scale=1.0))
def vgg13_bn(**options: Any) -> VGG:
    """Configuration B, batch-normalised."""
    return _vgg(B, norm="batch", **options)


@register(_facts(138_365_992, 15_470_264_320, (_one_crop(26.64, 8.48),), lr_scale=1.0))
def vgg16_bn(**options: Any) -> VGG:
    """Configuration D, batch-normalised."""
    return _vgg(D, norm="batch", **options)


@register(_facts(143_678_248, 19_632_062_464, (_one_crop(25.78, 8.16),), lr_scale=1.0))
def vgg19_bn(**options: Any) -> VGG:
    """Configuration E, batch-normalised."""
    return _vgg(E, norm="batch", **options)
