"""Executes a job: fit, then evaluation to a Result folder. The only part of a job that imports torch.

What this module imports, directly or not, is the code that a Result depends on: its code hash starts here.
"""

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import torch

from tsbench import atomic
from tsbench.contracts import (
    InputError,
    ModelRecord,
    OperatorsUsed,
    Result,
    ResultProvenance,
    StageCost,
    TaskRecord,
    TestedOn,
    Track,
    TrainedOn,
    averages,
)
from tsbench.cuda_ops import chosen, recorded
from tsbench.data.cases import batch_size_for
from tsbench.data.task_data import TaskData
from tsbench.data.tested import files_of
from tsbench.evaluation.evaluate import Evaluation, Presenter, evaluate, view_of
from tsbench.evaluation.forecast_store import ForecastWriter
from tsbench.evaluation.record import write_result
from tsbench.training.build import POINT_LOSSES, NoHyperparameters, build, has_weights
from tsbench.training.checkpoint import BEST_WEIGHTS
from tsbench.training.cost import Meter, count_flops, measure
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import FitReport, TaskSource
from tsbench.training.weights import count_parameters, load_weights, save_weights, weights_hash

from .attempts import FILE as ATTEMPTS
from .attempts import Attempts
from .fit_record import model_record, record_of
from .fitted import FIT, LAST, TOGETHER, WEIGHTS, read_fit, write_fit
from .job import SWEEP, Job, versions
from .stages import GivenWeights, Stage, named, stages_of

FORECAST = "forecast.zarr"
COST_SEQUENCES = 32
UNFINISHED = (LAST, BEST_WEIGHTS, ATTEMPTS)
"""Files that only an unfinished fit needs; what says that others are whole comes first."""

Report = Callable[[str, int, int], None]


