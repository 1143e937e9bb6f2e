"""Makes the record of a fit: what it gave, what it cost, and the stages that led to its weights."""

from dataclasses import asdict
from typing import Any, Literal

from tsbench.contracts import JobFailed, StageCost, TrainedOn
from tsbench.training.cost import Meter
from tsbench.training.source import FitReport
from tsbench.training.weights import count_parameters, weights_hash

from .stages import GivenWeights, Stage


def record_of(
    model: Any,
    kind: Literal["pretraining", "fit"],
    on: str,
    report: FitReport,
    meter: Meter,
    attempts: int,
    trained_on: tuple[TrainedOn, ...],
    given: GivenWeights | None,
) -> dict[str, Any]:
    """The record of a fit that has just ended.

    Args:
        model: holds the weights that were kept.
        kind: of the stage.
        on: name of the corpus or task.
        report: of the model.
        meter: of the last attempt, but the seconds of all of them.
        attempts: how many.
        trained_on: what this stage has seen.
        given: weights that it started from, or None.

    Raises:
        JobFailed: where the validation loss is not a number.
    """
    if report.validation_loss is not None and report.validation_loss != report.validation_loss:
        raise JobFailed(f"{on}: the validation loss is not a number")
    numbers = {key: value for key, value in report.detail.items() if isinstance(value, int | float)}
    cost = StageCost(
        seconds=meter.seconds,
        flops=report.flops,
        peak_memory_bytes=meter.peak_memory_bytes,
        energy_joules=meter.energy_joules if attempts == 1 else None,
        attempts=attempts,
        detail={"epochs": report.epochs, **numbers},
    )
    weights = weights_hash(model)
    before, seen = (), trained_on
    if given is not None:
        # Weights from elsewhere bring no stage, but what nobody knows of them must not be forgotten.
        before, seen = given.stages, trained_on if given.record else (*given.trained_on, *trained_on)
    began = before[-1].weights if before else None
    stage = Stage(kind=kind, on=on, began=began, weights=weights, cost=cost, trained_on=seen)
    return {
        "validation_loss": report.validation_loss,
        "weights": weights,
        "parameters": count_parameters(model),
        "cost": cost.model_dump(mode="json"),
        "history": report.detail.get("history", []),
        "stages": [one.model_dump(mode="json") for one in (*before, stage)],
    }


def model_record(name: str, version: int, hyperparameters: Any) -> dict[str, Any]:
    """Which model a fit is of, so that whoever starts from its weights builds the same."""
    return {"name": name, "version": version, "hyperparameters": asdict(hyperparameters)}
