"""The names of what a run folder holds; whoever only looks at runs needs no torch to know them."""

from __future__ import annotations

import re

RECORD, METRICS, LOCK, PULSE = "run.json", "metrics.jsonl", ".lock", ".pulse"
MODEL, REPORT, ANSWERS = "model.safetensors", "report.html", "answers.parquet"
START = "start.safetensors"  # the weights that a run began from
CHECKPOINTS, BOARD = "checkpoints", "tensorboard"  # folders
IMAGES = "images.csv"
BESIDE = re.compile(r"\.(.+)\.\d+\.tmp")  # a file that was being written when its process was killed
