"""Weights of other libraries: the whole checkpoint is made anew, loaded, and the answers are those of the library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from golden_weights import FOLDER, foreign_tensors, gap, load_foreign, read_golden
from safetensors.torch import save_file
from skeletons import reduced
from torch import Tensor

import lenext
from lenext.models import ImageClassifier
from lenext.weights.keymaps import layouts
from lenext.weights.keymaps.layout import COUNTER, Layout, numbered

GOLDENS = sorted(path.stem for path in FOLDER.glob("t*-*.json"))  # of torchvision and timm
# benchmarks/goldens.py runs every one there is.
ANSWERED = [
    "torchvision-alexnet", "torchvision-vgg11_bn", "torchvision-vgg16", "timm-vgg16",
    "torchvision-resnet18", "torchvision-resnet50", "torchvision-resnext50_32x4d",
    "timm-resnet50d", "timm-resnetv2_18", "timm-resnetv2_50", "torchvision-densenet121",
    "timm-densenet121", "torchvision-inception_v3", "timm-inception_v4", "timm-inception_resnet_v2",
    "timm-mobilenetv1_100", "torchvision-mobilenet_v2", "timm-mobilenetv2_100", "torchvision-mobilenet_v3_small",
    "torchvision-mobilenet_v3_large", "timm-mobilenetv3_small_100", "torchvision-efficientnet_b0",
    "timm-efficientnet_b0", "torchvision-efficientnet_b5", "timm-efficientnet_b6", "torchvision-convnext_tiny",
    "timm-convnext_tiny",
]  # fmt: skip
# The same maps of names as others have, at another depth, width or stem.
ANSWERED_LATER = ["torchvision-vgg19", "torchvision-wide_resnet50_2", "timm-resnet50c"]
VGGS = [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")]
LARGEST_GAP = 1e-7


def layout_of(model: ImageClassifier, library: str) -> Layout:
    (found,) = (layout for layout in layouts(model) if layout.library == library)
    return found


def without_storage(name: str, **options: object) -> ImageClassifier:
    with torch.device("meta"):
        return lenext.create(name, **options)  # type: ignore[arg-type]


def weights(model: ImageClassifier) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.fixture(scope="module")
def googlenet() -> ImageClassifier:
    return lenext.create("googlenet_bn", classes=5)


@pytest.fixture
def theirs(googlenet: ImageClassifier) -> dict[str, Tensor]:
    """GoogLeNet's weights as torchvision names them."""
    return layout_of(googlenet, "torchvision").write(googlenet)


@pytest.mark.parametrize("name", [*ANSWERED, *(pytest.param(name, marks=pytest.mark.full) for name in ANSWERED_LATER)])
def test_the_answers_are_those_of_the_other_library(name: str) -> None:
    golden = read_golden(FOLDER / f"{name}.json")
    model = lenext.create(golden["ours"])
    load_foreign(model, foreign_tensors(golden), where=name)
    assert sum(parameter.numel() for parameter in model.parameters()) == golden["parameters"]
    found = gap(model, golden)
    assert found.logits <= LARGEST_GAP
    assert found.norm <= LARGEST_GAP
    assert found.same_class


def test_a_file_of_another_library_is_taken_as_weights(tmp_path: Path) -> None:
    golden = read_golden(FOLDER / "torchvision-googlenet.json")
    save_file(foreign_tensors(golden), tmp_path / "googlenet.safetensors", metadata={"format": "pt"})
    model = lenext.create("googlenet_bn", weights=tmp_path / "googlenet.safetensors")
    assert sum(parameter.numel() for parameter in model.parameters()) == golden["parameters"] == 13_004_888
    found = gap(model, golden)
    assert max(found.logits, found.norm) <= LARGEST_GAP
    assert found.same_class
    with torch.no_grad():
        model.get_parameter("stages.2.blocks.1.five.conv.conv.weight").mul_(1.001)
    assert gap(model, golden).norm > LARGEST_GAP


@pytest.mark.parametrize("name", GOLDENS)
def test_a_key_map_gives_every_name_and_shape_of_the_checkpoint(name: str) -> None:
    golden = read_golden(FOLDER / f"{name}.json")
    model = without_storage(golden["ours"])
    written = layout_of(model, golden["source"].split()[0]).write(model)
    assert {theirs: list(tensor.shape) for theirs, tensor in written.items()} == golden["tensors"]


@pytest.mark.parametrize("name", VGGS)
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_every_vgg_is_recognised_in_both_libraries(name: str, library: str) -> None:
    model = without_storage(name)
    layout = layout_of(model, library)
    written = layout.write(model)
    assert [layout.fit(model, written) == len(written) for layout in layouts(model)] == [
        layout.library == library for layout in layouts(model)
    ]
    read = layout.read(model, written).tensors
    assert {name: tensor.shape for name, tensor in read.items()} == {
        name: tensor.shape for name, tensor in model.state_dict().items()
    }