class Execution:
    """A job with its data open and its model built.

    Args:
        job: the resolved job; its run folder must be locked by the caller.
        progress: draw progress bars.
        data: of the same task, where it is open already.
    """

    def __init__(self, job: Job, progress: bool = False, data: dict[str, TaskData] | None = None) -> None:
        self.job, self.progress = job, progress
        torch.set_num_threads(job.options.threads or 1)
        if job.options.device == "cuda" and not torch.cuda.is_available():
            raise InputError("There is no CUDA device that this build of torch can use; choose --device cpu")
        self.data = data or {name: TaskData.open(job.task, name) for name in job.recipes}
        where = f"{job.model.name} on {job.task.name}"
        kind = job.model.load()
        self.view = view_of(kind, job.task)
        self.shape = self.view.shape(self.data[job.task.dataset].shape(job.context))
        record = getattr(kind, "Hyperparameters", NoHyperparameters)
        self.hyperparameters = fill(record, job.options.hyperparameters, f"{where}: hyperparameters")
        self.settings = fill(TrainingSettings, job.options.training, f"{where}: training")
        if self.settings.loss not in POINT_LOSSES and job.task.view != "sequence":
            raise InputError(f"{where}: the loss {self.settings.loss} is for tasks on plain time series")
        # Asking for the windows now refuses series that are too short before anything is fitted.
        self.data[job.task.dataset].windows("test", job.context)
        self.fallbacks: Counter[str] = Counter()
        self.paths: dict[str, set[str]] = {}
        self.model: Any = build(kind, self.shape, self.hyperparameters, job.seed, self.settings.loss)
        for name in ("fits", "uses", "predict"):
            if not hasattr(self.model, name):
                raise InputError(
                    f"{job.model.name} has no `{name}`; a model has fits, uses and predict (README)"
                )

    @property
    def fits(self) -> bool:
        """Whether there is anything to fit."""
        return self.model.fits != "none" and hasattr(self.model, "fit") and not self.job.zero_shot

    def fit(self, callbacks: tuple[Any, ...] = ()) -> dict[str, Any]:
        """Fit the model, or load the finished fit of an earlier call; returns the record of the fit.

        A model without weights to save (no torch module) is fitted again: its state is nowhere on disk.

        Args:
            callbacks: Lightning callbacks that watch the training; one that raises leaves an unfinished fit.

        Raises:
            JobFailed: where training diverges.
        """
        folder = self.job.folder
        if not self.fits:
            return {}
        finished, given = read_fit(folder), self.job.given
        if given is not None and (given.path.is_dir() or not finished):
            # A folder may give the model another shape than its hyper-parameters: also before a finished fit.
            self._load_given(given)
        if finished and has_weights(self.model):
            load_weights(self.model, folder / WEIGHTS)
            return finished
        atomic.make_folder(folder)
        attempts = Attempts(folder)
        source = replace(self.source(), on_epoch=attempts.note, callbacks=callbacks)
        with measure(self.job.options.device) as meter, recorded() as paths:
            report = self.model.fit(source) or FitReport()
        self.note_paths(paths)
        meter.seconds = attempts.seconds()
        record = self.finish_fit(report, meter, attempts.count)
        self.clear_checkpoints()
        return record

    def finish_fit(self, report: FitReport, meter: Meter, attempts: int) -> dict[str, Any]:
        """Record a fit as finished: its weights, what it cost, and the stages that led to it.

        Args:
            report: of the fit.
            meter: its cost; the seconds are those of all attempts.
            attempts: that it took.

        Raises:
            JobFailed: where the validation loss is not a number.
        """
        job = self.job
        record = record_of(
            self.model, "fit", job.task.name, report, meter, attempts, self._task_range(), job.given
        )
        record["model"] = model_record(job.model.name, job.model.card.version, self.hyperparameters)
        record["operators"] = {name: sorted(taken) for name, taken in self.paths.items()}
        if has_weights(self.model):
            save_weights(self.model, self.job.folder / WEIGHTS)
        # fit.json marks the fit as finished, so it is written last.
        write_fit(self.job.folder, record)
        return record

    def note_paths(self, paths: Mapping[str, Iterable[str]]) -> None:
        """Add paths that operators took for this job: in a fit, also an earlier one, or in the evaluation."""
        for operator, taken in paths.items():
            self.paths.setdefault(operator, set()).update(taken)

    def clear_checkpoints(self) -> None:
        """Remove what only an unfinished fit needs."""
        for name in UNFINISHED:
            (self.job.folder / name).unlink(missing_ok=True)

    def evaluate(self, command: str, save_forecasts: bool = False, report: Report | None = None) -> Result:
        """Evaluate on the job's scenarios and write the Result folder; fit before, or load weights.

        Raises:
            JobFailed: where a forecast is not finite.
        """
        job = self.job
        fitted = read_fit(job.folder)
        if job.given is not None and not fitted:
            self._load_given(job.given)
        if isinstance(self.model, torch.nn.Module):
            self.model.to(job.options.device)
        with measure(job.options.device) as meter, recorded() as paths:
            evaluation = self._forecast_all(save_forecasts, report)
        self.note_paths(paths)
        self.note_paths(fitted.get("operators", {}))
        self.fallbacks = evaluation.fallbacks or Counter()
        result = self._result(evaluation, fitted, meter, command)
        write_result(
            job.result_folder,
            result,
            evaluation.score_columns(),
            evaluation.unit_columns(),
            evaluation.examples.columns,
        )
        return result

    def _forecast_all(self, save: bool, report: Report | None) -> Evaluation:
        job = self.job
        options: dict[str, Any] = {
            "batch_size": job.options.batch_size,
            "drop_last": job.options.drop_last,
            **({"report": report} if report else {}),
        }
        if not save:
            return evaluate(self.model, self.data, job.task, job.scenarios, job.context, **options)
        with atomic.new_folder(job.folder / FORECAST) as temporary:
            writer = ForecastWriter(temporary, job.task, job.model.name)
            for scenario in job.scenarios:
                data = self.data[scenario.dataset]
                cases = len(data.test_cases(scenario, job.context))
                writer.create(scenario, data.forecast_shape(cases, job.context))
            return evaluate(
                self.model, self.data, job.task, job.scenarios, job.context, writer=writer, **options
            )

    def source(self) -> TaskSource:
        """What the model is fitted on."""
        job = self.job
        return TaskSource(
            data=self.data[job.task.dataset],
            context=job.context,
            seed=job.seed,
            settings=self.settings,
            folder=job.folder,
            uses=self.model.uses,
            view=self.view,
            progress=self.progress,
            device=job.options.device,
        )

    def _load_given(self, given: GivenWeights) -> None:
        load_weights(self.model, given.path)
        given.check(weights_hash(self.model))

    def _predict_cost(self, evaluation: Evaluation, meter: Meter) -> StageCost:
        main = self.data[self.job.task.dataset].windows("test", self.job.context).using(*self.model.uses)
        cases = min(batch_size_for(main, COST_SEQUENCES), len(main))
        batch = main.gather(torch.arange(cases))
        presenter = Presenter(self.model, self.job.task)
        flops = count_flops(lambda: presenter.predict(batch, self.job.context))
        per_case = None if flops is None else flops / cases
        replaced = evaluation.fallbacks
        return StageCost(
            seconds=evaluation.predict_seconds,
            flops=None if per_case is None else per_case * evaluation.predicted,
            peak_memory_bytes=meter.peak_memory_bytes,
            energy_joules=meter.energy_joules,
            detail={
                "cases": evaluation.predicted,
                "flops_per_case": per_case,
                "seconds_per_case": evaluation.predict_seconds / max(evaluation.predicted, 1),
                **({} if replaced is None else {"fallbacks": replaced.total()}),
            },
        )

    def _result(self, evaluation: Evaluation, fitted: dict[str, Any], meter: Meter, command: str) -> Result:
        job = self.job
        stages = self._stages(fitted)
        cost = {name: stage.cost for name, stage in stages.items()}
        if job.options.swept is not None:
            cost = {SWEEP: job.options.swept.cost, **cost}
        return Result(
            model=ModelRecord(
                name=job.model.name,
                version=job.model.card.version,
                hyperparameters=asdict(self.hyperparameters),
                training=asdict(self.settings)
                if self.fits and hasattr(self.model, "configure_optimizers")
                else {},
                parameters=count_parameters(self.model),
                weights=weights_hash(self.model),
                start=job.given.name if job.given else "",
            ),
            task=TaskRecord(
                name=job.task.name,
                version=job.task.version,
                hash=job.task.hash,
                dataset=job.task.dataset,
                recipe=job.recipes,
                content=job.contents,
            ),
            seed=job.seed,
            track=self._track(fitted),
            trained_on=self._trained_on(stages),
            tested_on=self._tested_on(),
            forecast_kind=evaluation.kind,  # type: ignore[arg-type]
            primary=job.task.primary,
            scores=evaluation.scores(),
            scenarios={name: len(keys) for name, keys in averages(job.scenarios).items()},
            cases=evaluation.cases,
            skipped=job.skipped,
            parity=self._parity(),
            cost=cost | {"predict": self._predict_cost(evaluation, meter)},
            provenance=provenance(job, command, self.paths),
        )

    def _parity(self) -> dict[str, Any]:
        options = self.job.options
        dropped = {"drop_last": options.batch_size} if options.drop_last else {}
        return dropped | ({"scenarios": list(options.scenarios)} if options.scenarios else {})

    def _track(self, fitted: dict[str, Any]) -> Track:
        given, name = self.job.given, self.job.task.name
        here = given is not None and any(one.kind == "fit" and one.on == name for one in given.stages)
        # Of weights for a model that would be fitted, nobody says on what; one that never fits is zero-shot.
        unknown = given is not None and not given.record and self.model.fits != "none"
        learning = "fitted" if fitted or here else "unknown" if unknown else "zero-shot"
        return Track(context=self.job.context, tuning=self.job.tuning, learning=learning)

    def _stages(self, fitted: dict[str, Any]) -> dict[str, Stage]:
        """Stages that led to the weights, by name; none where nothing was learned or nobody knows."""
        if fitted:
            return named(stages_of(fitted, self.job.folder))
        return named(self.job.given.stages) if self.job.given else {}

    def _trained_on(self, stages: dict[str, Stage]) -> tuple[TrainedOn, ...]:
        if not stages and self.job.given:
            return self.job.given.trained_on
        return tuple(one for stage in stages.values() for one in stage.trained_on)

    def _task_range(self) -> tuple[TrainedOn, ...]:
        """What a fit on the task sees."""
        name = self.job.task.dataset
        return (self.data[name].trained_on().model_copy(update={"files": files_of(name)}),)

    def _tested_on(self) -> tuple[TestedOn, ...]:
        job = self.job
        by_data = {name: [one for one in job.scenarios if one.dataset == name] for name in self.data}
        return tuple(
            tested
            for name, scenarios in by_data.items()
            if scenarios
            for tested in self.data[name].tested_on(scenarios, job.context)
        )


