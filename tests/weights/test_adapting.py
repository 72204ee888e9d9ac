from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden_weights import FOLDER, foreign_tensors, read_golden
from pictures import class_folder
from safetensors.torch import load_file, save_file
from skeletons import skeleton
from torch import Tensor

import lenext
from lenext.models import list_models, lookup
from lenext.weights.adapting import rows_kept, with_channels
from lenext.weights.classes import ClassList
from lenext.weights.foreign import find_layout
from lenext.weights.model_file import read_model_file, write_model_file

NAME = "resnet20_cifar"
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ResNet-20 by the names of the common public nets, whose classes are those of CIFAR-10."""
    path = tmp_path_factory.mktemp("weights") / "theirs.safetensors"
    model = lenext.create(NAME)
    torch.nn.init.normal_(model.get_parameter("head.classifier.bias"))
    save_file(find_layout(model, "pytorch_resnet_cifar10").write(model), path)
    return path


def head(model: torch.nn.Module) -> tuple[Tensor, Tensor]:
    return model.get_parameter("head.classifier.weight"), model.get_parameter("head.classifier.bias")


def test_other_classes_keep_the_backbone_and_give_a_new_head(theirs: Path) -> None:
    whole = lenext.create(NAME, weights=theirs)
    for classes in (3, 1000):
        model = lenext.create(NAME, classes=classes, weights=theirs)
        for name, tensor in model.state_dict().items():
            if name.startswith("head.classifier"):
                assert tensor.shape[0] == classes
            else:
                assert torch.equal(tensor, whole.state_dict()[name])
        weight, old = head(model)[0], head(whole)[0]
        assert not any((row == other).all() for row in weight for other in old)


def test_rows_of_classes_of_the_same_name_are_kept(theirs: Path) -> None:
    model = lenext.create(NAME, weights=theirs)
    new = lenext.create(NAME, classes=["ship", "unicorn", "cat"], weights=theirs)
    (weight, bias), (old, old_bias) = head(new), head(model)
    assert torch.equal(weight[0], old[8])
    assert torch.equal(weight[2], old[3])
    assert (bias[0], bias[2]) == (old_bias[8], old_bias[3])
    assert not any(torch.equal(weight[1], row) for row in old)
    swapped = lenext.create(NAME, classes=CIFAR[::-1], weights=theirs)
    assert torch.equal(head(swapped)[0], old.flip(0))


def test_a_number_of_unnamed_classes_keeps_its_rows_and_names_are_never_positions(tmp_path: Path) -> None:
    model = lenext.create("lenet5")
    save_file(model.state_dict(), tmp_path / "w.safetensors")  # whose classes nobody named
    assert torch.equal(head(lenext.create("lenet5", classes=10, weights=tmp_path / "w.safetensors"))[0], head(model)[0])
    lenext.convert(tmp_path / "w.safetensors", "lenet5", "lenext", tmp_path / "converted.safetensors")
    for file in ("w", "converted"):
        digits = [str(digit) for digit in range(10)]
        named = lenext.create("lenet5", classes=digits, weights=tmp_path / f"{file}.safetensors")
        assert not any((row == other).all() for row in head(named)[0] for other in head(model)[0])
    assert rows_kept(3, ClassList(("a", "b", "c")), ["a", "b", "c"]) is None
    assert rows_kept(3, ClassList(("a", "b", "b")), ["b", "c", "a"]) == [None, None, 0]


def test_a_grey_image_answers_as_the_same_image_in_colour(theirs: Path) -> None:
    colour = lenext.create(NAME, weights=theirs).eval()
    grey = lenext.create(NAME, in_channels=1, weights=theirs).eval()
    six = lenext.create(NAME, in_channels=6, weights=theirs).eval()
    image = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        expected = colour(image.expand(-1, 3, -1, -1))
        torch.testing.assert_close(grey(image), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(six(image.expand(-1, 6, -1, -1)), expected, rtol=1e-4, atol=1e-4)
    weight = torch.arange(6.0).view(1, 3, 1, 2)
    assert with_channels(weight, 1).tolist() == [[[[6.0, 9.0]]]]
    assert with_channels(weight, 2).flatten().tolist() == [0, 1.5, 3, 4.5]


def test_a_network_without_convolutions_takes_no_other_channels(tmp_path: Path) -> None:
    save_file(lenext.create("mlp").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(lenext.UserError, match="is for 1 channels, not 3, and its model has no convolution to adapt"):
        lenext.create("mlp", in_channels=3, weights=tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", list_models())
def test_every_architecture_has_a_first_convolution_and_a_row_a_class(name: str) -> None:
    model = skeleton(name)
    facts = lookup(name).facts
    if name == "mlp":
        assert model.first_convolution is None
    else:
        assert model.first_convolution is not None
        assert model.get_parameter(f"{model.first_convolution}.weight").shape[1] == facts.channels
    rows = [tensor.shape[0] for path, tensor in model.state_dict().items() if path.startswith("head.classifier.")]
    assert rows
    assert set(rows) == {facts.classes}


def test_auxiliary_classifiers_are_new_for_other_classes(tmp_path: Path) -> None:
    model = lenext.create("googlenet_bn", classes=4)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    new = lenext.create("googlenet_bn", classes=3, weights=tmp_path / "w.safetensors")
    assert [logits.shape for logits in new.forward_train(torch.randn(2, 3, 64, 64))[1]] == [(2, 3), (2, 3)]


def test_everything_else_must_fit(theirs: Path, tmp_path: Path) -> None:
    tensors = load_file(theirs)
    for name, change in (("conv1.weight", torch.zeros(16, 3, 5, 5)), ("linear.weight", torch.zeros(10, 65))):
        save_file({**tensors, name: change}, tmp_path / f"{name}.safetensors")
        with pytest.raises(lenext.UserError, match=rf"{name} is .*, not"):
            lenext.create(NAME, classes=3, in_channels=1, weights=tmp_path / f"{name}.safetensors")


def test_training_starts_from_weights_of_other_classes_and_channels(digits_run: Path, tmp_path: Path) -> None:
    class_folder(tmp_path / "photos")
    result = lenext.train(
        tmp_path / "photos", "lenet5", epochs=1, weights=digits_run, channels=3, fit="pad", out=tmp_path / "run"
    )
    trained = lenext.load(result.run)
    assert trained.class_names == ("lying", "upright")
    assert trained.preprocessing.form.channels == 3
    assert trained.preprocessing.form.fit == "pad"
    assert trained.preprocessing.mean == lenext.load(digits_run).preprocessing.mean * 3


def test_a_checkpoint_of_another_model_says_which_it_fits(theirs: Path) -> None:
    with pytest.raises(lenext.UserError) as refused:
        lenext.create("resnet32_cifar", weights=theirs)
    assert re_found("read as pytorch_resnet_cifar10's", refused)
    assert re_found("-layer1.3.conv1.weight", refused)
    assert re_found("; it fits resnet20_cifar (pytorch_resnet_cifar10)", refused)
    with pytest.raises(lenext.UserError) as refused:
        lenext.create("lenet5", weights=theirs)
    assert re_found("(tried: lenext)", refused)
    assert re_found("+conv1.weight", refused)
    assert re_found("; it fits resnet20_cifar (pytorch_resnet_cifar10)", refused)


def re_found(text: str, refused: pytest.ExceptionInfo[lenext.UserError]) -> bool:
    return text in str(refused.value)


def test_what_is_replaced_must_be_sound_too(theirs: Path, tmp_path: Path) -> None:
    tensors = load_file(theirs)
    save_file({**tensors, "linear.weight": tensors["linear.weight"] * torch.nan}, tmp_path / "nan.safetensors")
    with pytest.raises(lenext.UserError, match=r"holds NaN in linear\.weight"):
        lenext.create(NAME, classes=3, weights=tmp_path / "nan.safetensors")
    large = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    large["conv1.weight"] = torch.full((16, 3, 3, 3), 3e39, dtype=torch.float64)  # above what float32 can hold
    save_file(large, tmp_path / "large.safetensors")
    with pytest.raises(lenext.UserError, match=r"holds infinity in conv1\.weight"):
        lenext.create(NAME, weights=tmp_path / "large.safetensors")
    save_file({**tensors, "bn1.running_var": -tensors["bn1.running_var"]}, tmp_path / "negative.safetensors")
    with pytest.raises(lenext.UserError, match=r"holds a negative variance in bn1\.running_var"):
        lenext.create(NAME, weights=tmp_path / "negative.safetensors")


@pytest.mark.parametrize("classes", [[1, 2], ["a", "a"], [], "abc", 1.5, 0])
def test_classes_that_cannot_be_are_told(theirs: Path, classes: object) -> None:
    for weights in (None, theirs):
        with pytest.raises(lenext.UserError, match=r"^classes "):
            lenext.create(NAME, classes=classes, weights=weights)  # type: ignore[arg-type]


def test_a_trained_file_keeps_names_ids_and_where_its_weights_are_from(tmp_path: Path) -> None:
    """The data calls the classes by their ids, the weights know their names, and their file is of the catalog."""
    golden = read_golden(FOLDER / "timm-mobilenetv3_small_100.json")
    torch.save(foreign_tensors(golden), tmp_path / "theirs.pth")
    lenext.convert(tmp_path / "theirs.pth", "mobilenet_v3_small", "lenext", tmp_path / "ours.safetensors")
    file = read_model_file(tmp_path / "ours.safetensors")
    origin = {"weights": "mobilenet_v3_small:x", "source": "here", "licence": "mit"}
    metadata = {key: value for key, value in file.metadata.items() if key not in ("format", "lenext_version")}
    write_model_file(tmp_path / "ours.safetensors", file.tensors, {**metadata, "origin": origin}, file.trained_on)
    class_folder(tmp_path / "photos")
    (tmp_path / "photos" / "lying").rename(tmp_path / "photos" / "n01443537")
    (tmp_path / "photos" / "upright").rename(tmp_path / "photos" / "n01440764")
    run = lenext.train(
        tmp_path / "photos", "mobilenet_v3_small", weights=tmp_path / "ours.safetensors", size=32, epochs=1,
        out=tmp_path / "run",
    ).run  # fmt: skip
    trained = lenext.load(run)
    assert trained.class_names == ("tench", "goldfish")
    assert trained.classes.ids == ("n01440764", "n01443537")
    assert trained.metadata["origin"] == origin
    assert trained.preprocessing.form.size == (32, 32)
    assert lenext.evaluate(run, tmp_path / "photos").classes == 2
