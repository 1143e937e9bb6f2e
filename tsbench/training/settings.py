"""How a neural model is trained: a typed record, filled from a model's card and checked when it is read."""

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from tsbench.contracts import InputError

Record = TypeVar("Record")


@dataclass(frozen=True)
class TrainingSettings:
    """Training of a neural model by gradient descent.

    Attributes:
        loss: `mse`, `mae`, `huber` (threshold 1) or `smape` (as M4 scores, for values in their own units),
            over the observed targets; `nmse`: squared error over power, both summed over the channels of a
            step, mean over samples and steps. These train a point forecast; `quantile` (pinball), `student_t`
            and `gaussian_mixture` (negative log-likelihood) train a probabilistic one.
        learning_rate: of the first epochs; of the highest step of a `one_cycle` or `cosine` schedule.
        schedule: `epochs`: constant within an epoch, falling by `decay` and at plateaus. `one_cycle` (Smith
            and Topin 2019, with the constants of torch's OneCycleLR): step by step from a 25th up to
            `learning_rate` and down to almost nothing, momentum the other way. `cosine`: a linear warm-up,
            then half a cosine down to `minimum_learning_rate`.
        warm_up: share of all steps on which a `one_cycle` or `cosine` rate rises.
        decay: factor on the learning rate after each further epoch.
        constant_epochs: epochs before the first decay; 2 repeats the reference codes, which call their
            schedule with the epoch just finished, so that epochs 1 and 2 run at the same rate.
        plateau_patience: epochs without a lower validation loss before the learning rate falls by
            `plateau_factor`; 0 never does this.
        plateau_factor: of each such fall.
        plateau_threshold: share by which a loss must be lower than the lowest before it to count.
        plateau_cooldown: epochs after a fall in which none are counted.
        minimum_learning_rate: that such falls, and the cosine, leave.
        optimiser: `adam`, its `weight_decay` an L2 term of the loss, or `adamw`, where it is decoupled.
        momentum: decay of Adam's mean of the gradient; `one_cycle` sets its own.
        second_momentum: decay of Adam's mean of the squared gradient.
        weight_decay: of the weights.
        gradient_clip: largest norm of a step's gradient; 0 never clips.
        batch_size: cases a step.
        epochs: at most.
        patience: epochs without a lower validation loss before training stops; 0 never stops early.
        min_delta: by how much a loss must be lower to count for `patience`.
        drop_last: leave out the last incomplete training batch.
    """

    loss: Literal["mse", "mae", "huber", "smape", "nmse", "quantile", "student_t", "gaussian_mixture"] = "mse"
    learning_rate: float = 1e-3
    schedule: Literal["epochs", "one_cycle", "cosine"] = "epochs"
    warm_up: float = 0.3
    decay: float = 1.0
    constant_epochs: int = 2
    plateau_patience: int = 0
    plateau_factor: float = 0.1
    plateau_threshold: float = 1e-4
    plateau_cooldown: int = 0
    minimum_learning_rate: float = 0.0
    optimiser: Literal["adam", "adamw"] = "adam"
    momentum: float = 0.9
    second_momentum: float = 0.999
    weight_decay: float = 0.0
    gradient_clip: float = 0.0
    batch_size: int = 32
    epochs: int = 10
    patience: int = 3
    min_delta: float = 0.0
    drop_last: bool = False

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        not_negative = (
            "constant_epochs", "weight_decay", "patience", "min_delta", "minimum_learning_rate",
            "plateau_patience", "plateau_threshold", "plateau_cooldown", "warm_up", "momentum",
            "second_momentum", "gradient_clip",
        )  # fmt: skip
        for name in ("learning_rate", "decay", "plateau_factor", *not_negative):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, not {getattr(self, name)}")
        for name in ("learning_rate", "decay", "batch_size", "epochs", "plateau_factor"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in not_negative:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("momentum", "second_momentum", "warm_up"):
            if getattr(self, name) >= 1:
                raise ValueError(f"{name} must be below 1, not {getattr(self, name)}")

    @property
    def by_step(self) -> bool:
        """Whether the learning rate changes within an epoch."""
        return self.schedule != "epochs"

    def at_step(self, step: int, steps: int) -> tuple[float, float]:
        """Learning rate and momentum of a step, counted from 0, of a schedule that goes by steps.

        Args:
            step: the step.
            steps: in all, if no epoch is left out.

        Example:
            >>> settings = TrainingSettings(learning_rate=1.0, schedule="cosine", warm_up=0.5)
            >>> [round(settings.at_step(step, 8)[0], 3) for step in range(8)]
            [0.25, 0.5, 0.75, 1.0, 1.0, 0.854, 0.5, 0.146]
        """
        if self.schedule == "cosine":
            rising = int(self.warm_up * steps)
            if step < rising:
                return self.learning_rate * (step + 1) / rising, self.momentum
            share = (step - rising) / max(steps - rising, 1)
            return _cosine(self.learning_rate, self.minimum_learning_rate, share), self.momentum
        top, start = self.warm_up * steps - 1, self.learning_rate / 25
        if step <= top:
            share = step / top if top > 0 else 1.0
            return _cosine(start, self.learning_rate, share), _cosine(0.95, 0.85, share)
        share = (step - top) / max(steps - 1 - top, 1)
        return _cosine(self.learning_rate, start / 1e4, share), _cosine(0.85, 0.95, share)

    def learning_rate_at(self, epoch: int, losses: Sequence[float] = ()) -> float:
        """Learning rate of an epoch, counted from 0, after the validation losses of those before it.

        Example:
            >>> [TrainingSettings(learning_rate=1.0, decay=0.5).learning_rate_at(epoch) for epoch in range(4)]
            [1.0, 1.0, 0.5, 0.25]
        """
        rate = self.learning_rate * self.decay ** max(0, epoch - max(self.constant_epochs, 1) + 1)
        falls = self.plateaus(losses)
        return max(rate * self.plateau_factor**falls, self.minimum_learning_rate) if falls else rate

    def plateaus(self, losses: Sequence[float]) -> int:
        """How often the losses stopped falling, by the rule of torch's ReduceLROnPlateau.

        Example:
            >>> TrainingSettings(plateau_patience=1).plateaus([1.0, 0.5, 0.5, 0.5, 0.4])
            1
        """
        if not self.plateau_patience:
            return 0
        best, bad, cooling, falls = float("inf"), 0, 0, 0
        for loss in losses:
            if loss < best * (1 - self.plateau_threshold):
                best, bad = loss, 0
            else:
                bad += 1
            if cooling:
                cooling, bad = cooling - 1, 0
            if bad > self.plateau_patience:
                falls, bad, cooling = falls + 1, 0, self.plateau_cooldown
        return falls

    def stops(self, losses: Sequence[float]) -> bool:
        """Whether training ends early after these losses, by the rule of Lightning's EarlyStopping.

        Example:
            >>> [TrainingSettings(patience=2).stops([1.0, 0.5, 0.6, 0.5][:epochs]) for epochs in range(5)]
            [False, False, False, False, True]
        """
        if not self.patience:
            return False
        best, bad = float("inf"), 0
        for loss in losses:
            if not math.isfinite(loss):
                return True
            best, bad = (loss, 0) if loss + self.min_delta < best else (best, bad + 1)
            if bad >= self.patience:
                return True
        return False


def _cosine(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def fill(record: type[Record], values: dict[str, Any], where: str) -> Record:
    """Fill a dataclass of settings from a dictionary, checking names and types.

    Args:
        record: a dataclass whose fields are int, float, bool, str, a Literal of these, or one of them or
            None.
        values: name → value; a float field also takes an int.
        where: what is being read, for the message.

    Raises:
        InputError: for a name that the record does not have, a value of another type, or one out of range.
    """
    types = get_type_hints(record)
    known = {field.name: field for field in fields(record)}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{where}: unknown setting '{name}'; there are {', '.join(known) or 'none'}")
        if not _fits(value, types[name]):
            raise InputError(f"{where}: {name} must be {_describe(types[name])}, not {value!r}")
    missing = [
        name
        for name, one in known.items()
        if name not in values and one.default is MISSING and one.default_factory is MISSING
    ]
    if missing:
        raise InputError(f"{where}: {', '.join(missing)} must be given")
    try:
        return record(**values)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_args(kind):
        return any(_fits(value, one) for one in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(repr, get_args(kind)))
    return getattr(kind, "__name__", str(kind))
