from __future__ import annotations

import pytest

import lenext
from lenext.cost.cost import parts
from lenext.cost.folding import fold


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("stem.conv1.conv", ["stem", "conv1", "conv"]),
        ("stages.0.blocks.11.one", ["stages.0", "blocks.11", "one"]),
        ("0.1.conv", ["0", "1", "conv"]),
        ("", [""]),
    ],
)
def test_a_number_belongs_to_the_word_before_it(path: str, expected: list[str]) -> None:
    assert parts(path) == expected


@pytest.mark.parametrize("name", ["lenet5", "mlp", "vgg11_bn", "googlenet", "nin_imagenet"])
@pytest.mark.parametrize("depth", [None, 1, 2, 3])
def test_the_lines_of_a_level_add_up(name: str, depth: int | None) -> None:
    cost = lenext.profile(name)
    lines = fold(cost, depth)
    top = [line for line in lines if line.depth == 0]
    assert sum(line.total.macs for line in top) == cost.total.macs
    assert sum(line.total.params for line in top) == cost.total.params
    for index, line in enumerate(lines):
        below = []
        for other in lines[index + 1 :]:
            if other.depth <= line.depth:
                break
            if other.depth == line.depth + 1:
                below.append(other)
        if below:
            assert sum(other.total.macs for other in below) == line.total.macs
            assert sum(other.total.activations for other in below) == line.total.activations


def test_folded_to_stages() -> None:
    lines = fold(lenext.profile("googlenet"), 1)
    assert [line.label for line in lines] == ["stem", "stages.0", "stages.1", "stages.2", "head"]
    assert [line.output.shape for line in lines] == [(192, 28, 28), (480, 28, 28), (832, 14, 14), (1024, 7, 7), (1000,)]
    assert lines[0].output.stride == 8


def test_unfolded_every_layer_has_a_line() -> None:
    cost = lenext.profile("googlenet_bn")
    layers = [line for line in fold(cost) if line.kind]
    assert len(layers) == len(cost.rows)
    labels = [line.label for line in fold(cost, 2)]
    assert labels[:3] == ["stem", "conv1", "pool1"]
    assert "blocks.4" in labels
