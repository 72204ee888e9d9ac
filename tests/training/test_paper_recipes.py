"""The recipes of the papers: which there are, what they are of, and what they come to."""

from __future__ import annotations

import itertools
import shlex
from typing import Any

import pytest

import lenext
from lenext.data.loader import batch_count
from lenext.errors import UserError
from lenext.models import lookup
from lenext.training.recipes import Recipe, Situation, about, description, make_recipe, recipe_names
from lenext.training.schedule import rate_share
from lenext.training.settings import Settings

IMAGENET, CIFAR = 1_281_167, 50_000
PAPERS = [name for name in recipe_names() if not about(name).general]


def made(name: str, images: int = IMAGENET, **values: Any) -> Recipe:
    return make_recipe(name, Situation(train_images=images), values)


def test_the_papers_that_were_asked_for_are_there() -> None:
    titles = " ".join(about(name).title for name in PAPERS)
    for paper in ("LeNet", "AlexNet", "VGG", "GoogLeNet", "Batch norm", "ResNet 2015, ImageNet", "ResNet 2015, CIFAR",
                  "Wide ResNet", "DenseNet", "MobileNet", "EfficientNet", "ConvNeXt"):  # fmt: skip
        assert paper in titles
    assert {"default", "cifar_fast", "finetune", "small_data"} <= {*recipe_names()} - {*PAPERS}


def test_every_model_of_a_recipe_exists_and_is_in_one_alone() -> None:
    models = [model for name in recipe_names() for model in about(name).models]
    assert len(models) == len(set(models))
    assert set(models) <= set(lenext.list_models())
    assert all(about(name).models for name in PAPERS)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_says_what_it_is(name: str) -> None:
    known = about(name)
    assert len(description(name)) > 50
    assert known.paper
    words = shlex.split(known.command)
    assert words[:2] == ["lenext", "train"]
    model = words[words.index("--model") + 1]
    assert lookup(model)
    assert known.general or model in known.models
    assert known.general or words[words.index("--recipe") + 1] == name
    for one in known.reached:
        assert 0 < one.top1 < 100
        assert one.source in ("published", "measured here")
        assert known.general or one.model in known.models
        facts = lookup(one.model).facts
        if one.source == "published" and not one.note:  # the same figure stands at the builder
            assert round(100 - one.top1, 2) in [error.top1 for error in facts.errors]


@pytest.mark.parametrize("name", recipe_names())
def test_the_tiny_form_is_small_and_was_measured(name: str) -> None:
    known = about(name)
    words = shlex.split(known.tiny_command)
    assert words[:3] == ["lenext", "train", "digits"]
    assert words[words.index("--recipe") + 1] == f"{name}:tiny"
    tiny = make_recipe(f"{name}:tiny", Situation(train_images=1438, grey=True), {})
    assert tiny.name == f"{name}:tiny"
    assert tiny.epochs <= 12
    assert all(getattr(tiny, key, None) == value for key, value in known.tiny.items() if hasattr(tiny, key))
    model = words[words.index("--model") + 1]
    (measured,) = [one for one in known.reached if one.note == "tiny form"]
    assert (measured.source, measured.data, measured.model) == ("measured here", "digits", model)
    assert measured.top1 > 20, "twice what chance gives"
    options = dict(word.split("=") for flag, word in itertools.pairwise(words) if flag == "--option")
    size = int(words[words.index("--size") + 1]) if "--size" in words else None
    assert Settings(
        data="digits", model=model, recipe=f"{name}:tiny", size=(size, size) if size else None,
        options={key: float(value) if value[0].isdigit() else value for key, value in options.items()},
    )  # fmt: skip