@pytest.mark.parametrize("name", ["vgg11", "vgg13_bn"])
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_what_is_written_in_a_layout_is_read_again(name: str, library: str) -> None:
    model = lenext.create(name, classes=3, in_channels=1, size=64)
    theirs = layout_of(model, library).write(model)
    fresh = lenext.create(name, classes=3, in_channels=1, size=64)
    load_foreign(fresh, theirs, where="file")
    assert_same(weights(fresh), weights(model))


def test_names_of_data_parallel_are_unwrapped(googlenet: ImageClassifier, theirs: dict[str, Tensor]) -> None:
    fresh = lenext.create("googlenet_bn", classes=5)
    load_foreign(fresh, {f"module.{name}": tensor for name, tensor in theirs.items()}, where="file")
    assert_same(weights(fresh), weights(googlenet))


def test_a_prefix_that_only_some_names_have_is_theirs(googlenet: ImageClassifier, theirs: dict[str, Tensor]) -> None:
    mixed = {("module." if name == "fc.bias" else "") + name: tensor for name, tensor in theirs.items()}
    with pytest.raises(lenext.UserError, match=r"-fc\.bias \+module\.fc\.bias"):
        load_foreign(googlenet, mixed, where="file")


def test_auxiliary_classifiers_stay_out_where_the_model_has_none(theirs: dict[str, Tensor]) -> None:
    model = lenext.create("googlenet_bn", classes=5, auxiliary=False)
    load_foreign(model, theirs, where="file")
    assert torch.equal(model.head.classifier.weight, theirs["fc.weight"])  # type: ignore[arg-type]
    with pytest.raises(lenext.UserError, match=r"\+aux3\.fc\.bias"):
        load_foreign(model, {**theirs, "aux3.fc.bias": torch.zeros(1)}, where="file")


def test_auxiliary_classifiers_stay_as_they_are_where_the_file_has_none(theirs: dict[str, Tensor]) -> None:
    model = lenext.create("googlenet_bn", classes=5)
    before = weights(model)
    load_foreign(model, {name: t for name, t in theirs.items() if not name.startswith("aux")}, where="file")
    for name, tensor in weights(model).items():
        if name.endswith("conv.weight"):
            assert torch.equal(tensor, before[name]) == name.startswith("stages.1.auxiliary."), name


def test_checkpoints_from_before_batches_were_counted(googlenet: ImageClassifier, theirs: dict[str, Tensor]) -> None:
    uncounted = {name: tensor for name, tensor in theirs.items() if not name.endswith(COUNTER)}
    assert len(uncounted) < len(theirs)
    fresh = lenext.create("googlenet_bn", classes=5)
    load_foreign(fresh, uncounted, where="file")
    assert_same(weights(fresh), weights(googlenet))
    uncounted["conv1.bn.num_batches_tracked"] = torch.tensor(0)  # some are counted, so that the others are missing
    with pytest.raises(lenext.UserError, match=r"-conv2\.bn\.num_batches_tracked"):
        load_foreign(fresh, uncounted, where="file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": None}, r"^file, read as torchvision's, does not fit GoogLeNet: -fc\.bias $"),
        ({"fc.scale": torch.zeros(5)}, r"GoogLeNet:  \+fc\.scale$"),
        ({"fc.weight": torch.zeros(7, 1024)}, r"fc\.weight is 7x1024, not 5x1024$"),
        ({"fc.weight": torch.zeros(5, 1024, 1, 1)}, r"fc\.weight is 5x1024x1x1, not 5x1024"),
        ({"fc.weight": torch.zeros(5, 1024, dtype=torch.int8)}, r"fc\.weight is 5x1024 int8, not 5x1024"),
        # One of our names in their file is as foreign as any other.
        ({"head.classifier.bias": torch.zeros(5)}, r"GoogLeNet:  \+head\.classifier\.bias$"),
        ({"head.classifier.bias": torch.zeros(5), "fc.bias": None}, r"-fc\.bias \+head\.classifier\.bias$"),
    ],
)
def test_what_does_not_fit_is_told_in_their_names_and_nothing_is_loaded(
    theirs: dict[str, Tensor], change: dict[str, Tensor | None], message: str
) -> None:
    model = lenext.create("googlenet_bn", classes=5)
    before = weights(model)
    tensors = {name: tensor for name, tensor in {**theirs, **change}.items() if tensor is not None}
    with pytest.raises(lenext.UserError, match=message):
        load_foreign(model, tensors, where="file")
    assert_same(weights(model), before)


