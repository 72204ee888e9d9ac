"""`lenext serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lenext.cli.arguments import ThreadsOption, WeightsOption
from lenext.cli.output import interrupts_held, say

TOKEN = "LENEXT_TOKEN"


def serve(
    targets: Annotated[
        list[str], typer.Argument(help="Exported files, run folders, or a model's name with --weights.")
    ],
    host: Annotated[
        str, typer.Option(help="The address to listen on; any but this machine's own needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes one that is free.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar=TOKEN, show_envvar=True, help="What every request must know, 16 characters or more."),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another name that the server is reached by.")
    ] = None,
    wrong: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep images with wrong answers here, by their right class.")
    ] = None,
    low_confidence: Annotated[float, typer.Option(help="Below which probability a person should look.")] = 0.6,
    weights: WeightsOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Answer requests over HTTP, with a page to drop images on.

    Example: [bold]lenext serve photos.onnx --wrong wrong/[/bold]
    """
    from lenext.errors import UserError

    if not 0 <= low_confidence <= 1:
        raise UserError(f"a low confidence of {low_confidence:g} is no probability; give 0 to 1")
    with interrupts_held():
        try:
            from lenext.serving.serve import listening, make_server, named_predictors, names_of
        except ModuleNotFoundError as error:
            raise UserError(f"lenext serve needs {error.name}: pip install 'lenext[serve]'") from None
        made = listening(host, port, token)
        models = named_predictors(targets, weights=weights, threads=threads)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{made.getsockname()[1]}"

    def ready() -> None:
        say(f"{', '.join(models)}: {address}{'/?token=' + token if token else ''}")
        say(f"for programs: {address}/docs; Ctrl-C ends it")

    server = make_server(
        models, hosts=names_of(host, allow_host or []), token=token, threads=threads,
        low_confidence=low_confidence, wrong=wrong, ready=ready,
    )  # fmt: skip
    server.run(sockets=[made])
