"""Recipes of the papers of residual and densely connected networks, on ImageNet and on CIFAR."""

from __future__ import annotations

import dataclasses

from lenext.data.augmentation.augmentation import Augmentation
from lenext.training.recipes.making import About, Reached, recipe, tiny_form
from lenext.training.recipes.recipe import Recipe
from lenext.training.recipes.situation import Situation

SMALL = "lenext train digits --model {} --size {} --recipe {}:tiny"
CIFAR = Augmentation(crop="pad", padding=4, mirror=True)


@recipe(
    About(
        title="ResNet 2015, ImageNet",
        paper="1512.03385",
        models=(
            *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "plain18", "plain34"),
            *("resnet50_v1", "resnet101_v1", "resnet152_v1"),
        ),
        command="lenext train imagenet/ --model resnet50 --recipe resnet",
        reached=(
            Reached(top1=77.15, model="resnet50_v1", data="ImageNet", source="published", note="ten views"),
            tiny_form("resnet18", 34.85),
        ),
        tiny={"epochs": 6, "batch_size": 16, "lr": 0.02},
        tiny_command="lenext train digits --model resnet18 --option width=0.5 --size 32 --recipe resnet:tiny",
    )
)
def resnet(situation: Situation) -> Recipe:
    """SGD with momentum, 256 a step, 600,000 steps; the shorter side drawn from 256 to 480, colour noise, no dropout.

    The paper divides the rate by ten when the error stands still; here after 30, 60 and 90 of 120 passes. For other
    batches the rate follows Goyal et al. 2017 (1706.02677), in proportion.
    """
    return Recipe(
        name="",
        epochs=120,
        batch_size=256,
        optimizer="sgd",
        lr=0.1,
        lr_batch=256,
        momentum=0.9,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.25, 0.5, 0.75),
        factors=(0.1, 0.01, 0.001),
        augmentation=Augmentation(crop="random", scale=(256 / 224, 480 / 224), mirror=True, colour_noise=0.1),
    )


@recipe(
    About(
        title="ResNet 2015, CIFAR",
        paper="1512.03385",
        models=(
            *("resnet20_cifar", "resnet32_cifar", "resnet44_cifar", "resnet56_cifar"),
            *("plain20_cifar", "plain32_cifar", "plain44_cifar", "plain56_cifar"),
        ),
        command="lenext train cifar10/ --model resnet20_cifar --recipe resnet_cifar",
        reached=(
            Reached(top1=91.25, model="resnet20_cifar", data="CIFAR-10", source="published"),
            Reached(top1=93.03, model="resnet56_cifar", data="CIFAR-10", source="published"),
            tiny_form("resnet20_cifar", 52.73),
        ),
        tiny={"epochs": 3, "batch_size": 32},
        tiny_command=SMALL.format("resnet20_cifar", 16, "resnet_cifar"),
    )
)
def resnet_cifar(situation: Situation) -> Recipe:
    """SGD with momentum, 128 a step, 64,000 steps, a tenth of the rate after 32,000 and again after 48,000."""
    return Recipe(
        name="",
        epochs=164,
        batch_size=128,
        optimizer="sgd",
        lr=0.1,
        momentum=0.9,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.5, 0.75),
        factors=(0.1, 0.01),
        augmentation=CIFAR,
    )


@recipe(
    About(
        title="ResNet 2015, CIFAR, 110 layers and more",
        paper="1512.03385",
        models=("resnet110_cifar", "resnet1202_cifar"),
        command="lenext train cifar10/ --model resnet110_cifar --recipe resnet110_cifar",
        reached=(
            Reached(top1=93.57, model="resnet110_cifar", data="CIFAR-10", source="published"),
            Reached(top1=92.07, model="resnet1202_cifar", data="CIFAR-10", source="published"),
            tiny_form("resnet110_cifar", 49.09),
        ),
        tiny={"epochs": 4, "batch_size": 32, "lr": 0.05},
        tiny_command="lenext train digits --model resnet110_cifar --option depth=0.25 --size 16 "
        "--recipe resnet110_cifar:tiny",
    )
)
def resnet110_cifar(situation: Situation) -> Recipe:
    """The recipe of the shallower ones, begun at a tenth of the rate for 400 steps."""
    return dataclasses.replace(resnet_cifar(situation), warmup=400 / 64_000, warmup_start=0.1, warmup_shape="constant")