def discard(job: Job) -> None:
    """Remove what a run folder holds, except its lock.

    What says that other files are whole goes before them: killed here, a run is taken up or starts over.
    """
    for name in (FIT, TOGETHER, LAST):
        (job.folder / name).unlink(missing_ok=True)
    for path in list(job.folder.glob("*")):
        if path.is_dir():
            atomic.remove_folder(path)
        elif path.name != "lock":
            path.unlink(missing_ok=True)


def provenance(job: Job, command: str, paths: Mapping[str, Iterable[str]]) -> ResultProvenance:
    """Who makes a Result now, with what; `paths`: of each operator that was called."""
    return ResultProvenance(
        created=created_now(),
        command=command,
        code=job.code,
        versions=versions(job.model.card.packages),
        host=host_class(job.options.device),
        threads=job.options.threads or 1,
        deterministic=job.options.device == "cpu",
        operators=OperatorsUsed(
            choice=chosen(), paths={name: ", ".join(sorted(taken)) for name, taken in sorted(paths.items())}
        ),
    )


def created_now() -> str:
    """The present moment, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def host_class(device: str) -> str:
    """System, processor, cores and accelerator of this host; never its name."""
    accelerator = torch.cuda.get_device_name() if device == "cuda" else "no accelerator"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {accelerator}"
