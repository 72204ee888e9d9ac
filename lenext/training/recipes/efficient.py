"""Recipes of the papers of MobileNet, EfficientNet and ConvNeXt."""

from __future__ import annotations

from lenext.data.augmentation.augmentation import Augmentation
from lenext.training.recipes.making import About, Reached, recipe, tiny_form
from lenext.training.recipes.recipe import Recipe
from lenext.training.recipes.situation import Situation

SMALL = "lenext train digits --model {} --size 32 --recipe {}:tiny"


@recipe(
    About(
        title="MobileNet 2017 and 2018",
        paper="1801.04381",
        models=("mobilenet_v1", "mobilenet_v1_075", "mobilenet_v1_050", "mobilenet_v1_025", "mobilenet_v2"),
        command="lenext train imagenet/ --model mobilenet_v2 --recipe mobilenet",
        reached=(
            Reached(top1=72.0, model="mobilenet_v2", data="ImageNet", source="published"),
            Reached(top1=70.6, model="mobilenet_v1", data="ImageNet", source="published"),
            tiny_form("mobilenet_v2", 58.79),
        ),
        tiny={"epochs": 4, "batch_size": 32, "lr": 0.01},
        tiny_command=SMALL.format("mobilenet_v2", "mobilenet"),
    )
)
def mobilenet(situation: Situation) -> Recipe:
    """RMSprop with momentum, the rate 2 % lower after each pass, little decay, cuts of not too small an area.

    As of the second paper; the first one used less decay on the depthwise kernels and says no rate. The paper trained
    on 16 machines at once, 96 images each, and does not say for how many passes; here 300. How small
    cuts may be it does not say either: a third of the image here. `eps` is that of the authors' code, which makes the
    step nearly that of SGD.
    """
    return Recipe(
        name="",
        epochs=300,
        batch_size=96,
        optimizer="rmsprop",
        lr=0.045,
        momentum=0.9,
        weight_decay=4e-5,
        eps=1.0,
        schedule="exponential",
        decay=0.98,
        augmentation=Augmentation(crop="inception", area=(0.35, 1.0), mirror=True),
    )


@recipe(
    About(
        title="EfficientNet 2019",
        paper="1905.11946",
        models=tuple(f"efficientnet_b{k}" for k in range(8)),
        command="lenext train imagenet/ --model efficientnet_b0 --recipe efficientnet",
        reached=(
            Reached(top1=76.3, model="efficientnet_b0", data="ImageNet", source="published"),
            tiny_form("efficientnet_b0", 52.73),
        ),
        tiny={"epochs": 4, "batch_size": 32, "lr": 3e-4, "warmup": 0.1, "ema": 0.9},
        tiny_command="lenext train digits --model efficientnet_b0 --option depth=0.5 --size 32 "
        "--recipe efficientnet:tiny",
    )
)
def efficientnet(situation: Situation) -> Recipe:
    """RMSprop with momentum, 350 passes of 4,096 a step, the rate 3 % lower every 2.4, five passes to warm up.

    The rate is 0.256 for 4,096 images and follows the batch in the authors' code. RandAugment stands for the paper's
    AutoAugment, whose policy was searched on the same data. `eps` is the root of the authors' 0.001, which they add
    under the root.
    """
    return Recipe(
        name="",
        epochs=350,
        batch_size=4096,
        optimizer="rmsprop",
        lr=0.256,
        lr_batch=4096,
        momentum=0.9,
        weight_decay=1e-5,
        eps=0.001**0.5,
        schedule="exponential",
        decay=0.97,
        decay_epochs=2.4,
        warmup=5 / 350,
        label_smoothing=0.1,
        ema=0.9999,
        augmentation=Augmentation(crop="inception", mirror=True, randaugment=2, magnitude=9),
    )


@recipe(
    About(
        title="ConvNeXt 2022",
        paper="2201.03545",
        models=("convnext_tiny", "convnext_small", "convnext_base", "convnext_large"),
        command="lenext train imagenet/ --model convnext_tiny --recipe convnext",
        reached=(
            Reached(top1=82.1, model="convnext_tiny", data="ImageNet", source="published"),
            Reached(top1=83.1, model="convnext_small", data="ImageNet", source="published"),
            Reached(top1=83.8, model="convnext_base", data="ImageNet", source="published"),
            Reached(top1=84.3, model="convnext_large", data="ImageNet", source="published"),
            tiny_form("convnext_tiny", 56.67),
        ),
        tiny={"epochs": 6, "batch_size": 32, "lr": 1e-3, "warmup": 0.1, "ema": 0.9},
        tiny_command="lenext train digits --model convnext_tiny --option depth=0.34 --option width=0.5 --size 32 "
        "--recipe convnext:tiny",
    )
)
def convnext(situation: Situation) -> Recipe:
    """AdamW, 300 passes of 4,096 a step, 20 to warm up, a cosine; RandAugment, mixup, CutMix, erasing, the average.

    Stochastic depth is an option of the network. The rate follows the batch, as in DeiT's recipe (2012.12877), which
    the paper starts from. RandAugment's strength is 9 of 10, give or take half a step: 27 and 1.5 of the 30 here. The
    library that the authors train with does each of its two operations with a probability of a half.
    """
    return Recipe(
        name="",
        epochs=300,
        batch_size=4096,
        optimizer="adamw",
        lr=4e-3,
        lr_batch=4096,
        momentum=0.9,
        weight_decay=0.05,
        schedule="cosine",
        warmup=20 / 300,
        label_smoothing=0.1,
        ema=0.9999,
        augmentation=Augmentation(
            crop="inception",
            mirror=True,
            randaugment=2,
            randaugment_probability=0.5,
            magnitude=27,
            magnitude_std=1.5,
            erasing=0.25,
            mixup=0.8,
            cutmix=1.0,
        ),
    )
