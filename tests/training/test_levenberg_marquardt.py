from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lenext.training.criterion import Criterion
from lenext.training.levenberg_marquardt import DiagonalLevenbergMarquardt
from lenext.training.recipes import Situation, make_recipe

CLASSES = 3


def criterion(loss: str) -> Criterion:
    recipe = make_recipe("lenet", Situation(train_images=100), {"loss": loss})
    return Criterion(recipe, torch.ones(CLASSES), torch.device("cpu"))


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, CLASSES)).double()


def gauss_newton(model: nn.Module, made: Criterion, images: list[Tensor]) -> list[Tensor]:
    """Return the diagonal of J^T H J, H being the loss's second derivative by the logits; the mean over images."""
    parameters = list(model.parameters())
    sums = [torch.zeros_like(each) for each in parameters]
    for image in images:
        logits = model(image)
        jacobian = [torch.autograd.grad(logit, parameters, retain_graph=True) for logit in logits[0]]
        hessian = torch.autograd.functional.hessian(lambda row: made(row[None], torch.tensor([0])), logits[0].detach())
        for total, rows in zip(sums, zip(*jacobian, strict=True), strict=True):
            stacked = torch.stack(rows).flatten(1)  # (classes, weights)
            total += torch.einsum("kw,kl,lw->w", stacked, hessian, stacked).view_as(total)
    return [total / len(images) for total in sums]


@pytest.mark.parametrize("loss", ["cross_entropy", "map"])
def test_the_curvature_is_the_diagonal_of_gauss_and_newton(loss: str) -> None:
    model, made = net(), criterion(loss)
    images = [torch.randn(1, 1, 2, 2, dtype=torch.float64) for _ in range(3)]
    optimiser = DiagonalLevenbergMarquardt(model.parameters(), lr=1e-3, damping=0.02)
    optimiser.measure(lambda image: (model(image), []), made, images * 3000, seed=(0, 1))
    for parameter, expected in zip(model.parameters(), gauss_newton(model, made, images), strict=True):
        torch.testing.assert_close(optimiser.state[parameter]["curvature"], expected, rtol=0.1, atol=2e-3)
        assert parameter.grad is None


def test_where_none_of_these_is_likely_the_loss_is_a_line() -> None:
    """Far from every class the loss of 1998 is the right class's penalty alone, which has no curvature."""
    model = net()
    with torch.no_grad():
        model.get_parameter("3.bias").fill_(-60.0)
    optimiser = DiagonalLevenbergMarquardt(model.parameters(), lr=1e-3, damping=0.02)
    images = [torch.randn(1, 1, 2, 2, dtype=torch.float64) for _ in range(20)]
    optimiser.measure(lambda image: (model(image), []), criterion("map"), images, seed=(0, 1))
    assert all(optimiser.state[parameter]["curvature"].max() < 1e-9 for parameter in model.parameters())


def test_a_step_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimiser = DiagonalLevenbergMarquardt([weight], lr=0.5, damping=0.25)
    weight.grad = torch.tensor([1.0, -2.0])
    optimiser.step()
    assert weight.tolist() == pytest.approx([1 - 0.5 / 1.25, 2 + 1 / 1.25]), "until it is measured, h is 1"
    optimiser.state[weight]["curvature"] = torch.tensor([0.75, 0.0])
    weight.data = torch.tensor([1.0, 2.0])
    optimiser.step()
    assert weight.tolist() == pytest.approx([0.5, 6])
    optimiser.param_groups[0]["weight_decay"] = 0.1
    weight.data, weight.grad = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0])
    optimiser.step()
    assert weight.tolist() == pytest.approx([1 - 0.5 * 0.1, 2 - 0.5 * 0.2 / 0.25])


def test_the_answers_are_drawn_from_the_seed() -> None:
    found = []
    for seed in ((0, 1), (0, 1), (0, 2)):
        model = net()
        optimiser = DiagonalLevenbergMarquardt(model.parameters(), lr=1e-3, damping=0.02)
        images = [torch.ones(1, 1, 2, 2, dtype=torch.float64)] * 5
        optimiser.measure(lambda image, model=model: (model(image), []), criterion("map"), images, seed=seed)
        found.append(optimiser.state[model.get_parameter("1.weight")]["curvature"])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
