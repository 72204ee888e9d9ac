"""`Recipe`: everything that decides how a network is trained, as values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from lenext.data.augmentation.augmentation import Augmentation
from lenext.data.sampling import Sampling
from lenext.errors import UserError

Optimizer = Literal["adamw", "sgd", "rmsprop", "sdlm"]
Schedule = Literal["onecycle", "cosine", "linear", "step", "exponential", "constant"]
Precision = Literal["auto", "float32", "bfloat16"]
MemoryFormat = Literal["auto", "channels_last", "contiguous"]
Compile = Literal["auto", "yes", "no"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train.

    - `batch_size` images go into a step, `accumulate` parts of it one after the other, which needs less memory.
    - `lr` is the highest rate; where `lr_batch` is not 0 it holds for batches of that many images, and the rate grows
      in proportion to `batch_size`. A rate that is given in place of the recipe's is taken as it is.
    - `schedule` lowers the rate: `step` to the share in `factors` from each share of the steps in `milestones` on,
      `exponential` by `decay` after each `decay_epochs`. `warmup` is the share of the steps in which the rate rises
      from `warmup_start` of its height, or stays there (`warmup_shape="constant"`).
    - `weight_decay` leaves norms and biases alone. `eps` is RMSprop's, `damping` that of `sdlm`, the
      stochastic diagonal Levenberg-Marquardt of LeCun et al. 1998. `clip` bounds the norm of the gradient, 0 not.
    - `auxiliary` is the weight of auxiliary classifiers' losses. `loss="map"` is that of LeCun et al. 1998, which has
      room for "none of these".
    - `class_weights="balanced"` weighs classes by what they lack of an equal share of the images;
      `sampling="balanced"` shows all classes equally often.
    - `dropout` and `stochastic_depth` replace the rates that the network has of its own, below 0 not.
    - `ema` is the share that the average of the weights keeps at each step, 0 for no average; the average is judged
      and saved.
    - `freeze` are parts of the network that stay as they are (`lenext.models.ImageClassifier.freeze`); within the share
      `unfreeze` of the training they become free again one by one, the last first, and never where it is 0.
      `drop_stages` are so many of the last stages cut off. `layer_decay` is the share of the rate of the part after it
      that each part is trained at.
    - `fit_head` lets a last layer of which no class is one of the weights' start as the logistic regression on what
      these make of the images (Kumar et al. 2022), and not at random. `fit_norms` gives the norms that are trained the
      statistics of the new images at the start, and scales and shifts that make up for it: the network then answers in
      training as it did before.
    - `early_stopping` is how many epochs without progress end the training, 0 for none: progress on a tenth of the
      training images that is set aside for it.
    - `precision`, `memory_format` and `compile` are how the arithmetic runs; `auto` measures what is fastest.

    `why` says in words how the recipe came to its values.
    """

    name: str
    why: str = ""
    epochs: int
    batch_size: int
    accumulate: int = 1
    optimizer: Optimizer
    lr: float
    lr_batch: int = 0
    momentum: float
    nesterov: bool = False
    weight_decay: float
    eps: float = 1e-8
    damping: float = 0.02
    clip: float = 0.0
    schedule: Schedule
    milestones: tuple[float, ...] = ()
    factors: tuple[float, ...] = ()
    decay: float = 1.0
    decay_epochs: float = 1.0
    warmup: float = 0.0
    warmup_start: float = 0.0
    warmup_shape: Literal["linear", "constant"] = "linear"
    loss: Literal["cross_entropy", "map"] = "cross_entropy"
    label_smoothing: float = 0.0
    auxiliary: float = 0.3
    class_weights: Literal["none", "balanced"] = "none"
    sampling: Sampling = "shuffled"
    dropout: float = -1.0
    stochastic_depth: float = -1.0
    ema: float = 0.0
    freeze: str = ""
    unfreeze: float = 0.0
    drop_stages: int = 0
    layer_decay: float = 1.0
    fit_head: bool = False
    fit_norms: bool = False
    early_stopping: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: Precision = "auto"
    memory_format: MemoryFormat = "auto"
    compile: Compile = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        self._require(1 <= self.epochs <= 1_000_000, "epochs", "at least 1")
        self._require(self.batch_size >= 1, "batch_size", "at least 1")
        self._require(1 <= self.accumulate <= self.batch_size, "accumulate", "from 1 to the batch size")
        self._require(0 < self.lr < math.inf, "lr", "above 0")
        self._require(self.lr_batch >= 0, "lr_batch", "at least 0")
        for key in ("weight_decay", "clip", "auxiliary"):
            self._require(0 <= getattr(self, key) < math.inf, key, "at least 0")
        for key in ("momentum", "warmup", "label_smoothing", "ema"):
            self._require(0 <= getattr(self, key) < 1, key, "from 0 up to, not including, 1")
        for key in ("dropout", "stochastic_depth"):
            self._require(getattr(self, key) < 1, key, "below 1; below 0 leaves the network its own")
        self._require(0 < self.eps < math.inf, "eps", "above 0")
        self._require(0 < self.damping < math.inf, "damping", "above 0")
        self._require(0 < self.decay <= 1, "decay", "above 0 and up to 1")
        self._require(0 < self.decay_epochs < math.inf, "decay_epochs", "above 0")
        self._require(0 <= self.warmup_start <= 1, "warmup_start", "0 to 1")
        self._require(0 <= self.unfreeze <= 1, "unfreeze", "a share of the training, from 0 to 1")
        self._require(self.drop_stages >= 0, "drop_stages", "a whole number, 0 or more")
        self._require(0 < self.layer_decay <= 1, "layer_decay", "above 0 and up to 1")
        self._require(self.early_stopping >= 0, "early_stopping", "at least 0")
        rising = list(self.milestones) == sorted(set(self.milestones)) and all(0 < at < 1 for at in self.milestones)
        self._require(rising, "milestones", "rising shares of the steps, such as 0.5,0.75")
        sound = len(self.factors) == len(self.milestones) and all(0 < share < math.inf for share in self.factors)
        self._require(sound, "factors", "one share of the rate for each milestone, such as 0.1,0.01")
        if self.schedule == "step" and not self.milestones:
            raise UserError(
                "schedule 'step' has no step to take: give milestones and factors, such as 0.5,0.75, 0.1,0.01"
            )
        for key, kind in _CHOICES.items():
            self._require(getattr(self, key) in get_args(kind), key, _listed(get_args(kind)))

    def _require(self, sound: bool, key: str, wanted: str) -> None:
        if not sound:
            raise UserError(f"{key} {getattr(self, key)!r} cannot be: give {wanted}")


_CHOICES = {
    "optimizer": Optimizer,
    "schedule": Schedule,
    "warmup_shape": Literal["linear", "constant"],
    "loss": Literal["cross_entropy", "map"],
    "class_weights": Literal["none", "balanced"],
    "sampling": Sampling,
    "precision": Precision,
    "memory_format": MemoryFormat,
    "compile": Compile,
}


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
