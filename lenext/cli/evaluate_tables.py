"""What `lenext evaluate` prints: the figures with their intervals, what views and members cost and bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenext.cli.output import cell, plain_table, print_table, printable, say_skipped

if TYPE_CHECKING:
    from lenext.evaluation.evaluate import Comparison, Evaluation
    from lenext.evaluation.result import EvaluationResult

PAIRS = 5
RIGHT = ("top-1 (%)", "95 % interval", "top-5 (%)", "loss", "passes", "area", "seconds")


def print_evaluation(evaluation: Evaluation) -> None:
    """Print what was found of one classifier or ensemble."""
    result = evaluation.result
    print(f"{_first_line(result)}, {result.seconds:.1f} s")
    _print_figures(result)
    if evaluation.standings:
        print()
        _print_standings(evaluation.standings)
    if result.weights and result.average != "weights":
        told = ", ".join(f"{weight:.3f}" for weight in result.weights)
        fitted = " that fit all images best; answered was with ones fitted on others" if result.fitted else ""
        print(f"{result.average} averaged with weights {told}{fitted}")
    if result.gain:
        print(f"gain over {printable(result.gain.over)}: {result.gain.words}")
    pairs = result.figures.confused_pairs[:PAIRS]
    if pairs:
        told = "; ".join(f"{pair.label} for {pair.predicted} ({pair.images})" for pair in pairs)
        print(f"most confused, the class and its answer: {printable(told)}")
    spent = result.seconds_by
    print(
        f"start-up {spent.start:.1f} s, reading and decoding {spent.reading:.1f} s, from first batch to last "
        f"{spent.judging:.2f} s"
    )
    _say_skipped(result)


def print_comparisons(results: Sequence[EvaluationResult], comparisons: Sequence[Comparison], seconds: float) -> None:
    """Print several classifiers side by side, and whether each two of them differ by more than chance brings."""
    first = results[0]
    candidates = " and ".join(f"{count:,}" for count in dict.fromkeys(row.candidates for row in results))
    print(
        f"{first.images:,} images ({first.split}) of {first.classes} classes, {candidates} candidates, "
        f"views {first.views}, {seconds:.1f} s\n"
    )
    _print_standings(results)
    for each in comparisons:
        told = each.significance
        print(
            f"\n{printable(each.b)} - {printable(each.a)}: {told.difference:+.2f} percentage points, with 95 % "
            f"confidence {told.low:+.2f} to {told.high:+.2f} ({told.interval})\n"
            f"only {printable(each.a)} was right on {told.only_a:,} images, only {printable(each.b)} on "
            f"{told.only_b:,}: {told.verdict}; {told.test}"
        )
    _say_skipped(first)


def _first_line(result: EvaluationResult) -> str:
    top5 = f", top-5 {result.top5:.2f} %" if result.top5 is not None else ""
    views = f", views {result.views}" if result.views != "center" else ""
    return (
        f"{printable(result.model)}: top-1 {result.top1:.2f} %{top5}, loss {result.loss:.4f} on {result.images:,} "
        f"images ({result.split}) of {result.classes} classes, {result.candidates} candidates{views}"
    )


def _print_figures(result: EvaluationResult) -> None:
    calibration, intervals = result.figures.calibration, result.figures.intervals
    parts = (("top-1", intervals.top1, ".2f"), ("top-5", intervals.top5, ".2f"), ("loss", intervals.loss, ".4f"))
    told = [f"{name} {between[0]:{form}} to {between[1]:{form}}" for name, between, form in parts if between]
    print(f"with 95 % confidence: {', '.join(told)}")
    after = ""
    if calibration.temperature is not None:
        after = (
            f"; {calibration.error_after:.2f}{_span(calibration.error_after_interval)} with a temperature that was "
            f"fitted on other images, "
            f"{calibration.temperature:.3f} on all"
        )
    print(f"calibration error {calibration.error:.2f} percentage points{_span(intervals.calibration_error)}{after}")


def _span(interval: tuple[float, float] | None) -> str:
    return f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""


def _print_standings(standings: Sequence[EvaluationResult]) -> None:
    several = len({row.views for row in standings}) > 1
    head = "views" if several else "model"
    table = plain_table(head, *RIGHT, right=RIGHT)
    for row in standings:
        table.add_row(
            cell(row.views if several else row.target),
            f"{row.top1:.2f}",
            "{:.2f} to {:.2f}".format(*row.figures.intervals.top1),
            f"{row.top5:.2f}" if row.top5 is not None else "-",
            f"{row.loss:.4f}",
            f"{row.passes:,.6g}",
            f"{row.area:,.1f}",
            f"{row.seconds_of_views:,.1f}",
        )
    print_table(table)


def _say_skipped(result: EvaluationResult) -> None:
    say_skipped([(file["path"], file["reason"]) for file in result.skipped_files])