@pytest.mark.parametrize("name", PAPERS)
def test_paper_finds_the_recipe_of_a_model(name: str) -> None:
    for model in about(name).models:
        situation = Situation(train_images=1000, model=model)
        assert make_recipe("paper", situation, {}).name == name
    tiny = make_recipe("paper:tiny", situation, {"epochs": 7})
    assert (tiny.name, tiny.epochs) == (f"{name}:tiny", 7)
    assert tiny == make_recipe(f"{name}:tiny", situation, {"epochs": 7})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("lenet5", r"paper of lenet5; of its family there are those of lenet5_1998; else give one of `lenext recipes`"),
        ("mlp", "no recipe here is of the paper of mlp; give one of `lenext recipes`"),
        ("", "which paper\\? Name its recipe, such as resnet, or give --model"),
    ],
)
def test_a_model_without_a_recipe_of_its_paper_is_told(model: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_recipe("paper", Situation(train_images=10, model=model), {})


@pytest.mark.parametrize(("name", "batch", "rate"), [
    ("resnet", 256, 0.1), ("efficientnet", 4096, 0.256), ("convnext", 4096, 4e-3), ("cifar_fast", 128, 0.2),
])  # fmt: skip
def test_the_rate_follows_the_batch_where_the_rule_says_so(name: str, batch: int, rate: float) -> None:
    assert made(name).lr == rate
    assert made(name, batch_size=batch // 4).lr == pytest.approx(rate / 4)
    assert made(name, batch_size=batch // 4, accumulate=2).lr == pytest.approx(rate / 4)
    assert made(name, batch_size=batch // 4, lr="0.5").lr == 0.5


@pytest.mark.parametrize("name", ["lenet", "alexnet", "vgg", "googlenet", "resnet_cifar", "wide_resnet", "densenet"])
def test_the_rate_stays_elsewhere(name: str) -> None:
    assert made(name, batch_size=16).lr == made(name).lr


def test_a_network_takes_the_share_that_it_bears_and_is_told() -> None:
    delicate = Situation(train_images=5000, model="vgg11", lr_scale=0.1)
    found = make_recipe("default", delicate, {})
    assert found.lr == pytest.approx(3e-4)
    assert found.why.endswith("at 0.1 of its rate, for vgg11 bears no more")
    assert "at 0.1" not in make_recipe("default", delicate, {"lr": 1}).why
    assert make_recipe("vgg", delicate, {}).lr == 0.01, "a paper's rate is the paper's"


@pytest.mark.parametrize(
    ("situation", "why", "crop"),
    [
        ({"pretrained": True}, "finetune, for there are weights to start from", "inception"),
        ({"train_images": 500}, "small_data, for 500 photos are few", "inception"),
        ({"grey": True}, "one cycle, as long as suits 5,000 images; grey ones are shown as they are", "none"),
        (
            {"size": (32, 32)},
            "one cycle, as long as suits 5,000 images; small pictures are shifted and mirrored",
            "pad",
        ),
        ({}, "one cycle, as long as suits 5,000 images; photos are cut at random and mirrored", "inception"),
    ],
)
def test_default_says_why(situation: dict[str, Any], why: str, crop: str) -> None:
    found = make_recipe("default", Situation(**{"train_images": 5000, **situation}), {})
    assert (found.why, found.augmentation.crop) == (why, crop)


def steps(recipe: Recipe, images: int) -> int:
    return recipe.epochs * batch_count(images, recipe.batch_size)


@pytest.mark.parametrize(
    ("name", "images", "count"),
    [("resnet", IMAGENET, 600_000), ("resnet_cifar", CIFAR, 64_000), ("bn_inception", IMAGENET, 6_000_000)],
)
def test_as_many_steps_as_the_paper_says(name: str, images: int, count: int) -> None:
    assert steps(made(name), images) == pytest.approx(count, rel=0.005)


@pytest.mark.parametrize(
    ("name", "epoch", "rate"),
    [
        ("lenet", 0, 5e-4), ("lenet", 2, 2e-4), ("lenet", 5, 1e-4), ("lenet", 8, 5e-5), ("lenet", 12, 1e-5),
        ("googlenet", 7, 0.01), ("googlenet", 8, 0.0096), ("googlenet", 16, 0.01 * 0.96**2),
        ("bn_inception", 8, 0.045 * 0.96**6),
        ("wide_resnet", 59, 0.1), ("wide_resnet", 60, 0.02), ("wide_resnet", 160, 8e-4),
        ("densenet", 30, 0.01), ("densenet", 60, 1e-3),
        ("densenet_cifar", 149, 0.1), ("densenet_cifar", 150, 0.01), ("densenet_cifar", 225, 1e-3),
        ("mobilenet", 1, 0.045 * 0.98), ("efficientnet", 5, 0.256 * 0.97**2), ("efficientnet", 24, 0.256 * 0.97**10),
        ("convnext", 10, 2e-3), ("convnext", 20, 4e-3), ("convnext", 160, 2e-3),
    ],
)  # fmt: skip
def test_the_rate_of_an_epoch(name: str, epoch: int, rate: float) -> None:
    recipe, an_epoch = made(name), 1000
    share = rate_share(recipe, epoch / recipe.epochs, recipe.epochs * an_epoch)
    assert recipe.lr * share == pytest.approx(rate, rel=1e-3)


def test_what_else_the_papers_say() -> None:
    assert (made("googlenet").auxiliary, made("lenet").loss, made("lenet").batch_size) == (0.3, "map", 1)
    assert (made("efficientnet").optimizer, made("mobilenet").optimizer) == ("rmsprop", "rmsprop")
    assert (made("convnext").augmentation.mixup, made("convnext").augmentation.cutmix) == (0.8, 1.0)
    assert made("wide_resnet").nesterov
    assert not made("resnet").nesterov
    assert made("bn_inception").weight_decay == pytest.approx(made("googlenet").weight_decay / 5)
