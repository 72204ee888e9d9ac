"""`lenext serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

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
    from lenext.files import exists, is_folder

    if not 0 <= low_confidence <= 1:
        raise UserError(f"a low confidence of {low_confidence:g} is no probability; give 0 to 1")
    if wrong is not None and exists(wrong) and not is_folder(wrong):
        raise UserError(f"{wrong} is a file; give --wrong a folder")
    with interrupts_held():
        try:
            from lenext.serving.serve import EVERYWHERE, bracketed, listening, make_server, named_predictors, names_of
        except ModuleNotFoundError as error:
            raise UserError(f"lenext serve needs {error.name}: pip install 'lenext[serve]'") from None
        hosts = names_of(host, allow_host or [])
        models = named_predictors(targets, weights=weights, threads=threads)
        made = listening(host, port, token)
    everywhere, port = host in EVERYWHERE, made.getsockname()[1]
    address = f"http://{'localhost' if everywhere else bracketed(host)}:{port}"
    entry = f"/?token={quote(token, safe='')}" if token else ""

    def ready() -> None:
        say(f"{', '.join(models)}: {address}{entry}")
        say(f"for programs: {address}/docs; Ctrl-C ends it")
        if everywhere and not allow_host:
            say("other machines are refused: --allow-host NAME says by which name or address they reach this one")
        elif everywhere:
            say(f"for other machines: http://{hosts[-len(allow_host or [])]}:{port}{entry}")

    server = make_server(
        models, hosts=hosts, token=token, threads=threads, low_confidence=low_confidence, wrong=wrong, ready=ready
    )
    server.run(sockets=[made])
