"""`lenext weights`."""

from __future__ import annotations

from typing import Annotated

import typer

from lenext.cli.arguments import JsonOption
from lenext.cli.output import plain_table, print_json, print_table


def weights(
    model: Annotated[str | None, typer.Argument(help="An architecture; all that have some, if not given.")] = None,
    json: JsonOption = False,
) -> None:
    """List the published weights that can be given as --weights.

    Example: [bold]lenext weights resnet50[/bold]
    """
    from dataclasses import asdict

    from lenext.errors import UserError
    from lenext.weights.catalog import catalog

    entries = [entry for entry in catalog() if model in (None, entry.model)]
    if not entries:
        from lenext.models import lookup

        lookup(str(model))
    if json:
        print_json([{"name": entry.name, **asdict(entry)} for entry in entries])
        return
    if not entries:
        raise UserError(f"the catalog has no weights of {model}; `lenext weights` lists those of others")
    table = plain_table("weights", "classes", "pixels", "top-1 %", "top-5 %", "licence", "where", right=RIGHT)
    for entry in entries:
        form = entry.preprocessing
        top1, top5 = (f"{figure:.2f}" if figure is not None else "" for figure in (entry.top1, entry.top5))
        where = f"hub:{entry.hub}" if entry.hub else entry.url or "the file, known by its hash"
        table.add_row(entry.name, entry.classes, str(form["size"][0]), top1, top5, entry.licence or "", where)
    print_table(table, WIDE)
    print(f"{len(entries)} weights; what their publishers do not say is empty")


WIDE = 220  # so that no address is broken
RIGHT = ("pixels", "top-1 %", "top-5 %")