@recipe(
    About(
        title="Wide ResNet 2016",
        paper="1605.07146",
        models=("wrn40_4_cifar", "wrn16_8_cifar", "wrn28_10_cifar"),
        command="lenext train cifar10/ --model wrn28_10_cifar --recipe wide_resnet",
        reached=(
            Reached(top1=95.47, model="wrn40_4_cifar", data="CIFAR-10", source="published"),
            Reached(top1=95.73, model="wrn16_8_cifar", data="CIFAR-10", source="published"),
            Reached(top1=96.0, model="wrn28_10_cifar", data="CIFAR-10", source="published"),
            tiny_form("wrn16_8_cifar", 76.36),
        ),
        tiny={"epochs": 2, "batch_size": 32, "precision": "float32", "memory_format": "channels_last"},
        tiny_command="lenext train digits --model wrn16_8_cifar --option width=0.25 --size 16 "
        "--recipe wide_resnet:tiny",
    )
)
def wide_resnet(situation: Situation) -> Recipe:
    """SGD with Nesterov momentum, 200 passes, a fifth of the rate after 60, 120, 160; shifted with mirrored borders."""
    return Recipe(
        name="",
        epochs=200,
        batch_size=128,
        optimizer="sgd",
        lr=0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        schedule="step",
        milestones=(0.3, 0.6, 0.8),
        factors=(0.2, 0.04, 0.008),
        augmentation=dataclasses.replace(CIFAR, crop="translate"),
    )


@recipe(
    About(
        title="DenseNet 2016, ImageNet",
        paper="1608.06993",
        models=("densenet121", "densenet161", "densenet169", "densenet201", "densenet264"),
        command="lenext train imagenet/ --model densenet121 --recipe densenet",
        reached=(
            Reached(top1=74.98, model="densenet121", data="ImageNet", source="published", note="one crop"),
            tiny_form("densenet121", 50.3),
        ),
        tiny={"epochs": 4, "batch_size": 32, "lr": 0.02},
        tiny_command="lenext train digits --model densenet121 --option depth=0.5 --size 32 --recipe densenet:tiny",
    )
)
def densenet(situation: Situation) -> Recipe:
    """SGD with Nesterov momentum, 90 passes of 256 a step, a tenth of the rate after 30 and after 60.

    The images are changed as in the ResNet code that the paper follows: cuts of any area, mirrored, colours changed.
    """
    return Recipe(
        name="",
        epochs=90,
        batch_size=256,
        optimizer="sgd",
        lr=0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=1e-4,
        schedule="step",
        milestones=(30 / 90, 60 / 90),
        factors=(0.1, 0.01),
        augmentation=Augmentation(crop="inception", mirror=True, jitter=0.4, colour_noise=0.1),
    )


@recipe(
    About(
        title="DenseNet 2016, CIFAR",
        paper="1608.06993",
        models=("densenet40_12_cifar", "densenet100_12_cifar", "densenet_bc100_12_cifar"),
        command="lenext train cifar10/ --model densenet_bc100_12_cifar --recipe densenet_cifar",
        reached=(
            Reached(top1=94.76, model="densenet40_12_cifar", data="CIFAR-10", source="published"),
            Reached(top1=95.9, model="densenet100_12_cifar", data="CIFAR-10", source="published"),
            Reached(top1=95.49, model="densenet_bc100_12_cifar", data="CIFAR-10", source="published"),
            tiny_form("densenet40_12_cifar", 73.64),
        ),
        tiny={"epochs": 3, "batch_size": 32},
        tiny_command="lenext train digits --model densenet40_12_cifar --option depth=0.5 --size 8 "
        "--recipe densenet_cifar:tiny",
    )
)
def densenet_cifar(situation: Situation) -> Recipe:
    """SGD with Nesterov momentum, 300 passes of 64 a step, a tenth of the rate at half and at three quarters."""
    return Recipe(
        name="",
        epochs=300,
        batch_size=64,
        optimizer="sgd",
        lr=0.1,
        momentum=0.9,
        nesterov=True,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.5, 0.75),
        factors=(0.1, 0.01),
        augmentation=CIFAR,
    )