def test_weights_of_another_family_or_depth_are_refused() -> None:
    vgg = without_storage("vgg11")
    alexnet = layout_of(without_storage("alexnet"), "torchvision").write(without_storage("alexnet"))
    with pytest.raises(lenext.UserError, match=r"VGG: -features\.11\.weight .* \+classifier\.1\.weight"):
        load_foreign(vgg, alexnet, where="file")
    deeper = without_storage("vgg13")
    for library, own in (("torchvision", "classifier.0.weight"), ("timm", "pre_logits.fc1.weight")):
        with pytest.raises(lenext.UserError, match=rf"read as {library}'s.*\+features\.2\.weight") as refused:
            load_foreign(vgg, layout_of(deeper, library).write(deeper), where="file")
        assert own not in str(refused.value)
    with pytest.raises(lenext.UserError, match=r"-features\.4\.weight"):  # response normalisation is a layer too
        load_foreign(without_storage("vgg11_lrn"), layout_of(vgg, "torchvision").write(vgg), where="file")
    paper = without_storage("googlenet")
    modern = without_storage("googlenet_bn")
    with pytest.raises(lenext.UserError, match=r"-conv1\.conv\.bias .*\+conv1\.bn\.weight"):
        load_foreign(paper, layout_of(modern, "torchvision").write(modern), where="file")


def test_a_family_without_a_key_map_takes_its_own_names(tmp_path: Path) -> None:
    model = lenext.create("lenet5")
    save_file(model.state_dict(), tmp_path / "lenet.safetensors")
    assert_same(weights(lenext.create("lenet5", weights=tmp_path / "lenet.safetensors")), weights(model))
    save_file({"conv1.weight": torch.zeros(6, 1, 5, 5)}, tmp_path / "theirs.safetensors")
    with pytest.raises(lenext.UserError, match=r"as lenext's \(tried: lenext\), .* -stages.0.conv.* \+conv1.weight$"):
        lenext.create("lenet5", weights=tmp_path / "theirs.safetensors")


def test_a_file_that_does_not_say_what_it_is_needs_a_name(tmp_path: Path) -> None:
    save_file({"fc.bias": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(lenext.UserError, match="does not say of which architecture it is; give its name"):
        lenext.load(tmp_path / "w.safetensors")


def test_a_key_map_that_forgets_or_repeats_a_tensor_is_a_fault() -> None:
    layout = Layout(library="theirs", paths={"a": "b", "a.c.bias": "d", "e": "b"})
    assert layout.names(["a.c.weight", "a.c.bias"]) == {"a.c.weight": "b.c.weight", "a.c.bias": "d"}
    with pytest.raises(LookupError, match=r"forgets f\.weight"):
        layout.names(["f.weight"])
    with pytest.raises(LookupError, match="one name to two"):
        layout.names(["a.weight", "e.weight"])


def test_layers_are_counted_as_in_one_sequence() -> None:
    inner = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Identity(), torch.nn.ReLU())
    counted = numbered("features", ("stem", inner), ("pool", torch.nn.MaxPool2d(2)), ("none", torch.nn.Identity()))
    assert counted == {"stem.0": "features.0", "stem.2": "features.1", "pool": "features.2"}


@pytest.mark.parametrize("name", [name for name in lenext.list_models() if not name.startswith("lenet5")])
def test_every_key_map_names_every_tensor_once_and_reads_what_it_wrote(name: str) -> None:
    model = without_storage(name, **reduced(name))
    own = {path: tensor.shape for path, tensor in model.state_dict().items()}
    for layout in layouts(model):
        written = layout.write(model)
        assert len(written) == len(own)
        assert {path: tensor.shape for path, tensor in layout.read(model, written).tensors.items()} == own
        assert layout.fit(model, written) == len(own)


def test_the_norms_of_a_library_come_with_its_weights_and_stay_known(tmp_path: Path) -> None:
    golden = read_golden(FOLDER / "timm-mobilenetv3_small_100.json")

    def loaded(**options: float) -> ImageClassifier:
        return lenext.create("mobilenet_v3_small", weights=tmp_path / "theirs.safetensors", **options)

    save_file(foreign_tensors(golden), tmp_path / "theirs.safetensors")

    def eps(model: ImageClassifier) -> set[float]:
        return {module.eps for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)}

    model = loaded()
    assert model.spec is not None
    assert (eps(model), model.spec.options) == ({1e-5}, {"norm_eps": 1e-5})
    again = lenext.create("mobilenet_v3_small", **model.spec.options)
    assert eps(again) == {1e-5}
    assert eps(loaded(norm_eps=0.01)) == {0.01}  # whoever says what it shall be has it so


