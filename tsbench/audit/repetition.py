"""Doing it again: the same fit gives the same weights, and any batch size the same scores."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from tsbench.contracts import Scenario
from tsbench.evaluation.evaluate import Evaluation, evaluate

from .excerpt import Excerpt
from .subject import SCENARIOS, Candidate, Finding, Subject

CASES = 23
"""Cases of a scenario: no multiple of a batch size below."""
SIZES = (1, 5, 7, 256)
TOLERANCE = 1e-6
OTHER_SEED = 1234567


def determinism(subject: Subject) -> Finding:
    """Fit and evaluate twice, with other global seeds: same weights, same scores, to the last bit."""
    faults = []
    scenarios = _few(subject)
    for candidate in subject.candidates:
        first = subject.model(candidate)
        scores = _evaluate(subject, candidate, first, scenarios, None).scores()
        with _other_global_seeds():
            second = candidate.fitted(subject.small)
            again = _evaluate(subject, candidate, second, scenarios, None).scores()
        weights, forecast = candidate.fingerprint(first, subject.small)
        other, forecast_again = candidate.fingerprint(second, subject.small)
        if weights != other or not torch.equal(forecast, forecast_again):
            faults.append(f"{candidate.name}: two fits with one seed differ: weights {weights} and {other}")
        elif scores != again:
            faults.append(f"{candidate.name}: two evaluations differ: {scores} and {again}")
    compared = f"weights and scores of two fits of {subject.names}, {len(scenarios)} scenarios"
    return Finding("determinism", compared, tuple(faults))


def batch_size(subject: Subject) -> Finding:
    """Evaluate in batches of several sizes: the same scores, and every case scored."""
    faults = []
    scenarios = _few(subject)
    data = Excerpt.of(subject.small, test=CASES)
    for candidate in subject.candidates:
        wanted = sum(len(data.test_cases(scenario, candidate.context)) for scenario in scenarios)
        values: dict[int, dict[str, float | None]] = {}
        for size in SIZES:
            evaluation = _evaluate(subject, candidate, subject.model(candidate), scenarios, size)
            if evaluation.predicted != wanted:
                faults.append(
                    f"{candidate.name}, batches of {size}: {evaluation.predicted} of {wanted} cases scored"
                )
            values[size] = {
                f"{name} in {tally.scenario.key}": value
                for tally in evaluation.tallies
                for name, value in tally.values().items()
            }
        faults += [f"{candidate.name}: {fault}" for fault in _differences(values)]
    sizes = ", ".join(map(str, SIZES))
    compared = (
        f"scores of {subject.names} in batches of {sizes}, {len(scenarios)} scenarios of up to {CASES} cases"
    )
    return Finding("batch size", compared, tuple(faults))


@contextmanager
def _other_global_seeds() -> Iterator[None]:
    """Other states of the global generators, which nothing should read; the old ones come back."""
    states = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(OTHER_SEED)
            np.random.seed(OTHER_SEED)
            random.seed(OTHER_SEED)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _few(subject: Subject) -> list[Scenario]:
    """Scenarios of the task's own data set, of each condition and disturbance."""
    return [one for one in subject.spread(SCENARIOS) if one.dataset == subject.own.name]


def _evaluate(
    subject: Subject, candidate: Candidate, model: object, scenarios: Sequence[Scenario], size: int | None
) -> Evaluation:
    data = Excerpt.of(subject.small, test=CASES)
    return evaluate(
        model,  # type: ignore[arg-type]
        {subject.own.name: data},
        subject.task,
        scenarios,
        candidate.context,
        batch_size=size,
    )


def _differences(values: dict[int, dict[str, float | None]]) -> list[str]:
    first = values[SIZES[0]]
    faults = []
    for size in SIZES[1:]:
        for name, value in first.items():
            other = values[size][name]
            if value is None or other is None:
                same = value is other
            else:
                same = bool(np.isclose(value, other, rtol=TOLERANCE, atol=TOLERANCE * 1e-3))
            if not same:
                faults.append(f"{name} is {value} in batches of {SIZES[0]}, {other} in batches of {size}")
    return faults[:3]
