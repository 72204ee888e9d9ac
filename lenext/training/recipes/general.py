"""Recipes for any network: `default` looks at the data, the others say what they are for."""

from __future__ import annotations

import dataclasses

from lenext.data.augmentation.augmentation import Augmentation
from lenext.training.recipes.making import About, Reached, recipe, tiny_form
from lenext.training.recipes.recipe import Recipe
from lenext.training.recipes.situation import Situation

FEW = 2_000  # training images below which a photo is shown in many forms
ENOUGH = 95.0  # percent that a head on what is there tells apart, from which on nothing else is trained
HEAD_RATE = 1e-2  # at which a last layer learns that is trained alone, and was not fitted before
STEPS = 600  # that a small set is trained for at least
DIGITS = "lenext train digits --model lenet5 --recipe {}"


def _batch_and_epochs(images: int) -> tuple[int, int]:
    """Return 32 images a step, fewer of a small set, and as many epochs as a small set needs."""
    batch_size = 32 if images >= 320 else max(2, images // 10)
    steps = -(-images // batch_size)
    return batch_size, min(max(5, -(-STEPS // steps)), 100)


def _one_cycle(images: int) -> Recipe:
    batch_size, epochs = _batch_and_epochs(images)
    return Recipe(
        name="",
        epochs=epochs,
        batch_size=batch_size,
        optimizer="adamw",
        lr=3e-3,
        momentum=0.9,
        weight_decay=0.01,
        schedule="onecycle",
        warmup=0.3,
        label_smoothing=0.1,
    )


def _padding(situation: Situation) -> int:
    return min(max(1, min(situation.size) // 8), 64)


@recipe(
    About(
        title="What suits the data",
        paper="1708.07120",
        command="lenext train photos/ --model resnet18",
        reached=(
            Reached(top1=98.89, model="lenet5", data="MNIST", source="measured here", note="one epoch"),
            tiny_form("lenet5", 94.85),
        ),
        tiny={"epochs": 2},
        tiny_command=DIGITS.format("default:tiny"),
        general=True,
    )
)
def default(situation: Situation) -> Recipe:
    """AdamW, one cycle (Smith and Topin 2017); from given weights and for few photos, the recipes made for these."""
    images = situation.train_images
    if situation.pretrained:
        return dataclasses.replace(finetune(situation), why="finetune, for there are weights to start from")
    if situation.photos and images < FEW:
        return dataclasses.replace(small_data(situation), why=f"small_data, for {situation.count} photos are few")
    made = _one_cycle(images)
    cycle = f"one cycle, as long as suits {situation.count} images"
    if situation.grey:
        return dataclasses.replace(made, why=f"{cycle}; grey ones are shown as they are")
    if situation.photos:
        parts = Augmentation(crop="inception", area=(0.35, 1.0), mirror=True)
        return dataclasses.replace(made, augmentation=parts, why=f"{cycle}; photos are cut at random and mirrored")
    shifted = Augmentation(crop="pad", padding=_padding(situation), mirror=True)
    return dataclasses.replace(made, augmentation=shifted, why=f"{cycle}; small pictures are shifted and mirrored")


@recipe(
    About(
        title="SGD with a cosine",
        paper="1608.03983",
        command="lenext train photos/ --model resnet18 --recipe sgd",
        reached=(tiny_form("lenet5", 90.0),),
        tiny={"epochs": 2},
        tiny_command=DIGITS.format("sgd:tiny"),
        general=True,
    )
)
def sgd(situation: Situation) -> Recipe:
    """SGD with Nesterov momentum and a cosine (Loshchilov and Hutter 2016)."""
    return dataclasses.replace(
        _one_cycle(situation.train_images),
        optimizer="sgd",
        lr=0.05,
        nesterov=True,
        weight_decay=5e-4,
        schedule="cosine",
        warmup=0.05,
        label_smoothing=0.0,
    )


@recipe(
    About(
        title="CIFAR in minutes",
        paper="2404.00498",
        command="lenext train cifar10/ --model resnet20_cifar --recipe cifar_fast --minutes 15",
        reached=(
            Reached(
                top1=87.06,
                model="resnet20_cifar",
                data="CIFAR-10 as JPEGs",
                source="measured here",
                note="15 minutes on two cores with bfloat16; a plain loop 81.74",
            ),
            tiny_form("resnet20_cifar", 91.21),
        ),
        tiny={"epochs": 6, "batch_size": 32},
        tiny_command="lenext train digits --model resnet20_cifar --size 16 --recipe cifar_fast:tiny",
        general=True,
    )
)
def cifar_fast(situation: Situation) -> Recipe:
    """SGD with Nesterov momentum and a rate that falls in a line; images shifted, mirrored, their labels smoothed.

    The ingredients are those of the fast runs on CIFAR-10 (Jordan 2024), for any network.
    """
    return Recipe(
        name="",
        epochs=15,
        batch_size=128,
        optimizer="sgd",
        lr=0.2,
        lr_batch=128,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
        schedule="linear",
        warmup=0.2,
        warmup_start=0.1,
        label_smoothing=0.1,
        augmentation=Augmentation(crop="translate", padding=4, mirror=True),
    )


@recipe(
    About(
        title="From weights that are there",
        paper="2202.10054",
        command="lenext train photos/ --model mobilenet_v2 --weights FILE --recipe finetune",
        reached=(tiny_form("lenet5", 88.79),),
        tiny={"epochs": 6},
        tiny_command=DIGITS.format("finetune:tiny"),
        general=True,
    )
)
def finetune(situation: Situation) -> Recipe:
    """AdamW at a low rate, so that what the weights know is kept; photos are cut gently.

    The last layer starts as the logistic regression on what the weights make of the images (Kumar et al. 2022), and
    batch norms with the statistics of these. What knows photos is changed least, and for few of them at a tenth of the
    rate, in half the epochs. A last layer that is trained alone and is not fitted, for the weights know some of the
    classes, learns for longer and at a higher rate.
    """
    made = _one_cycle(situation.train_images)
    parts = Augmentation(crop="inception", area=(0.5, 1.0), mirror=True) if situation.photos else Augmentation()
    rate, most = 3e-4, 20
    if situation.photos:
        rate, most = (3e-5 if situation.train_images < FEW else 1e-4), 10
    if situation.head_alone and not situation.head_fitted:
        rate, most = HEAD_RATE, made.epochs
    epochs = min(made.epochs, most)
    return dataclasses.replace(
        made, lr=rate, epochs=epochs, schedule="cosine", warmup=0.1, augmentation=parts, fit_head=True, fit_norms=True
    )


@recipe(
    About(
        title="From weights of another task",
        paper="1411.1792",
        command="lenext train photos/ --model mobilenet_v2 --weights FILE --recipe transfer",
        reached=(tiny_form("lenet5", 98.48),),
        tiny={"epochs": 6},
        tiny_command=DIGITS.format("transfer:tiny"),
        general=True,
        compares=True,
    )
)
def transfer(situation: Situation) -> Recipe:
    """One of four ways, by how many images there are and by whether the old task was like the new one.

    Few images of a similar task: the last layer alone is trained, and where that does not tell them apart well enough,
    the parts before it after it, one by one. Many: all of it, gently, the first stages least. Few images of another
    task: the last stages are cut off, and a new head is trained, then what is left. Many: all of it, at a higher rate,
    the weights being but a start. Whether the tasks are alike is measured on some of the images: by which stage of the
    network tells their classes apart best.
    """
    found, images = situation.separation, situation.train_images
    if not situation.pretrained:
        return dataclasses.replace(_one_cycle(images), why="for random weights: there are none to start from")
    gentle = finetune(situation)
    few = images < FEW
    similar = found is None or found.similar
    told = f"{'few' if few else 'many'} images ({situation.count}) of {'a similar' if similar else 'another'} task"
    why = f"for {told}: {found.words if found else 'nothing was measured'}"
    one_by_one = dataclasses.replace(
        gentle, lr=3e-3, epochs=_one_cycle(images).epochs, freeze="all but head", unfreeze=0.4, layer_decay=0.7
    )
    if few and similar and (found is None or found.top1[-1] >= ENOUGH):
        why += "; the last layer alone is trained"
        alone = finetune(dataclasses.replace(situation, head_alone=True))
        return dataclasses.replace(alone, freeze="all but head.classifier", why=why)
    if few and similar:
        why += "; the head is trained first, then the parts before it, one by one"
        return dataclasses.replace(one_by_one, freeze="all but head.classifier", why=why)
    if similar:
        why += "; all of it is trained, the first stages least"
        return dataclasses.replace(gentle, layer_decay=0.7, why=why)
    assert found is not None
    if few:
        cut = f"{found.drop} of its stages {'is' if found.drop == 1 else 'are'} cut off"
        why += f"; {cut}, and a new head is trained first, then the parts before it, one by one"
        return dataclasses.replace(one_by_one, drop_stages=found.before + found.drop, why=why)
    return dataclasses.replace(gentle, lr=1e-3, why=f"{why}; all of it is trained, at a higher rate")


@recipe(
    About(
        title="Few images, from random weights",
        paper="2103.10158",
        command="lenext train photos/ --model resnet18 --recipe small_data",
        reached=(tiny_form("lenet5", 91.21),),
        tiny={"epochs": 6},
        tiny_command=DIGITS.format("small_data:tiny"),
        general=True,
    )
)
def small_data(situation: Situation) -> Recipe:
    """Many epochs in which no image looks twice the same: cuts, mirrors, TrivialAugment, and images mixed in pairs."""
    made = _one_cycle(situation.train_images)
    seen = Augmentation(crop="pad", padding=_padding(situation), trivialaugment=True, mixup=0.2)
    if situation.photos:
        seen = dataclasses.replace(seen, crop="inception", area=(0.25, 1.0), mirror=True)
    elif not situation.grey:
        seen = dataclasses.replace(seen, mirror=True)
    return dataclasses.replace(made, epochs=min(2 * made.epochs, 100), lr=1e-3, weight_decay=0.05, augmentation=seen)
