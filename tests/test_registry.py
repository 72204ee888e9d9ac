from __future__ import annotations

import pytest

from lenext import UserError, list_models
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