def test_the_common_names_of_cifar_nets_are_known() -> None:
    model = lenext.create("resnet20_cifar")
    layout = layout_of(model, "pytorch_resnet_cifar10")
    theirs = layout.write(model)
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer3.2.bn2.bias", "linear.bias"} <= set(
        theirs
    )
    assert theirs["linear.weight"].shape == (10, 64)
    fresh = lenext.create("resnet20_cifar")
    load_foreign(fresh, {f"module.{name}": tensor for name, tensor in theirs.items()}, where="file")
    assert_same(weights(fresh), weights(model))
    with_projections = lenext.create("resnet20_cifar", shortcut="B")
    assert "layer2.0.shortcut.0.weight" in layout_of(with_projections, "pytorch_resnet_cifar10").write(with_projections)


@pytest.mark.parametrize(("name", "other"), [("resnet50_v1", "resnet50"), ("preresnet164_cifar", "preresnet164_cifar")])
def test_nets_with_the_stride_elsewhere_are_no_other_librarys(name: str, other: str) -> None:
    assert layouts(without_storage(name)) == ()
    assert layouts(without_storage(other, stride_in="3x3"))
    with pytest.raises(lenext.UserError, match=r"read as lenext's \(tried: lenext\)"):
        load_foreign(without_storage(name), {"conv1.weight": torch.zeros(1)}, where="file")


def test_densenet_is_read_by_the_names_of_its_published_files(tmp_path: Path) -> None:
    """From before 2018, with a dot in the names of a layer's parts and without the counters of its norms."""
    golden = read_golden(FOLDER / "torchvision-densenet121.json")
    now = foreign_tensors(golden)
    published = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): tensor
        for name, tensor in now.items()
        if not name.endswith(COUNTER)
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in published
    torch.save(published, tmp_path / "densenet121-a639ec97.pth")
    model = lenext.create("densenet121", weights=tmp_path / "densenet121-a639ec97.pth")
    assert gap(model, golden).logits <= LARGEST_GAP
    del published["features.denseblock1.denselayer1.norm.1.weight"]
    torch.save(published, tmp_path / "less.pth")
    with pytest.raises(lenext.UserError, match=r"-features\.denseblock1\.denselayer1\.norm1\.weight"):
        lenext.create("densenet121", weights=tmp_path / "less.pth")


def test_vgg_of_timm_may_bear_torchvisions_names(tmp_path: Path) -> None:
    """As its published files do, which timm converts whenever it loads them."""
    model = lenext.create("vgg11", classes=5, size=32)
    save_file(layout_of(model, "torchvision").write(model), tmp_path / "w.safetensors")
    assert_same(weights(lenext.create("vgg11", size=32, weights=tmp_path / "w.safetensors")), weights(model))


@pytest.mark.parametrize("part", ["AuxLogits.fc.weight", "AuxLogits.conv0.bn.bias"])
def test_a_part_of_an_auxiliary_classifier_is_not_enough(tmp_path: Path, part: str) -> None:
    model = lenext.create("inception_v3", classes=2)
    theirs = layout_of(model, "torchvision").write(model)
    del theirs[part]
    save_file(theirs, tmp_path / "w.safetensors")
    with pytest.raises(lenext.UserError, match=rf"-{re.escape(part)}"):
        lenext.create("inception_v3", weights=tmp_path / "w.safetensors")


def test_what_training_programs_put_around_weights_is_taken_off(tmp_path: Path) -> None:
    model = lenext.create("resnet20_cifar")
    theirs = layout_of(model, "pytorch_resnet_cifar10").write(model)
    averaged = {"n_averaged": torch.tensor(3), **{f"module.{name}": tensor for name, tensor in theirs.items()}}
    stored: list[dict[str, object]] = [
        {"state_dict": {f"module.model.{name}": tensor for name, tensor in theirs.items()}, "epoch": 3},
        {"net": {"state_dict": {f"backbone.{name}": tensor for name, tensor in theirs.items()}}},
        {"model_ema": averaged},
        {"model": theirs, "model_ema": {"conv1.weight": torch.zeros(1)}, "optimizer": {"state": {0: {"step": 1.0}}}},
        {name: tensor.half().float().half() for name, tensor in theirs.items()},
    ]
    for number, checkpoint in enumerate(stored):
        torch.save(checkpoint, tmp_path / f"{number}.pth")
        loaded = lenext.create("resnet20_cifar", weights=tmp_path / f"{number}.pth")
        for name, tensor in weights(loaded).items():
            expected = model.state_dict()[name]
            torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-3)
            assert tensor.dtype == expected.dtype
