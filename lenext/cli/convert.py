"""`lenext convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lenext.cli.arguments import JsonOption
from lenext.cli.output import interrupts_held, print_json, printable, refuse_hostile, say


def convert(
    checkpoint: Annotated[str, typer.Argument(help="A file, a run folder, hub:owner/name, or of `lenext weights`.")],
    model: Annotated[str, typer.Option(help="The architecture whose weights these are.")],
    to: Annotated[str, typer.Option(help="Whose names the tensors get: lenext, torchvision, timm, ...")],
    out: Annotated[str, typer.Option(help="The file to write, .safetensors; never one that is there.")],
    class_names: Annotated[
        Path | None, typer.Option(help="A text file of class names, one a line, where the weights have none.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write weights by the names of another library, as safetensors.

    Example: [bold]lenext convert resnet50-11ad3fa6.pth --model resnet50 --to timm --out resnet50.safetensors[/bold]
    """
    from dataclasses import asdict

    refuse_hostile(checkpoint)
    with interrupts_held():
        from lenext.conversion import convert as write

    result = write(checkpoint, model, to, out, class_names=_lines(class_names) if class_names else None)
    if result.presumed:
        say(f"note: {result.presumed}")
    if json:
        print_json(asdict(result))
    else:
        print(f"{result.model}: {result.tensors} tensors by the names of {to} in {printable(result.out)}")


def _lines(path: Path) -> list[str]:
    from lenext.errors import UserError, one_line

    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the class names in {path}: {one_line(error)}") from error
