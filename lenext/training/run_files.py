"""The names of what a run folder holds; whoever only looks at runs needs no torch to know them."""

from __future__ import annotations

RECORD, METRICS, LOCK, PULSE = "run.json", "metrics.jsonl", ".lock", ".pulse"
MODEL, REPORT, ANSWERS = "model.safetensors", "report.html", "answers.parquet"
CHECKPOINTS, BOARD = "checkpoints", "tensorboard"  # folders
CLAIMED = "reading"  # the state of a run that has a folder but has not begun
