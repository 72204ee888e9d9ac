"""What was published of each model: parameters exact or as rounded, multiply-adds to 1 %, errors with protocol."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import lenext
from lenext.models import lookup

DOCS = Path(__file__).parents[2] / "docs"

# Parameters in millions where a paper rounds, exact where they were counted; multiply-adds in units of 10^9.
FIGURES = {
    "lenet5": (61_706, 0.417e-3),
    "lenet5_valid": (44_426, None),
    "mlp": (101_770, 0.102e-3),
    "lenet5_1998": (60_000, None),
    "alexnet": (61_100_840, 0.714),
    "alexnet_2012": (60_965_224, 0.7244),
    "alexnet_96": (62_378_344, 1.1353),
    "zfnet": (62_357_608, 1.168),
    "overfeat_fast": (145.9, 2.80),
    "overfeat_accurate": (144.7, 5.36),
    "vgg11": (132_863_336, 7.609),
    "vgg13": (133_047_848, 11.308),
    "vgg16": (138_357_544, 15.470),
    "vgg19": (143_667_240, 19.632),
    "vgg16_c": (133.64, 11.77),
    "nin_cifar": (0.97, 0.222),
    "nin_imagenet": (7.60, 1.10),
    "googlenet_bn": (6_624_904, 1.498),
    "googlenet": (6_998_552, 1.5827),
    "bn_inception": (11_285_224, 2.0326),
    "inception_v3": (23_834_568, 5.713),
    "inception_v4": (42_679_816, 12.254),
    "inception_resnet_v2": (55_843_464, 13.156),
    "highway19": (2_256_838, 0.331),
    "highway32": (1_255_270, None),
    "prelunet_a": (178_032_072, 19.0),
    "resnet18": (11_689_512, 1.814),
    "resnet34": (21_797_672, 3.664),
    "resnet50": (25_557_032, 4.089),
    "resnet101": (44_549_160, 7.801),
    "resnet152": (60_192_808, 11.514),
    "resnet20_cifar": (269_722, 40.6e-3),
    "resnet32_cifar": (464_154, 68.9e-3),
    "resnet44_cifar": (658_586, 97.2e-3),
    "resnet56_cifar": (853_018, 125.5e-3),
    "resnet110_cifar": (1_727_962, 252.9e-3),
    "resnet1202_cifar": (19_421_274, 2.829),
    "resnet50_v1": (25_557_032, 3.858),
    "resnet101_v1": (44_549_160, 7.570),
    "resnet152_v1": (60_192_808, 11.282),
    "resnet50c": (25_576_264, 4.329),
    "resnet50d": (25_576_264, 4.329),
    "preresnet110_cifar": (1_730_522, None),
    "preresnet164_cifar": (1_703_258, None),
    "preresnet1001_cifar": (10_327_706, None),
    "preresnet50": (25_549_352, None),
    "preresnet101": (44_541_480, None),
    "wide_resnet50_2": (68_883_240, 11.398),
    "wide_resnet101_2": (126_886_696, 22.753),
    "wrn40_4_cifar": (8_949_210, 1.299),
    "wrn16_8_cifar": (10_961_370, 1.548),
    "wrn28_10_cifar": (36_479_194, 5.243),
    "resnext50_32x4d": (25_028_904, 4.23),
    "resnext101_32x8d": (88_791_336, 16.41),
    "resnext101_64x4d": (83_455_272, 15.46),
    "resnext29_8x64d_cifar": (34_426_698, 5.387),
    "densenet121": (7_978_856, 2.834),
    "densenet161": (28_681_000, 7.728),
    "densenet169": (14_149_480, 3.36),
    "densenet201": (20_013_928, 4.291),
    "densenet264": (33_337_704, 5.752),
    "densenet40_12_cifar": (1_019_722, 0.265),
    "densenet100_12_cifar": (6_979_642, 1.770),
    "densenet_bc100_12_cifar": (769_162, 0.288),
    "mobilenet_v1": (4_231_976, 0.569),
    "mobilenet_v1_075": (2_585_560, 0.325),
    "mobilenet_v1_050": (1_331_592, 0.150),
    "mobilenet_v1_025": (470_072, 0.041),
    "mobilenet_v2": (3_504_872, 0.300),
    "mobilenet_v3_large": (5_483_032, 0.217),
    "mobilenet_v3_small": (2_542_856, 56.5e-3),
    "efficientnet_b0": (5_288_548, 0.386),
    "efficientnet_b1": (7_794_184, 0.687),
    "efficientnet_b2": (9_109_994, 1.088),
    "efficientnet_b3": (12_233_232, 1.827),
    "efficientnet_b4": (19_341_616, 4.394),
    "efficientnet_b5": (30_389_784, 10.266),
    "efficientnet_b6": (43_040_704, 19.068),
    "efficientnet_b7": (66_347_960, 37.746),
    "convnext_tiny": (28_589_128, 4.46),
    "convnext_small": (50_223_688, 8.68),
    "convnext_base": (88_591_464, 15.36),
    "convnext_large": (197_767_336, 34.36),
    "convnext_xlarge": (350_196_968, 60.92),
}

CIFAR = "with augmentation"

ERRORS = {
    "lenet5_1998": (0.95, None, "test set"),
    "alexnet": (43.5, 20.9, "one crop"),
    "alexnet_2012": (40.7, 18.2, "ten views"),
    "zfnet": (38.4, 16.5, "ten views"),
    "overfeat_fast": (39.28, 17.12, "one scale, coarse"),
    "overfeat_accurate": (35.74, 14.18, "four scales"),
    "vgg11": (29.6, 10.4, "dense at 256"),
    "vgg13": (28.7, 9.9, "dense at 256"),
    "vgg16": (27.0, 8.8, "dense at 256"),
    "vgg19": (27.3, 9.0, "dense at 256"),
    "vgg16_c": (28.1, 9.4, "dense at 256"),
    "nin_cifar": (8.81, None, "with augmentation"),
    "googlenet": (None, 10.07, "one crop"),
    "bn_inception": (25.2, 7.82, "one crop"),
    "inception_v3": (21.2, 5.6, "one crop"),
    "inception_v4": (20.0, 5.0, "one crop, without the blacklisted images"),
    "inception_resnet_v2": (19.9, 4.9, "one crop, without the blacklisted images"),
    "highway19": (7.54, None, CIFAR),
    "highway32": (8.80, None, CIFAR),
    "resnet18": (30.2, None, "one crop"),
    "resnet34": (26.7, None, "one crop"),
    "resnet50": (23.9, None, "one crop"),
    "resnet101": (22.6, None, "one crop"),
    "resnet152": (21.7, None, "one crop"),
    "resnet20_cifar": (8.75, None, CIFAR),
    "resnet32_cifar": (7.51, None, CIFAR),
    "resnet44_cifar": (7.17, None, CIFAR),
    "resnet56_cifar": (6.97, None, CIFAR),
    "resnet110_cifar": (6.43, None, CIFAR),
    "resnet1202_cifar": (7.93, None, CIFAR),
    "resnet50_v1": (22.85, 6.71, "ten views"),
    "resnet101_v1": (21.75, 6.05, "ten views"),
    "resnet152_v1": (21.43, 5.71, "ten views"),
    "resnet50d": (22.8, None, "one crop"),
    "preresnet110_cifar": (6.37, None, CIFAR),
    "preresnet164_cifar": (5.46, None, CIFAR),
    "preresnet1001_cifar": (4.92, None, CIFAR),
    "wide_resnet50_2": (21.9, 6.03, "one crop"),
    "wrn40_4_cifar": (4.53, None, CIFAR),
    "wrn16_8_cifar": (4.27, None, CIFAR),
    "wrn28_10_cifar": (4.00, None, CIFAR),
    "resnext50_32x4d": (22.2, None, "one crop"),
    "resnext101_64x4d": (20.4, 5.3, "one crop"),
    "resnext29_8x64d_cifar": (3.65, None, CIFAR),
    "densenet121": (25.02, 7.71, "one crop"),
    "densenet161": (22.2, None, "one crop"),
    "densenet169": (23.80, 6.85, "one crop"),
    "densenet201": (22.58, 6.34, "one crop"),
    "densenet264": (22.15, 6.12, "one crop"),
    "densenet40_12_cifar": (5.24, None, CIFAR),
    "densenet100_12_cifar": (4.10, None, CIFAR),
    "densenet_bc100_12_cifar": (4.51, None, CIFAR),
    "mobilenet_v1": (29.4, None, "one crop"),
    "mobilenet_v1_075": (31.6, None, "one crop"),
    "mobilenet_v1_050": (36.3, None, "one crop"),
    "mobilenet_v1_025": (49.4, None, "one crop"),
    "mobilenet_v2": (28.0, None, "one crop"),
    "mobilenet_v3_large": (24.8, None, "one crop"),
    "mobilenet_v3_small": (32.6, None, "one crop"),
    "efficientnet_b0": (23.7, None, "one crop"),
    "efficientnet_b1": (21.2, None, "one crop"),
    "efficientnet_b2": (20.2, None, "one crop"),
    "efficientnet_b3": (18.9, None, "one crop"),
    "efficientnet_b4": (17.4, None, "one crop"),
    "efficientnet_b5": (16.7, None, "one crop"),
    "efficientnet_b6": (16.0, None, "one crop"),
    "efficientnet_b7": (15.6, None, "one crop"),
    "convnext_tiny": (17.9, None, "one crop"),
    "convnext_small": (16.9, None, "one crop"),
    "convnext_base": (16.2, None, "one crop"),
    "convnext_large": (15.7, None, "one crop"),
    "convnext_xlarge": (13.0, None, "one crop, trained on ImageNet-22k first"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_counts(name: str) -> None:
    params, macs = FIGURES[name]
    facts = lookup(name).facts  # what `profile` counts, as tests/cost/test_profile.py holds
    if isinstance(params, int):
        assert facts.params == params
    else:
        digits = len(str(params).partition(".")[2])
        assert round(facts.params / 1e6, digits) == params
    if macs is not None:
        assert facts.macs / 1e9 == pytest.approx(macs, rel=0.01)


def test_every_name_that_others_rely_on_is_there() -> None:
    names = set(lenext.list_models())
    assert set(FIGURES) | set(ERRORS) <= names
    assert {f"resnet{depth}{form}" for depth in (18, 34, 50, 101, 152) for form in ("", "c", "d")} <= names
    assert {"plain18", "plain34", *(f"plain{depth}_cifar" for depth in (20, 32, 44, 56))} <= names
    assert {f"preresnet{depth}" for depth in (18, 34, 50, 101, 152, 200)} <= names
    assert {"inception_resnet_v1", "vgg11_lrn", "vgg16_bn"} <= names


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    error = lookup(name).facts.errors[0]
    assert (error.top1, error.top5, error.protocol) == ERRORS[name]


def test_every_error_has_a_protocol_and_is_a_percentage() -> None:
    for name in lenext.list_models():
        for error in lookup(name).facts.errors:
            assert error.protocol
            assert error.dataset
            found = [value for value in (error.top1, error.top5) if value is not None]
            assert found
            assert all(0 < value < 100 for value in found)
            assert error.top1 is None or error.top5 is None or error.top5 < error.top1


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    return generate


@pytest.mark.parametrize("page", ["models.md", "papers.md", "training.md"])
def test_the_tables_of_the_docs_are_those_of_the_models(generate: ModuleType, page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert generate.filled(text) == text, "run: python docs/generate.py"
    assert text.count("<!-- table") == text.count("<!-- end -->") >= 1
