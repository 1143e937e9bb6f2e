"""Proposes settings: Optuna's samplers, seeded by the place of a trial in its study.

A sampler that is seeded once a process would propose otherwise after a kill, and the same in every process.
Here the seed comes from the user's and from the number of settings that were proposed before, so that a sweep
of one process that was killed proposes what an uninterrupted one does.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from tsbench.contracts import Range, SearchSpace
from tsbench.extras import require

OUTCOME, SURPLUS = "outcome", "surplus"
"""User attributes of a trial: what came of it, written before its state; that it was one too many."""
FIXED_SEED = ("qmc",)
"""Samplers whose proposals form one sequence: all trials must have its seed."""


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each parameter."""
    return {name: _distribution(values) for name, values in space.ranges().items()}


def killed(trial: FrozenTrial) -> bool:
    """Whether the process of a trial died: then it has failed, and nothing came of it."""
    attributes = trial.user_attrs
    return trial.state == TrialState.FAIL and OUTCOME not in attributes and SURPLUS not in attributes


def place(study: optuna.Study, number: int) -> int:
    """Number of settings before a trial: killed ones are tried again, surplus ones are none."""
    trials = study.get_trials(deepcopy=False)
    return sum(
        trial.number < number and not killed(trial) and SURPLUS not in trial.user_attrs for trial in trials
    )


def make_sampler(name: str, seed: int, several: bool) -> BaseSampler:
    """A sampler that is seeded by the place of each trial.

    Raises:
        InputError: where it needs a package that is not installed.
    """
    if name == "cmaes":
        require("cmaes", "scale", "the sampler cmaes")
    make = _MAKERS[name]
    # A fixed sequence has one seed for all of its members.
    return SeededByPlace(make, seed, name in FIXED_SEED)


class SeededByPlace(BaseSampler):
    """Makes a new sampler before each trial, seeded by the trial's place; what it knows is in the study.

    Args:
        make: gives a sampler of a seed.
        seed: of the sweep.
        fixed: whether every trial gets the same seed.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int, fixed: bool) -> None:
        self._make, self._seed, self._fixed = make, seed, fixed
        self._inner = self._of(0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Seed for this trial."""
        if not self._fixed:
            self._inner = self._of(place(study, trial.number))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As the inner sampler."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the inner sampler."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the inner sampler."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: Any, values: Any) -> None:
        """As the inner sampler, but for one whose only act here is to stop Optuna's own loop."""
        if not isinstance(self._inner, optuna.samplers.BruteForceSampler):
            self._inner.after_trial(study, trial, state, values)

    def _of(self, slot: int) -> BaseSampler:
        seed = np.random.SeedSequence([self._seed, slot]).generate_state(1)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return self._make(int(seed))


def _distribution(values: Range) -> BaseDistribution:
    if values.choices:
        return CategoricalDistribution(list(values.choices))
    assert values.low is not None
    assert values.high is not None
    if values.whole:
        step = 1 if values.step is None else int(values.step)
        return IntDistribution(int(values.low), int(values.high), log=values.log, step=step)
    step = None if values.step is None else float(values.step)
    return FloatDistribution(float(values.low), float(values.high), log=values.log, step=step)


def _tpe(seed: int) -> BaseSampler:
    # Trials that run in other processes count as bad ones, so that these do not crowd in one place.
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


_MAKERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed, warn_asynchronous_seeding=False),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed),
    "nsgaii": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "nsgaiii": lambda seed: optuna.samplers.NSGAIIISampler(seed=seed),
    "brute_force": lambda seed: optuna.samplers.BruteForceSampler(seed=seed),
}
