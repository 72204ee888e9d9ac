"""The result of `profile`: one row a layer, subtotals, the total, as JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lenext.cost.trace import Output, Row
from lenext.files import to_json

COPIES = {"sgd": 2, "momentum": 3, "adam": 4}  # of each weight in training: value, gradient, optimiser state


@dataclass(frozen=True)
class Total:
    """The sum of some layers: for one image, and for a batch of `batch` images.

    `training_activation_bytes` counts each activation and its gradient; `training_bytes` adds each weight, its
    gradient, and what the optimiser keeps of it: nothing (`sgd`), one number (`momentum`) or two (`adam`).
    """

    params: int
    macs: int
    activations: int
    parameter_bytes: int
    activation_bytes: int
    training_activation_bytes: int
    flops: int
    batch: int

    @classmethod
    def of(cls, rows: Sequence[Row], batch: int) -> Total:
        """Return the sum of `rows` for a batch of `batch` images."""
        activation_bytes = batch * sum(row.activation_bytes for row in rows)
        macs = sum(row.macs for row in rows)
        return cls(
            params=sum(row.params for row in rows),
            macs=macs,
            activations=sum(row.activations for row in rows),
            parameter_bytes=sum(row.parameter_bytes for row in rows),
            activation_bytes=activation_bytes,
            training_activation_bytes=2 * activation_bytes,
            flops=2 * batch * macs,
            batch=batch,
        )

    @property
    def training_bytes(self) -> dict[str, int]:
        """Activations with gradients, weights with gradients and optimiser state, by optimiser."""
        return {name: self.training_activation_bytes + n * self.parameter_bytes for name, n in COPIES.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the total in the command's JSON."""
        return {
            "params": self.params,
            "macs": self.macs,
            "activations": self.activations,
            "parameter_bytes": self.parameter_bytes,
            "batch": {
                "flops": self.flops,
                "activation_bytes": self.activation_bytes,
                "training_activation_bytes": self.training_activation_bytes,
                "training_bytes": self.training_bytes,
            },
        }


@dataclass(frozen=True)
class Cost:
    """What a network costs, layer by layer, in the order in which the layers run.

        cost = lenext.profile("vgg16", batch=128)
        cost.total.params, cost.total.macs, cost.rows[0].receptive_field

    `outputs` are the shapes that modules with children give, without the batch, and where their positions look.
    `not_run` are the modules with parameters that the forward does not reach, with their number: these are in no
    row and in no total.
    """

    model: str
    input: tuple[int, ...]
    rows: tuple[Row, ...]
    outputs: dict[str, Output]
    not_run: tuple[tuple[str, int], ...]

    @property
    def batch(self) -> int:
        """How many images the figures for a batch are for."""
        return self.input[0]

    @cached_property
    def total(self) -> Total:
        """The sum of all rows."""
        return Total.of(self.rows, self.batch)

    @property
    def input_bytes(self) -> int:
        """The memory of a batch of input images, in float32."""
        return 4 * math.prod(self.input)

    def groups(self, depth: int = 1) -> dict[str, tuple[Row, ...]]:
        """Return the rows by the first `depth` parts of their paths."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(".".join(parts(row.path)[:depth]), []).append(row)
        return {path: tuple(rows) for path, rows in found.items()}

    def output_of(self, path: str) -> Output:
        """Return what the module at `path` gives: its own output, or, for a list of modules, that of the last."""
        if path in self.outputs:
            return self.outputs[path]
        children = [output for name, output in self.outputs.items() if name.rpartition(".")[0] == path]
        if children:
            return children[-1]
        row = [row for row in self.rows if f"{row.path}.".startswith(f"{path}.")][-1]
        return Output(row.output, row.geometry)

    def fields(self) -> dict[str, Any]:
        """Return the JSON object that `lenext describe --json` prints, without its schema number."""
        return {
            "model": self.model,
            "input": list(self.input),
            "layers": [self._layer(row) for row in self.rows],
            "groups": [
                {"path": path, "output": list(self.output_of(path).shape), **Total.of(rows, self.batch).to_json()}
                for path, rows in self.groups().items()
            ],
            "total": {**self.total.to_json(), "input_bytes": self.input_bytes},
            "not_run": [{"path": path, "params": params} for path, params in self.not_run],
            "uncounted": [
                {"path": row.path, "kind": row.kind, "operations": list(row.uncounted)}
                for row in self.rows
                if row.uncounted
            ],
        }

    def to_json(self) -> str:
        """Return what `lenext describe --json` prints."""
        return to_json({"schema": 1, **self.fields()}, indent=2)

    def to_csv(self) -> str:
        """Return one line a layer, after a line with the names of the columns."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows:
            flat = self._layer(row)
            flat |= flat.pop("batch")
            flat["output"] = "x".join(map(str, row.output))
            writer.writerow(["" if flat[name] is None else flat[name] for name in COLUMNS])
        return out.getvalue()

    def _layer(self, row: Row) -> dict[str, Any]:
        return {
            "path": row.path,
            "kind": row.kind,
            "output": list(row.output),
            "params": row.params,
            "macs": row.macs,
            "activations": row.activations,
            "parameter_bytes": row.parameter_bytes,
            "receptive_field": row.receptive_field,
            "stride": row.stride,
            "offset": row.offset,
            "batch": {
                "flops": 2 * self.batch * row.macs,
                "activation_bytes": self.batch * row.activation_bytes,
                "training_activation_bytes": 2 * self.batch * row.activation_bytes,
            },
        }


COLUMNS = (
    "path", "kind", "output", "params", "macs", "activations", "parameter_bytes", "receptive_field", "stride", "offset",
    "flops", "activation_bytes", "training_activation_bytes",
)  # fmt: skip


def parts(path: str) -> list[str]:
    """Return the parts of a module's path; a number belongs to the word before it, as in `stages.0`."""
    found: list[str] = []
    for word in path.split("."):
        if word.isdigit() and found and not found[-1].rpartition(".")[2].isdigit():
            found[-1] += f".{word}"
        else:
            found.append(word)
    return found
