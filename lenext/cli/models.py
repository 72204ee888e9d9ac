"""`lenext models`."""

from __future__ import annotations

from typing import Annotated

import typer

from lenext.cli.arguments import JsonOption, parse_count, parse_years
from lenext.cli.output import interrupts_held, plain_table, print_json, print_table, say, short


def models(
    family: Annotated[str | None, typer.Option(help="Only this family, such as vgg.")] = None,
    year: Annotated[str | None, typer.Option(help="Only of this year, or these: 2014, 2012-2014, 2015-.")] = None,
    max_params: Annotated[str | None, typer.Option(help="At most so many parameters: 25M.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="At most so many multiply-adds an image: 4.1G.")] = None,
    sort: Annotated[str | None, typer.Option(help="Smallest first: name, family, year, params, macs or size.")] = None,
    json: JsonOption = False,
) -> None:
    """List architectures: family, year, parameters, multiply-adds, native image side.

    Example: [bold]lenext models --max-params 10M --sort macs[/bold]
    """
    years, params, macs = parse_years(year), parse_count(max_params), parse_count(max_macs)
    with interrupts_held():
        from lenext.models import list_models, lookup

    names = list_models(family=family, year=years, max_params=params, max_macs=macs, sort=sort)
    entries = [lookup(name) for name in names]
    if json:
        print_json(
            [
                {
                    "name": entry.name,
                    "family": entry.family,
                    "year": entry.facts.year,
                    "paper": entry.facts.paper_url,
                    "params": entry.facts.params,
                    "macs": entry.facts.macs,
                    "size": entry.facts.size,
                }
                for entry in entries
            ]
        )
        return
    if not entries:
        say("no model fits; lenext models without filters lists them all")
        return
    table = plain_table("model", "family", "year", "parameters", "multiply-adds", "side", "paper",
                        right=("parameters", "multiply-adds", "side"))  # fmt: skip
    for entry in entries:
        facts = entry.facts
        row = (entry.name, entry.family, str(facts.year), f"{facts.params:,}", short(facts.macs), str(facts.size))
        table.add_row(*row, facts.paper_url)
    print_table(table)
