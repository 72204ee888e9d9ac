"""`lenext explore`."""

from __future__ import annotations

from typing import Annotated

import typer

from lenext.cli.output import interrupts_held, say

HOST = "127.0.0.1"


def explore(
    port: Annotated[int, typer.Option(help="The port; 0 takes one that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only say the address.")] = False,
) -> None:
    """Show every architecture in the browser: stages, shapes and cost, two side by side, all in one chart.

    Example: [bold]lenext explore[/bold]
    """
    from lenext.errors import UserError

    with interrupts_held():
        try:
            from lenext.serving.serve import listening, make_server
        except ModuleNotFoundError as error:
            raise UserError(f"lenext explore needs {error.name}: pip install 'lenext[serve]'") from None
        import lenext.cost.profile  # noqa: F401  # torch, which bears no Ctrl-C while it is loaded

        made = listening(HOST, port, None)
    address = f"http://{HOST}:{made.getsockname()[1]}/models"

    def ready() -> None:
        say(f"{address}; Ctrl-C ends it")
        if not no_browser:
            import threading
            import webbrowser

            # A browser in the terminal does not come back before it is closed, and asks meanwhile.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    make_server({}, ready=ready).run(sockets=[made])
