from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

import lenext
from lenext import UserError, list_models, registry
from lenext.models import lookup
from lenext.registry import Facts, register

FACTS = Facts(paper="1512.03385", year=2015, params=1, macs=1, size=224, smallest=32, strides=(1,))


def test_a_name_is_registered_once() -> None:
    def lenet5(**options: object) -> None: ...

    with pytest.raises(ValueError, match="lenet5 is registered twice: in lenet and in test_registry"):
        register(FACTS)(lenet5)


def test_an_unknown_name_lists_close_matches() -> None:
    with pytest.raises(UserError, match=r"no model is called 'lenet_5'; did you mean lenet5"):
        lookup("lenet_5")
    with pytest.raises(UserError, match="see `lenext models`"):
        lookup("zzz")


def test_the_list_can_be_narrowed_to_a_family() -> None:
    assert list_models(family="mlp") == ["mlp"]
    assert set(list_models(family="lenet")) == {"lenet5", "lenet5_valid", "lenet5_sigmoid", "lenet5_1998"}
    with pytest.raises(UserError, match="no family is called 'none'; there are lenet, mlp, alexnet"):
        list_models(family="none")


def test_papers_have_an_address() -> None:
    assert FACTS.paper_url == "https://arxiv.org/abs/1512.03385"
    assert lookup("lenet5").facts.paper_url == "https://doi.org/10.1109/5.726791"


@pytest.mark.parametrize("future", ["from __future__ import annotations\n", ""])
@pytest.mark.parametrize("returned", [" -> MLP", ""])
def test_an_architecture_may_be_registered_in_any_module(
    future: str, returned: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        f"{future}from lenext.models.mlp import MLP",
        "from lenext.registry import Facts, register",
        "FACTS = Facts(paper='1998', year=1998, params=1, macs=1, size=28, smallest=1, strides=(), size_bound=True)",
        "@register(FACTS)",
        f"def mine(**options: object){returned}: return MLP(**options)",
    ]
    (tmp_path / "mine.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    importlib.import_module("mine")
    assert lenext.create("mine", size=8, in_channels=3, hidden=5)(torch.zeros(2, 3, 8, 8)).shape == (2, 1000)
    if returned:
        with pytest.raises(UserError, match=r"mine: hidden 'five' cannot be; give a whole number"):
            lenext.create("mine", hidden="five")
