"""What is benched: a model, and the files that its engines run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lenext.deployment.benching.engine_files import make_file
from lenext.engines.engine import ENGINES, EngineName
from lenext.engines.exported import read_exported
from lenext.engines.opening import engines_for, missing
from lenext.engines.remembered import FILES, Place
from lenext.errors import LenextError
from lenext.progress import SILENT, Progress


@dataclass
class Subject:
    """A model and what each engine that can run here runs, None for those of torch.

    The first engine is that which the others are compared with. `skipped` says why the others cannot. What is learned
    is kept in `folder`, where there is one.
    """

    target: str
    weights: str | None = None
    progress: Progress = SILENT
    model: str = ""
    files: dict[EngineName, Path | None] = field(default_factory=dict)
    skipped: dict[EngineName, str] = field(default_factory=dict)
    place: Place | None = None
    folder: Path | None = None

    def skip(self, engine: EngineName, reason: str) -> None:
        """Leave an engine out, and tell why."""
        self.files.pop(engine, None)
        self.skipped[engine] = reason
        self.progress.note(f"{engine} is left out: {reason}")

    def of_exported(self, asked: Sequence[EngineName] | None) -> None:
        """Fill in what an exported file is run by.

        Raises:
            UserError: it is damaged, or not of lenext.
        """
        path = Path(self.target)
        file = read_exported(path)
        able = engines_for(file.format)
        self.model, self.place = str(file.metadata["model"]), Place.of(path)
        self.folder = self.place.folder() if self.place else None
        for engine in dict.fromkeys([*able, *(asked or ())]):
            lacking = missing(engine) if engine in able else f"it does not run {path.name}"
            if lacking is None:
                self.files[engine] = path
            elif asked is None or engine in asked:
                self.skip(engine, lacking)

    def of_model(self, asked: Sequence[EngineName] | None, temporary: Path) -> None:
        """Fill in what a classifier is run by, for which it is exported where that was not done before.

        Raises:
            UserError: the target is not there or damaged.
            LenextError: what was made cannot be told of.
        """
        from lenext.classifier import load

        classifier = load(self.target, weights=self.weights, device="cpu")
        self.model, self.place = classifier.name, Place.of(self.target, self.weights)
        self.folder = self.place.folder() if self.place else None
        known = self.place.recall() if self.place else None
        made = dict(known.files) if known and known.folder == self.folder else {}
        self.files["pytorch"] = None
        for engine in asked or ENGINES:
            if (lacking := missing(engine)) is not None:
                self.skip(engine, lacking)
            elif engine not in FILES:
                self.files[engine] = None
            elif (name := FILES[engine]) in made:
                self.files[engine] = made[name]
            else:
                self.progress.note(f"exporting for {engine}")
                try:
                    made[name] = self.files[engine] = make_file(
                        self.folder or temporary, engine, classifier, self.target
                    )
                except LenextError as error:
                    self.skip(engine, str(error))
        if self.place is not None and self.folder is not None:
            self.place.remember(self.folder, (), files=made)
