"""`lenext train`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lenext.cli.arguments import (
    DATA,
    CheckpointOption,
    DecayOption,
    DeviceOption,
    DropOption,
    ExcludeOption,
    FitOption,
    FreezeOption,
    GrowOption,
    JsonOption,
    LoadingOption,
    OptionsOption,
    OverridesOption,
    SizeOption,
    StartOption,
    SyncNormOption,
    ThreadsOption,
    UnfreezeOption,
    parse_options,
    parse_pairs,
    parse_size,
)
from lenext.cli.output import (
    TerminalProgress,
    elapsed,
    interrupts_held,
    print_json,
    printable,
    refuse_hostile,
    say,
)
from lenext.errors import UserError
from lenext.launch import leads

if TYPE_CHECKING:
    from lenext.training.run import TrainResult


def train(
    context: typer.Context,
    data: Annotated[str | None, DATA] = None,
    model: Annotated[str | None, typer.Option(help="An architecture; `lenext models` lists them.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    freeze: FreezeOption = None,
    unfreeze: UnfreezeOption = None,
    drop_stages: DropOption = None,
    layer_decay: DecayOption = None,
    size: SizeOption = None,
    fit: FitOption = None,
    channels: Annotated[int | None, typer.Option(help="1 (grey) or 3; what the images have, if not given.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed and arithmetic give the same weights.")] = 0,
    recipe: Annotated[str, typer.Option(help="How to train; `lenext recipes` lists them.")] = "default",
    overrides: OverridesOption = None,
    options: OptionsOption = None,
    weights: StartOption = None,
    grow: GrowOption = None,
    minutes: Annotated[float | None, typer.Option(help="How long it all may take, in place of epochs.")] = None,
    loading: LoadingOption = "auto",
    workers: Annotated[int | None, typer.Option(help="Processes that decode, with --loading workers.")] = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    checkpoint: CheckpointOption = 5.0,
    sync_norm: SyncNormOption = False,
    exclude: ExcludeOption = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; a new one below runs/ if not given.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Let this run, which was interrupted, go on; everything is taken from it.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train a model on images and keep everything in a run folder.

    Example: [bold]lenext train photos/ --model lenet5 --epochs 20[/bold]
    """
    if resume is not None:
        _tell(_resumed(context, resume), json)
        return
    if data is None or model is None:
        raise UserError(
            f"{'--model' if data else 'DATA'} is missing; give it, or the run that is to go on: --resume RUN"
        )
    refuse_hostile(weights)
    with interrupts_held():
        from lenext.device import keep_memory
        from lenext.training.run import train as run

    keep_memory()
    result = run(
        data, model, epochs=epochs, batch_size=batch_size, lr=lr, freeze=freeze, unfreeze=unfreeze,
        drop_stages=drop_stages, layer_decay=layer_decay, size=parse_size(size), fit=fit, channels=channels,
        seed=seed, recipe=recipe, overrides=parse_pairs("--set", overrides), options=parse_options(options),
        weights=weights, grow=grow, minutes=minutes, loading=loading, workers=workers, device=device, threads=threads,
        checkpoint=checkpoint, sync_norm=sync_norm, exclude=exclude, out=out, progress=TerminalProgress(),
    )  # fmt: skip
    _tell(result, json)


def _resumed(context: typer.Context, run: Path) -> TrainResult:
    """Let a run go on; whatever else is given is refused."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    others = sorted({*given} - {"resume", "json"})
    if others:
        named = ", ".join(f"{name} {context.params[name]}" for name in others)
        raise typer.BadParameter(
            f"--resume takes everything from {run}, so that {named} cannot be given with it; to train its weights "
            f"otherwise, or for longer, start anew with --weights {run}"
        )
    with interrupts_held():
        from lenext.device import keep_memory
        from lenext.training.run import resume

    keep_memory()
    return resume(run, progress=TerminalProgress())


def _tell(result: TrainResult, json: bool) -> None:
    result = replace(result, seconds=elapsed())
    if not leads():  # of several processes the first one tells
        return
    if json:
        print_json(asdict(result))
    else:
        _print(result)


def _print(result: TrainResult) -> None:
    print(
        f"{result.model}: top-1 {result.top1:.2f} % on {result.images:,} images ({result.split}), loss "
        f"{result.loss:.4f}; {result.train_images:,} trained on, epochs: {result.epochs}, {result.seconds:.1f} s"
    )
    print(f"run     {printable(result.run)}")
    print(f"report  {printable(str(Path(result.run) / 'report.html'))}")
    say(f"next: lenext predict {result.run} IMAGE")
