from __future__ import annotations

import pytest

from lenext.errors import UserError
from lenext.weights.classes import ClassList, class_list, unnamed_classes

FISH = ClassList(("tench", "goldfish", "crane", "crane"), ("n01440764", "n01443537", "n02012849", "n03126707"))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["goldfish", "tench"], [1, 0]),
        (["n01443537", "tench"], [1, 0]),
        (["Tinca tinca", "Carassius auratus"], [0, 1]),
        (["tench, Tinca tinca"], [0]),
        (["n03126707", "n02012849"], [3, 2]),
        (["unicorn", "n99999999", ""], [None, None, None]),
        (["Tench", "0"], [None, None]),  # another case may be another class, and a number is no name
    ],
)
def test_a_class_is_found_by_name_or_by_its_wordnet_id(wanted: list[str], expected: list[int | None]) -> None:
    assert FISH.locate(wanted) == expected


def test_what_is_ambiguous_is_told() -> None:
    with pytest.raises(
        UserError, match=r"2 classes of the model are called 'crane' \(n02012849, n03126707\); use WordNet"
    ):
        FISH.locate(["crane"])
    with pytest.raises(UserError, match="'tench' and 'n01440764' are one class of the model"):
        FISH.locate(["tench", "n01440764"])


def test_names_alone_are_enough_on_either_side() -> None:
    assert ClassList(("tench", "dog")).locate(["n01440764", "dog"]) == [0, 1]
    assert ClassList(("n01440764", "n01443537")).locate(["goldfish", "tench"]) == [1, 0]
    assert ClassList(("crane", "stork")).locate(["n02012849"]) == [None]  # two classes of ImageNet are called so
    assert ClassList(("cat", "dog")).locate(["dog", "cat"]) == [1, 0]


def test_an_underscore_stands_for_a_space() -> None:
    model = ClassList(("great white shark", "hot_dog"))
    assert model.locate(["great_white_shark", "hot dog"]) == [0, 1]
    assert ClassList(("a_b", "a b")).locate(["a b", "a_b"]) == [1, 0]


def test_the_thousand_classes_are_those_of_imagenet() -> None:
    classes = class_list("imagenet-1k")
    assert classes.ids is not None
    assert len(classes) == len(set(classes.ids)) == 1000
    assert (classes.names[0], classes.ids[0]) == ("tench", "n01440764")
    assert (classes.names[207], classes.ids[207]) == ("golden retriever", "n02099601")
    assert (classes.names[999], classes.ids[999]) == ("toilet tissue", "n15075141")
    assert classes.locate(classes.ids) == list(range(1000))
    assert classes.locate(["crane bird", "maillot tank suit"]) == [134, 639]  # as torchvision calls them


@pytest.mark.parametrize(
    ("name", "count"),
    [("imagenet-12k", 11821), ("imagenet-21k-miil", 11221), ("imagenet-22k", 21841), ("cifar-10", 10)],
)
def test_other_lists_have_as_many_classes_as_their_weights(name: str, count: int) -> None:
    classes = class_list(name)
    assert len(classes) == count
    assert all(classes.names)
    if classes.ids:
        assert len(set(classes.ids)) == count


def test_classes_that_nobody_named_have_numbers() -> None:
    assert unnamed_classes(3).names == ("0", "1", "2")
