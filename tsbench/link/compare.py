"""Compares saved forecasts of channels by the links that they steer: errors, gain, rate and blocks lost.

Every forecast sends the same blocks through the same noise over the same true channels, and so does a beam
that knows the channel: the differences are those of the forecasts alone. Averages are means over scenarios,
as in a Result.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch

from tsbench import registry
from tsbench.contracts import CONDITIONS, InputError, Scenario, Task
from tsbench.data.task_data import TaskData
from tsbench.evaluation.array_check import read_metadata
from tsbench.evaluation.forecast_store import SavedForecast
from tsbench.evaluation.metrics import metric
from tsbench.evaluation.reading import Reading
from tsbench.jobs.job import scenarios_at_hand
from tsbench.jobs.limited import LimitedReader
from tsbench.jobs.score import forecasts_in_metric_space, open_forecast

from .transmission import Blocks, LinkSettings, Transmission, beam_factor

PERFECT = "perfect CSI"
METRICS = ("nmse", "beam_gain", "se")
PREFERRING = ("nmse", "beam_gain")
"""Metrics whose preference of one forecast to another is compared with the blocks that are lost."""
FORECAST = "forecast.zarr"
"""Name of the forecasts that a run keeps in its folder."""


@dataclass
class LinkScores:
    """What one forecast makes of the link.

    Attributes:
        model: name of its model.
        folder: of the forecast; empty for the beam that knows the channel.
        values: scenario → metric → value, None where it has none.
        lost: scenario → number of lost blocks at each SNR.
    """

    model: str
    folder: str
    values: dict[str, dict[str, float | None]] = field(default_factory=dict)
    lost: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class Comparison:
    """Forecasts of one task side by side.

    Attributes:
        task: name and version.
        settings: of the link.
        blocks: scenario → blocks that were sent at each SNR.
        scores: perfect CSI first, then the forecasts as they were given.
    """

    task: str
    settings: LinkSettings
    blocks: dict[str, int]
    scores: list[LinkScores]

    def mean(self, score: LinkScores, name: str) -> float | None:
        """Mean of a metric over scenarios; None where one has no value."""
        found = [values[name] for values in score.values.values()]
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if known and len(known) == len(found) else None

    def block_error_rates(self, score: LinkScores) -> list[float]:
        """Share of lost blocks at each SNR, mean over scenarios."""
        rates = [
            [lost / self.blocks[key] for lost in counts] for key, counts in score.lost.items()
        ]  # (scenario, SNR)
        return [sum(column) / len(column) for column in zip(*rates, strict=True)]

    def agreement(self, place: int, by: str) -> dict[str, int]:
        """How often the forecast that a metric prefers loses fewer blocks, over scenarios and pairs.

        Args:
            place: of the SNR among the settings'.
            by: the metric; pairs that it does not tell apart, or cannot value, do not count.

        Returns:
            `fewer`, `same` and `more`: numbers of pairs.
        """
        found = Counter({"fewer": 0, "same": 0, "more": 0})
        sign = 1 if metric(by).better == "lower" else -1
        for key in self.blocks:
            for pair in combinations(self.scores[1:], 2):
                one, other = (score.values[key][by] for score in pair)
                if one is None or other is None or one == other:
                    continue
                more = (pair[0].lost[key][place] - pair[1].lost[key][place]) * (
                    1 if sign * one < sign * other else -1
                )
                found["fewer" if more < 0 else "more" if more > 0 else "same"] += 1
        return dict(found)

    def record(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "task": self.task,
            "settings": vars(self.settings),
            "scenarios": len(self.blocks),
            "blocks": sum(self.blocks.values()),
            "forecasts": [
                {
                    "model": score.model,
                    "folder": score.folder,
                    **{name: self.mean(score, name) for name in METRICS},
                    "block_error_rate": self.block_error_rates(score),
                    "by_scenario": [
                        {"scenario": key, "blocks": self.blocks[key], "lost": score.lost[key], **values}
                        for key, values in score.values.items()
                    ],
                }
                for score in self.scores
            ],
            "preferred_forecast_loses_blocks": {
                name: [self.agreement(place, name) for place in range(len(self.settings.snr_db))]
                for name in PREFERRING
            },
        }


def compare(
    folders: Sequence[Path],
    settings: LinkSettings,
    patterns: Sequence[str] = ("regular*",),
    cases: int = 8,
    report: Callable[[str, int, int], None] = lambda model, done, scenarios: None,
) -> Comparison:
    """Send blocks over the channels of a task's test part, steered by each forecast in turn.

    Args:
        folders: saved forecasts of one task, or run folders that hold one.
        settings: of the link.
        patterns: keys or shell patterns of keys of the scenarios.
        cases: first cases of a scenario that are used; every lead time of a case is a block.
        report: called after each scenario of a forecast, with the model's name, scenarios done and in all.

    Raises:
        InputError: where a folder holds no forecast of channels, forecasts are of different tasks, one lacks
            a scenario, or a setting cannot be.
    """
    paths = [_forecast_in(folder) for folder in folders]
    task = _common_task(paths)
    scenarios, _ = scenarios_at_hand(task, CONDITIONS)
    chosen, _ = scenarios_at_hand(task, CONDITIONS, patterns)
    if cases < 1 or not settings.snr_db:
        raise InputError("A link needs at least one case a scenario, and one SNR")
    data = {name: TaskData.open(task, name) for name in {scenario.dataset for scenario in scenarios}}
    saved = [open_forecast(path, task, scenarios, data) for path in paths]
    for one in saved:
        if missing := [scenario.key for scenario in chosen if scenario not in one.scenarios]:
            raise InputError(f"{one.folder} has no array for '{missing[0]}'; leave it out with --scenario")
    truths = {one.key: _truth(data[one.dataset], one, cases) for one in chosen}
    transmission = Transmission(settings, next(iter(truths.values())).shape[-1])
    blocks = {one.key: _draw(transmission, task, one, truths[one.key]) for one in chosen}
    sent = {key: len(drawn.bits) for key, drawn in blocks.items()}
    scores = [LinkScores(PERFECT, ""), *(LinkScores(one.model, str(one.folder)) for one in saved)]
    for score, one in zip(scores, [None, *saved], strict=True):
        forecasts = truths if one is None else _forecasts(one, chosen, data, cases)
        for number, scenario in enumerate(chosen, start=1):
            key = scenario.key
            score.values[key] = _values(forecasts[key], truths[key])
            factor = beam_factor(forecasts[key], truths[key]).flatten(0, 1)  # (block, subcarrier)
            score.lost[key] = [
                int(transmission.lost(factor, blocks[key], snr).sum()) for snr in settings.snr_db
            ]
            report(score.model, number, len(chosen))
    return Comparison(task.id, settings, sent, scores)


def _forecast_in(folder: Path) -> Path:
    """The forecast in a folder: itself, or what a run kept there."""
    if (folder / FORECAST).is_dir():
        return folder / FORECAST
    if not (folder / "zarr.json").is_file():
        raise InputError(
            f"{folder} holds no forecast: tsbench eval MODEL TASK --save-forecasts keeps it in the run folder"
        )
    return folder


def _common_task(paths: Sequence[Path]) -> Task:
    names = {}
    for path in paths:
        named = read_metadata(path / "zarr.json", "group").get("attributes", {}).get("task")
        if not isinstance(named, str):
            raise InputError(f"{path} does not say which task it is a forecast of: attribute 'task'")
        names.setdefault(named, path)
    if len(names) > 1:
        (first, one), (second, other) = list(names.items())[:2]
        raise InputError(
            f"{one} is a forecast of {first}, {other} of {second}: compare forecasts of one task"
        )
    task = registry.task(next(iter(names)))
    if task.view != "csi":
        raise InputError(f"{task.name} forecasts no channel; a link needs a task of the view csi")
    return task


def _truth(opened: TaskData, scenario: Scenario, cases: int) -> torch.Tensor:
    """Channels of the first cases in physical units, complex128, (sample, antenna, lead_time, subcarrier)."""
    samples = opened.test_cases(scenario, opened.task.period)
    values, _ = samples.gather_truth(torch.arange(min(cases, len(samples))))
    return values.to(torch.complex128)


def _forecasts(
    saved: SavedForecast, scenarios: Sequence[Scenario], data: Mapping[str, TaskData], cases: int
) -> dict[str, torch.Tensor]:
    """Scenario → forecasts of its first cases, shaped as the truth."""
    found = {}
    with LimitedReader([saved.arrays[scenario.key] for scenario in scenarios]) as reader:
        for scenario in scenarios:
            parts = []
            for index, forecast in forecasts_in_metric_space(saved, scenario, data[scenario.dataset], reader):
                parts.append(Reading(forecast).point[index < cases])
            found[scenario.key] = torch.cat(parts)
    return found


def _draw(transmission: Transmission, task: Task, scenario: Scenario, truth: torch.Tensor) -> Blocks:
    """A block for each case and lead time, drawn from task and scenario alone."""
    digest = hashlib.blake2b(f"link|{task.id}|{scenario.key}".encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little"))
    return transmission.draw(truth.shape[0] * truth.shape[2], generator)


def _values(forecast: torch.Tensor, truth: torch.Tensor) -> dict[str, float | None]:
    found = {}
    for name in METRICS:
        numerator, denominator = metric(name).statistic(forecast, truth, torch.empty(0))
        found[name] = metric(name).value(float(numerator.sum()), float(denominator.sum()))
    return found
