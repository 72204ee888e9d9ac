"""`lenext models`."""

from __future__ import annotations

from lenext.cli.output import JsonOption, interrupts_held, plain_table, print_json, print_table


def models(json: JsonOption = False) -> None:
    """List every architecture: family, year, parameters, multiply-adds, native image side.

    Example: [bold]lenext models --json[/bold]
    """
    with interrupts_held():
        from lenext.models import list_models, lookup

    entries = [lookup(name) for name in list_models()]
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
    table = plain_table("model", "family", "year", "parameters", "multiply-adds", "side", "paper",
                        right=("parameters", "multiply-adds", "side"))  # fmt: skip
    for entry in entries:
        facts = entry.facts
        row = (entry.name, entry.family, str(facts.year), f"{facts.params:,}", _short(facts.macs), str(facts.size))
        table.add_row(*row, facts.paper_url)
    print_table(table)


def _short(count: int) -> str:
    return f"{count / 1e9:.3f} G" if count >= 1e9 else f"{count / 1e6:.3f} M"
