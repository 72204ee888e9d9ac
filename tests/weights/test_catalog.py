from __future__ import annotations

import re

import pytest

import lenext
from lenext.creation import pretrained
from lenext.data.preprocessing import Preprocessing
from lenext.errors import UserError
from lenext.models import lookup
from lenext.weights.catalog import catalog, find_published, recognise, usual

BY_NAME = {entry.name: entry for entry in catalog()}


def test_every_entry_is_of_an_architecture_and_has_its_size_and_classes() -> None:
    assert len(BY_NAME) == len(catalog()) > 200
    for entry in catalog():
        facts = lookup(entry.model).facts
        form = Preprocessing.from_json(entry.preprocessing, entry.name).form
        assert min(form.size) >= facts.smallest
        assert form.size == (facts.size, facts.size) or not facts.size_bound
        assert len(entry.class_list) in (10, 1000, 11221, 11821, 21841)
        assert re.fullmatch(r"|[0-9a-f]{8}|[0-9a-f]{64}", entry.sha256)
        if entry.url:
            assert entry.url.startswith("https://download.pytorch.org/models/")
            assert entry.url.endswith(f"-{entry.sha256}.pth")
        assert (entry.hub or "").startswith("timm/") == (entry.library == "timm")


def test_the_figures_of_torchvision_are_those_of_its_pages() -> None:
    second = BY_NAME["resnet50:torchvision-v2"]
    assert (second.sha256, second.top1, second.top5) == ("11ad3fa6", 80.858, 95.434)
    assert round(224 / second.preprocessing["crop_ratio"]) == 232
    assert second.licence is None  # its wheel says none
    assert BY_NAME["efficientnet_b1:torchvision-v1"].preprocessing["interpolation"] == "bicubic"


def test_networks_that_change_their_input_themselves_have_that_in_their_preprocessing() -> None:
    for name in ("googlenet_bn", "inception_v3"):
        assert BY_NAME[f"{name}:torchvision-v1"].preprocessing["mean"] == [0.5, 0.5, 0.5]
    assert BY_NAME["resnet18:torchvision-v1"].preprocessing["mean"] == [0.485, 0.456, 0.406]


def test_timm_rounds_what_it_resizes_to_down() -> None:
    form = BY_NAME["resnet50:timm-a1_in1k"].preprocessing
    assert (form["interpolation"], round(224 / form["crop_ratio"])) == ("bicubic", 235)  # 224 / 0.95 is 235.8
    assert BY_NAME["convnext_tiny:timm-fb_in22k_ft_in1k_384"].preprocessing["fit"] == "squash"
    assert BY_NAME["preresnet50:timm-a1h_in1k"].hub == "timm/resnetv2_50.a1h_in1k"


@pytest.mark.parametrize(
    ("model", "library", "classes", "expected"),
    [
        ("mobilenet_v2", "torchvision", 1000, "mobilenet_v2:torchvision-v1"),  # not the file that only a hash knows
        ("mobilenet_v2", "torchvision", 7, "mobilenet_v2:torchvision-v1"),
        ("mobilenet_v3_large", "timm", 1000, "mobilenet_v3_large:timm-ra_in1k"),
        ("mobilenet_v3_large", "timm", 11221, "mobilenet_v3_large:timm-miil_in21k"),
        ("convnext_base", "timm", 1000, "convnext_base:timm-fb_in22k_ft_in1k"),  # timm's own choice
        ("convnext_base", "timm", 21841, "convnext_base:timm-fb_in22k"),
        ("wide_resnet101_2", "timm", 1000, "wide_resnet101_2:timm-tv_in1k"),
        ("resnet56_cifar", "pytorch_resnet_cifar10", 10, "resnet20_cifar:akamaster"),
        ("efficientnet_b7", "timm", 1000, None),  # others of its family see smaller images
        ("preresnet110_cifar", "timm", 10, None),
        ("densenet_bc100_12_cifar", "torchvision", 10, None),
        ("lenet5", "lenext", 10, None),
    ],
)
def test_a_file_that_says_nothing_is_like_the_librarys_own_choice(
    model: str, library: str, classes: int, expected: str | None
) -> None:
    found = usual(model, library, classes)
    assert (found.name if found else None) == expected


def test_a_file_is_known_by_its_hash() -> None:
    entry = recognise("11ad3fa6" + "0" * 56)
    assert entry is not None
    assert entry.name == "resnet50:torchvision-v2"
    assert recognise("11ad3fa7" + "0" * 56) is None


def test_what_the_catalog_has_not_is_told() -> None:
    with pytest.raises(
        UserError, match=r"the catalog has no 'resnet50:torchvision-v3'; did you mean resnet50:torchvis"
    ):
        find_published("resnet50:torchvision-v3")
    with pytest.raises(UserError, match="the catalog has no 'resnet50:a1'; did you mean"):
        lenext.create("resnet50", weights="resnet50:a1")
    with pytest.raises(UserError, match="there is no 'lenet5:best'"):
        lenext.create("lenet5", weights="lenet5:best")
    with pytest.raises(UserError, match="the catalog knows no address of mobilenet_v2:coral; give the file"):
        pretrained("mobilenet_v2", "mobilenet_v2:coral")


def test_all_names_or_those_of_one_architecture() -> None:
    assert BY_NAME.keys() - set(lenext.list_weights()) == {"mobilenet_v2:coral", "resnet20_cifar:akamaster"}
    assert lenext.list_weights("vgg16_bn") == ["vgg16_bn:torchvision-v1", "vgg16_bn:timm-tv_in1k"]
    assert lenext.list_weights("lenet5") == []
