"""The settings of a run: what was asked for, checked before anything is read or written."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lenext.building import as_size, check_size
from lenext.creation import Pretrained, create, pretrained
from lenext.data.decode import FITS, Fit, ImageForm
from lenext.data.reading import LOADINGS, Loading
from lenext.errors import UserError
from lenext.growing import How, grow, require_how
from lenext.models import lookup
from lenext.models.skeleton import Skeleton
from lenext.registry import COMMON
from lenext.training.freezing import freeze_at_start, is_head_alone
from lenext.training.recipes import Recipe, Situation, make_recipe

MANY = 1_000_000  # images, for a recipe that is made to be checked before any is counted
MOST_WORKERS = 256
MINUTES = 5.0  # from one checkpoint to the next
# Values of the recipe with an option of their own.
SHORTCUTS = ("epochs", "batch_size", "lr", "freeze", "unfreeze", "drop_stages", "layer_decay")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run was asked to do. None leaves a choice open; `overrides` are values of the recipe.

    `options` are those of the architecture. `checkpoint` is how many minutes there are from one to the next. `exclude`
    is the list of images to leave out.
    """

    data: str
    model: str
    recipe: str = "default"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    fit: Fit | None = None
    channels: int | None = None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: str | None = None
    grow: How | None = None
    minutes: float | None = None
    loading: Loading = "auto"
    workers: int | None = None
    device: str = "auto"
    threads: int | None = None
    checkpoint: float = MINUTES
    sync_norm: bool = False
    exclude: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done, before any data is read."""
        facts = lookup(self.model).facts
        if self.size is not None:
            check_size(self.model, facts, as_size(self.size))
        if self.fit is not None and self.fit not in FITS:
            raise UserError(f"fit {self.fit!r} cannot be; give {', '.join(FITS)}")
        if self.channels not in (None, 1, 3):
            raise UserError(f"channels {self.channels} cannot be; give 1 (grey) or 3 (colour)")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed {self.seed} cannot be; give 0 or more, below 2**63")
        if self.grow is not None:
            require_how(self.grow)
            if self.weights is None:
                raise UserError(f"nothing to grow {self.model} from; give --weights, the run of a shallower model")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise UserError(f"minutes {self.minutes} cannot be; give more than 0")
        if self.minutes is not None and "epochs" in self.overrides:
            raise UserError("both minutes and epochs are given; give one of them")
        if not 0 <= self.checkpoint < math.inf:
            raise UserError(f"checkpoint {self.checkpoint} cannot be; give the minutes from one to the next, 0 or more")
        if self.loading not in LOADINGS:
            raise UserError(f"loading {self.loading!r} cannot be; give {', '.join(LOADINGS)}")
        if self.workers is not None and not 0 <= self.workers <= MOST_WORKERS:
            raise UserError(f"workers {self.workers} cannot be; give 0 to {MOST_WORKERS}")
        recipe = make_recipe(self.recipe, self.situation(MANY), self.overrides)
        if "drop_stages" in self.options and "drop_stages" in self.overrides:
            raise UserError(
                f"drop_stages is given twice, as {self.overrides['drop_stages']} and as an option of the architecture, "
                f"{self.options['drop_stages']}; give it once"
            )
        for key in COMMON & self.options.keys():
            raise UserError(f"{key} is no option of an architecture; train has an argument of its own for it, or none")
        for key, value in self.options.items():
            finite = math.isfinite(value) if isinstance(value, float) else isinstance(value, bool | int | str)
            if not finite:
                raise UserError(f"option {key} {value!r} cannot be: give a finite number, a word, true or false")
        self._require_buildable(recipe)

    def _require_buildable(self, recipe: Recipe) -> None:
        rates = network_rates(recipe)
        options = {**rates, **self.options}
        if not (options or recipe.freeze or recipe.unfreeze):
            return
        try:
            with Skeleton():
                model = create(self.model, size=self.size, **options)
            freeze_at_start(model, recipe)
        except UserError as error:
            own = [key for key in rates if key not in self.overrides and f"'{key}'" in str(error)]
            if not own:
                raise
            raise UserError(
                f"the recipe {recipe.name} sets {own[0]}, which {self.model} does not have; leave it out: "
                f"--set {own[0]}=-1"
            ) from error

    def form(self) -> ImageForm:
        """Return what images are brought to where no weights decide it."""
        size = as_size(self.size if self.size is not None else lookup(self.model).facts.size)
        return ImageForm(size=size, channels=self.channels, fit=self.fit or "crop")

    def situation(self, train_images: int) -> Situation:
        """Return what the recipe may depend on, as far as it follows from the settings."""
        facts = lookup(self.model).facts
        return Situation(
            train_images=train_images,
            model=self.model,
            size=as_size(self.size if self.size is not None else facts.size),
            grey=self.channels == 1,
            pretrained=self.weights is not None,
            lr_scale=facts.lr_scale,
            head_alone=self._head_alone(),
        )

    def _head_alone(self) -> bool:
        parts = self.overrides.get("freeze")
        if not isinstance(parts, str) or not parts or self.overrides.get("unfreeze"):
            return False
        with Skeleton():
            model = create(self.model, size=self.size, **self.options)
        model.freeze(parts)
        return is_head_alone(model)

    def start(self, class_names: Sequence[str], options: Mapping[str, Any]) -> Pretrained | None:
        """Return the model to start from, its head for the classes of the data, or None where nothing is said.

        `options` are those of the architecture. A model that is to grow is that of the weights, whatever it is called.

        Raises:
            UserError: weights that cannot be read, or do not fit.
        """
        if self.weights is None:
            return None
        found = pretrained(
            None if self.grow else self.model,
            self.weights,
            classes=class_names,
            in_channels=self.channels,
            size=self.size,
            options=options,
        )
        fit = {} if self.fit is None else {"fit": self.fit}
        model = grow(found.model, self.model, how=self.grow) if self.grow else found.model
        return replace(found, model=model, preprocessing={**found.preprocessing, **fit})

    def command(self) -> str:
        """Return the command line that does the same again."""
        words = ["lenext", "train", self.data, "--model", self.model]
        for key in ("recipe", "fit", "channels", "seed", "weights", "grow", "minutes", "loading", "workers",
                    "device", "threads", "checkpoint", "exclude"):  # fmt: skip
            value = getattr(self, key)
            if value != type(self).__dataclass_fields__[key].default:
                words += [f"--{key}", str(value)]
        if self.size is not None:
            height, width = self.size
            words += ["--size", str(height) if height == width else f"{height}x{width}"]
        if self.sync_norm:
            words += ["--sync-norm"]
        for key, value in self.options.items():
            words += ["--option", f"{key}={value}"]
        for key, value in self.overrides.items():
            told = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            words += [f"--{key.replace('_', '-')}", told] if key in SHORTCUTS else ["--set", f"{key}={told}"]
        return shlex.join(words)

    def to_json(self) -> dict[str, Any]:
        """Return every setting as JSON values."""
        return {
            **asdict(self),
            "overrides": dict(self.overrides),
            "options": dict(self.options),
            "size": list(self.size) if self.size else None,
        }


def network_rates(recipe: Recipe) -> dict[str, Any]:
    """Return the options of the architecture that the recipe sets, such as its rates."""
    rates = {"dropout": recipe.dropout, "stochastic_depth": recipe.stochastic_depth}
    cut = {"drop_stages": recipe.drop_stages} if recipe.drop_stages else {}
    return {**{key: rate for key, rate in rates.items() if rate >= 0}, **cut}
