"""Rotation, shear and translation of batches of images, uint8 (N, H, W, C), as one function of per-image matrices.

A matrix is that of the way back, as for Pillow's `Image.transform`: from where a pixel of the result lies to where its
level comes from. Positions are in pixels, x to the right and y down, from the centre of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def rotations(degrees: Tensor) -> Tensor:
    """Return the matrices that turn anticlockwise: (N,) -> (N, 2, 3)."""
    cosines, sines = torch.deg2rad(degrees).cos(), torch.deg2rad(degrees).sin()
    none = torch.zeros_like(degrees)
    return _matrices((cosines, -sines, none), (sines, cosines, none))


def shears_x(amounts: Tensor) -> Tensor:
    """Return the matrices that move each row to the left by `amounts` times its y: (N,) -> (N, 2, 3)."""
    one, none = torch.ones_like(amounts), torch.zeros_like(amounts)
    return _matrices((one, amounts, none), (none, one, none))


def shears_y(amounts: Tensor) -> Tensor:
    """Return the matrices that move each column up by `amounts` times its x: (N,) -> (N, 2, 3)."""
    one, none = torch.ones_like(amounts), torch.zeros_like(amounts)
    return _matrices((one, none, none), (amounts, one, none))


def translations_x(distances: Tensor) -> Tensor:
    """Return the matrices that move to the right by so many pixels: (N,) -> (N, 2, 3)."""
    one, none = torch.ones_like(distances), torch.zeros_like(distances)
    return _matrices((one, none, -distances), (none, one, none))


def translations_y(distances: Tensor) -> Tensor:
    """Return the matrices that move down by so many pixels: (N,) -> (N, 2, 3)."""
    one, none = torch.ones_like(distances), torch.zeros_like(distances)
    return _matrices((one, none, none), (none, one, -distances))


def affine(pixels: Tensor, matrices: Tensor, fill: Tensor) -> Tensor:
    """Move the pixels of each image by its matrix (N, 2, 3), bilinear; what lies outside has the levels `fill` (C,).

    Within a pixel of the border the image blends into `fill`, where Pillow stops short.
    """
    width = pixels.shape[2]
    fill = fill.to(torch.float32).to(pixels.device)
    # As if the surroundings were 0, which is what grid_sample can do.
    raised = (pixels.flatten(2) - fill.repeat(width)).view(pixels.shape).permute(0, 3, 1, 2)  # (N, C, H, W)
    sampled = functional.grid_sample(raised, _grid(matrices, pixels), "bilinear", "zeros", align_corners=False)
    levels = sampled.add_(fill[:, None, None] + 0.5).clamp_(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous()


def _grid(matrices: Tensor, pixels: Tensor) -> Tensor:
    """Return where each pixel comes from, -1 to 1 from edge to edge of the image: (N, 2, 3) -> (N, H, W, 2).

    x and y each lie in memory of their own, which grid_sample reads fastest; affine_grid is slower, and its matrix
    product lets an image depend on the size of the batch.
    """
    _, height, width, _ = pixels.shape
    scaled = torch.stack((matrices[:, 0] * (2 / width), matrices[:, 1] * (2 / height)))  # (2, N, 3)
    scaled = scaled.to(torch.float32).to(pixels.device)
    towards_x, towards_y, offsets = scaled[..., None, None].unbind(2)  # (2, N, 1, 1) each
    x, y = (torch.arange(side, device=pixels.device) - (side - 1) / 2 for side in (width, height))
    grid = towards_x * x + (towards_y * y[:, None] + offsets)  # (2, N, H, W)
    return grid.permute(1, 2, 3, 0)


def _matrices(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Return the matrices (N, 2, 3) with these rows of three times (N,)."""
    return torch.stack([torch.stack(row, -1) for row in rows], 1)
