"""What an audit looks at: the opened task, its scenarios, and cheap fits of a few models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from tsbench import registry
from tsbench.contracts import CONDITIONS, InputError, LabelledSplit, Scenario, Task
from tsbench.data.sample_data import SampleData
from tsbench.data.task_data import SplitName, TaskData
from tsbench.data.views import View
from tsbench.evaluation.evaluate import Presenter, view_of
from tsbench.jobs.job import scenarios_at_hand
from tsbench.jobs.source import find_model
from tsbench.training.build import NoHyperparameters, build
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource
from tsbench.training.weights import weights_hash

from .excerpt import Excerpt, in_memory

PARTS: tuple[SplitName, ...] = ("train", "validation", "test")
DEFAULT_MODELS = (
    *("last_value", "linear", "dlinear"),
    *("log_distance", "nearest_sample", "unet_2d_small", "unet_3d_small"),
    *("last_year", "county_trend", "panel_ridge", "cnn_rnn"),
    *("site_linear", "energy_physical"),
    *("persistence_grid", "climatology_grid"),
)
"""Of each kind of task some that are quick; those that do not apply to a task are left out."""
TRAINING_CASES, VALIDATION_CASES = 640, 64
SEQUENCES = 2048
"""Sequences of a fit, at most: a case of a wide task holds several."""
SAMPLES = {"train": 128, "validation": 32, "cell": 9}
"""Samples of a store that are read into memory, from each part and from each cell."""
SCENARIOS = 16


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: of the check.
        compared: what was compared, with numbers.
        faults: what is wrong; empty where the check passes.
    """

    name: str
    compared: str
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.faults


@dataclass(frozen=True)
class Candidate:
    """A model as an audit fits it: the card's settings, one epoch, few cases.

    Attributes:
        name: of the model.
        kind: its class.
        context: look-back in steps.
        hyperparameters: filled record.
        training: settings of gradient training.
        view: in which it takes the task.
    """

    name: str
    kind: Any
    context: int
    hyperparameters: Any
    training: TrainingSettings
    view: View

    def fitted(self, data: TaskData, seed: int = 0) -> Any:
        """The model, fitted on an excerpt of the task's training part where it learns at all."""
        shape = self.view.shape(data.shape(self.context))
        model = build(self.kind, shape, self.hyperparameters, seed, self.training.loss)
        if model.fits == "none" or not hasattr(model, "fit"):
            return model
        width = data.windows("train", self.context).width
        train = max(2, min(TRAINING_CASES, SEQUENCES // width))
        excerpt = Excerpt.of(data, train=train, validation=VALIDATION_CASES)
        source = TaskSource(
            data=excerpt,
            context=self.context,
            seed=seed,
            settings=self.training,
            uses=model.uses,
            view=self.view,
        )
        model.fit(source)
        return model

    def fingerprint(self, model: Any, data: TaskData) -> tuple[str | None, torch.Tensor]:
        """Hash of a model's weights, and its forecasts of the first and last training cases."""
        cases = data.windows("train", self.context).using(*model.uses)
        batch = cases.gather(torch.tensor(sorted({0, len(cases) - 1})))
        forecast, _ = Presenter(model, data.task).predict(batch, self.context)
        return weights_hash(model), forecast.values.cpu()


@dataclass(frozen=True)
class Subject:
    """A task under audit.

    Attributes:
        data: data set → the task opened on it.
        candidates: models that the checks forecast with.
        scenarios: those whose data are at hand.
        left_out: what is not audited, and why.
    """

    data: Mapping[str, TaskData]
    candidates: tuple[Candidate, ...]
    scenarios: tuple[Scenario, ...]
    left_out: tuple[str, ...] = ()
    _models: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def task(self) -> Task:
        """The declaration."""
        return self.own.task

    @property
    def own(self) -> TaskData:
        """The task on its own data set."""
        return next(iter(self.data.values()))

    @property
    def names(self) -> str:
        """The candidates, for a sentence."""
        return ", ".join(candidate.name for candidate in self.candidates)

    @property
    def context(self) -> int:
        """Look-back with which the checks that need no model look at the data."""
        return self.candidates[0].context

    @cached_property
    def small(self) -> TaskData:
        """What models are fitted and tried on: a whole series; of a store of samples, some of each cell."""
        data = self.own
        if not isinstance(data, SampleData):
            return data
        split = data.task.split
        assert isinstance(split, LabelledSplit)
        labels = np.asarray(data.opened[split.coordinate].values)
        parts = {split.train: SAMPLES["train"], split.validation: SAMPLES["validation"]}
        chosen = [_some(labels == label, wanted) for label, wanted in parts.items()]
        for scenario in self.spread(SCENARIOS):
            if scenario.dataset != data.name:
                continue
            of_cell = labels == (scenario.part or split.test)
            for name, value in scenario.cell.items():
                of_cell = of_cell & (np.asarray(data.opened[name].values) == value)
            chosen.append(_some(of_cell, SAMPLES["cell"]))
        return in_memory(data, np.unique(np.concatenate(chosen)))

    def of_small(self) -> list[Scenario]:
        """Scenarios that `small` holds cases of."""
        held = {(one.part, str(one.cell)) for one in self.spread(SCENARIOS)}
        return [
            one
            for one in self.scenarios
            if one.dataset == self.own.name and (one.part, str(one.cell)) in held
        ]

    def model(self, candidate: Candidate) -> Any:
        """The candidate, fitted once an audit."""
        if candidate.name not in self._models:
            self._models[candidate.name] = candidate.fitted(self.small)
        return self._models[candidate.name]

    def learning_faults(self, data: TaskData, changed: TaskData, part: str = "the test part") -> list[str]:
        """What candidates that are fitted on changed data learn otherwise, weights or forecasts.

        Args:
            data: as `model` was fitted on it, and what both forecast.
            changed: the same task with other values in parts that nothing may be learned from.
            part: those parts, for the message.
        """
        faults = []
        for candidate in self.candidates:
            weights, forecast = candidate.fingerprint(self.model(candidate), data)
            again, other = candidate.fingerprint(candidate.fitted(changed), data)
            if weights != again or not torch.equal(forecast, other):
                faults.append(f"what {candidate.name} learns depends on {part}: {weights} and {again}")
        return faults

    def spread(self, scenarios: int) -> list[Scenario]:
        """Scenarios of every condition and disturbance: of each the first, the last and some between."""
        groups: dict[tuple[str, str | None, str], list[Scenario]] = {}
        for one in self.scenarios:
            kind = (one.condition, one.disturbance, one.dataset + str(sorted(one.options.items())))
            groups.setdefault(kind, []).append(one)
        share = max(2, scenarios // max(1, len(groups)))
        return [group[place] for group in groups.values() for place in places(len(group), share)]


def open_subject(task: str, models: Sequence[str | type] = ()) -> Subject:
    """A task of the registry on its real data, prepared as for a run.

    Args:
        task: name.
        models: names, files or classes; a few cheap ones of the zoo where empty.

    Raises:
        InputError: for an unknown task or model, a model that does not apply, or data that cannot be had.
    """
    declared = registry.task(task)
    candidates = _candidates(declared, models)
    scenarios, skipped = scenarios_at_hand(declared, CONDITIONS)
    names = dict.fromkeys([declared.dataset, *(one.dataset for one in scenarios)])
    data = {name: TaskData.open(declared, name) for name in names}
    left_out = [f"scenario {key}: {reason}" for key, reason in skipped.items()]
    return Subject(data, candidates, scenarios, tuple(left_out))


def subject_of(data: TaskData, models: Sequence[str | type] = ()) -> Subject:
    """A task that is open already; scenarios on other data sets are left out.

    Raises:
        InputError: for an unknown model, or one that does not apply to the task.
    """
    scenarios = data.task.scenarios()
    left_out = [f"scenario {one.key}: not opened" for one in scenarios if one.dataset != data.task.dataset]
    here = tuple(one for one in scenarios if one.dataset == data.task.dataset)
    return Subject({data.task.dataset: data}, _candidates(data.task, models), here, tuple(left_out))


def places(length: int, wanted: int) -> list[int]:
    """At most that many positions of a list of that length: the first, the last, and some evenly between."""
    if length <= wanted:
        return list(range(length))
    return sorted({round(number * (length - 1) / max(1, wanted - 1)) for number in range(wanted)})


def _some(mask: np.ndarray, wanted: int) -> np.ndarray:
    rows = np.flatnonzero(mask)
    return rows[places(len(rows), wanted)]


def _candidates(task: Task, models: Sequence[str | type]) -> tuple[Candidate, ...]:
    named = [(find_model(spec), True) for spec in models]
    found = []
    for source, asked in named or [(find_model(name), False) for name in DEFAULT_MODELS]:
        gap, settings = source.card.gap(task), source.card.settings_for(task)
        if gap or settings is None:
            if asked:
                reason = gap.reason if gap else "its card has no settings for the task"
                raise InputError(f"{source.name} does not apply to {task.name}: {reason}")
            continue
        kind = source.load()
        if not asked and task.view not in ("sequence", "csi", *getattr(kind, "views", ())):
            continue
        where = f"{source.name} on {task.name}"
        record = getattr(kind, "Hyperparameters", NoHyperparameters)
        training = fill(TrainingSettings, settings.training, f"{where}: training")
        found.append(
            Candidate(
                name=source.name,
                kind=kind,
                context=min(settings.context, task.max_context),
                hyperparameters=fill(record, settings.hyperparameters, f"{where}: hyperparameters"),
                training=replace(training, epochs=1, patience=0, plateau_patience=0),
                view=view_of(kind, task),
            )
        )
    if not found:
        raise InputError(f"None of {', '.join(DEFAULT_MODELS)} applies to {task.name}; choose with --model")
    return tuple(found)
