"""Windows of many series as cases: a batch is one gather by (series, origin) from one flat tensor."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from .batch import Batch
from .calendar import calendar_features
from .cases import Cases
from .normalisation import Scale, SeriesScale
from .runs import SERIES_PAY, runs_of_series
from .seasonal import seasonal_means
from .steps import stamps_at


@dataclass(frozen=True)
class HeldSeries:
    """What all cases of a collection gather from.

    Attributes:
        values: model space, filled, float32, shape (row, channel); series after series.
        truth: scored values in the task's metric space, float64, shape (row, target); 0 where missing.
        observed: mask of `values`, or None where nothing is missing.
        first, end: rows of each series' first value and after its last, int64, shape (series,).
        scale: normalisation of each series.
        known, past: covariates, float32, shape (row, column): known ahead, or up to the present only.
        static, categorical: of each series, float32 and int64, shape (series, column).
        starts: time stamp of each series' first value, datetime64[us], or None where there is no calendar.
        step: time step as an ISO 8601 duration, or None.
        calendar: names of the calendar columns.
        target_index: position of the targets among the channels.
        normalised: whether forecasts are scored in model space.
        period: main season in steps.
    """

    values: torch.Tensor
    truth: torch.Tensor
    observed: torch.Tensor | None
    first: torch.Tensor
    end: torch.Tensor
    scale: SeriesScale
    known: torch.Tensor
    past: torch.Tensor
    static: torch.Tensor
    categorical: torch.Tensor
    starts: np.ndarray | None
    step: str | None
    calendar: tuple[str, ...]
    target_index: tuple[int, ...]
    normalised: bool
    period: int

    def covariates(self, series: torch.Tensor, rows: torch.Tensor, *, past_only: bool) -> torch.Tensor:
        """Calendar, known covariates, and where asked those of the past, shape (sample, time, column)."""
        parts = [self.known[rows]]
        if self.calendar and self.starts is not None and self.step is not None:
            position = (rows - self.first[series][:, None]).numpy()
            time = stamps_at(self.starts[series.numpy()][:, None], position, self.step)
            features = calendar_features(time.reshape(-1), self.calendar)
            parts.insert(0, torch.from_numpy(features).reshape(*rows.shape, -1))
        if past_only:
            parts.append(self.past[rows])
        return torch.cat(parts, dim=-1)


@dataclass(frozen=True)
class RollingWindows(Cases):
    """Forecast windows of many series, one a case, for one look-back.

    Attributes:
        held: what is gathered from.
        series: number of each case's series, int64, shape (case,), ascending.
        origins: row of each case's first target, int64, shape (case,), ascending.
        ends: row after the part that the cases belong to, of each series, int64, shape (series,); a target
            beyond it is masked.
        context, horizon: steps.
        cut_within: origins that `drawn` draws from, counted from the end of the part, or None.
        shortest: values of the series before an origin, at least.
        seed: of the run, where an epoch draws one origin of each series.
        names: reserved names that are gathered.
    """

    held: HeldSeries
    series: torch.Tensor
    origins: torch.Tensor
    ends: torch.Tensor
    context: int
    horizon: int
    cut_within: int | None = None
    shortest: int = 1
    seed: int | None = None
    names: frozenset[str] = field(default=frozenset({"context", "target"}))

    def __len__(self) -> int:
        return len(self.origins)

    def using(self, *names: str) -> "RollingWindows":
        """The same windows with these reserved names gathered."""
        return replace(self, names=frozenset(names))

    def of(self, chosen: torch.Tensor) -> "RollingWindows":
        """Some of the windows; `chosen`: positions, ascending."""
        return replace(self, series=self.series[chosen], origins=self.origins[chosen])

    def gather(self, cases: torch.Tensor) -> Batch:
        """The batch of some cases, in model space; contexts are padded on the left with 0.

        Args:
            cases: positions in `origins`, int64, shape (sample,).
        """
        series, origins = self.series[cases], self.origins[cases]
        lengths = (origins - self.held.first[series]).clamp_max(self.context)
        own = torch.arange(-self.context, 0) >= -lengths[:, None]  # (sample, time)
        ahead, inside = self._ahead(series, origins)
        if self._copied_by_runs(len(cases)):
            context, target = runs_of_series(
                self.held.values, self._bounds, series, origins, self.context, self.horizon
            )
        else:
            context = self.held.values[self._rows(origins, own)].masked_fill_(~own[..., None], 0.0)
            target = self.held.values[ahead]
        tensors = {"context": context}
        if self._masked:
            known = own[..., None].expand(context.shape)
            if self.held.observed is not None:
                known = known & self.held.observed[self._rows(origins, own)]
            tensors["observed"] = known
        if "target" in self.names:
            tensors["target"] = self._targets(target)
        valid = self._valid(ahead, inside)
        if valid is not None:
            tensors["valid"] = valid
        if "past_covariates" in self.names:
            covariates = self.held.covariates(series, self._rows(origins, own), past_only=True)
            tensors["past_covariates"] = covariates.masked_fill_(~own[..., None], 0.0)
        if "future_covariates" in self.names:
            tensors["future_covariates"] = self.held.covariates(series, ahead, past_only=False)
        if "time" in self.names and self.held.starts is not None and self.held.step is not None:
            behind = torch.arange(-self.context, 0)
            position = (origins - self.held.first[series])[:, None] + behind
            time = stamps_at(self.held.starts[series.numpy()][:, None], position.numpy(), self.held.step)
            tensors["time"] = torch.from_numpy(time.astype("datetime64[ns]").astype(np.int64))
        if "static" in self.names:
            tensors["static"] = self.held.static[series]
        if "categorical" in self.names:
            tensors["categorical"] = self.held.categorical[series]
        return Batch(index=cases, series=series, length=lengths, **tensors)

    def gather_truth(self, cases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Scored values in the metric space and their mask, shape (sample, lead_time, target)."""
        ahead, inside = self._ahead(self.series[cases], self.origins[cases])
        return self.held.truth[ahead], self._valid(ahead, inside)

    def to_metric_space(self, values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Forecasts of some cases, (..., sample, lead_time, target), in the space of the scores."""
        return values if self.held.normalised else self._target_scale(index).to_units(values.double())

    def from_units(self, values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Forecasts of some cases in physical units, in the space where the task is scored."""
        return self._target_scale(index).to_model(values.double()) if self.held.normalised else values

    def seasonal_error(self, index: torch.Tensor, power: int = 1) -> torch.Tensor:
        """Mean of |seasonal difference|^power of all values of the series before each origin.

        Hyndman and Koehler (2006), eq. 5, with what is known at the forecast origin, as fev and GIFT-Eval
        have it; in M4, whose test part is one window, that is what the competition gave out.

        Returns:
            float64, shape (sample, 1, target); NaN where the series is shorter than a season and one step.
        """
        if power not in self._seasonal:
            held = self.held
            mask = None if held.observed is None else held.observed[:, list(held.target_index)]
            self._seasonal[power] = seasonal_means(
                held.truth, mask, held.first[self.series], self.origins, held.period, power
            )
        return self._seasonal[power][index][:, None]

    @property
    def seeded(self) -> bool:
        """Whether origins are drawn from the seed of the run."""
        return self.seed is not None

    def drawn(self, seed: int) -> "RollingWindows":
        """One window of each series, drawn anew in each epoch, where the task says so; else all of them."""
        if self.cut_within is None:
            return self
        series = self.series.unique_consecutive()
        return replace(self, series=series, origins=self.held.first[series], seed=seed).at_epoch(0)

    def at_epoch(self, epoch: int) -> "RollingWindows":
        """The windows of that epoch: drawn from (run seed, epoch, series) alone, or the same in every epoch.

        As the M4 loader of Time-Series-Library: uniform among the last `cut_within` values of the part.
        """
        if self.seed is None or self.cut_within is None:
            return self
        random = np.random.Generator(np.random.Philox(key=np.array([self.seed % 2**64, epoch], np.uint64)))
        shares = torch.from_numpy(random.random(len(self.held.first)))[self.series]
        first, end = self.held.first[self.series], self.ends[self.series]
        low = torch.maximum(first + self.shortest, end - self.cut_within)
        return replace(self, origins=low + (shares * (end - low)).long())

    @property
    def _masked(self) -> bool:
        """Whether batches have a mask: of all cases alike, so that no sample depends on its batch."""
        return self.held.observed is not None or self._padded

    @cached_property
    def _padded(self) -> bool:
        # A drawn origin may lie wherever its series allows.
        before = self.origins - self.held.first[self.series]
        return self.seed is not None or bool((before < self.context).any())

    @cached_property
    def _bounds(self) -> torch.Tensor:
        """First row of each series, and the row after its part."""
        return torch.stack([self.held.first, self.ends], dim=1)

    def _copied_by_runs(self, cases: int) -> bool:
        """Whether a batch is large enough, and no target reaches beyond its part."""
        values = cases * (self.context + self.horizon) * self.held.values.shape[1]
        return self.seed is None and values >= SERIES_PAY

    def _rows(self, origins: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Rows of the contexts, (sample, time); those before a series are rows that exist, and masked."""
        return torch.where(own, origins[:, None] + torch.arange(-self.context, 0), origins[:, None])

    def _ahead(self, series: torch.Tensor, origins: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Rows of the targets, (sample, lead_time), and which lie in the part, or None for all."""
        rows = origins[:, None] + torch.arange(self.horizon)
        if self.seed is None:
            return rows, None
        ends = self.ends[series][:, None]
        return torch.minimum(rows, ends - 1), rows < ends

    def _valid(self, ahead: torch.Tensor, inside: torch.Tensor | None) -> torch.Tensor | None:
        observed = None if self.held.observed is None else self._targets(self.held.observed[ahead])
        if inside is None:
            return observed
        within = inside[..., None].expand(-1, -1, len(self.held.target_index))
        return within if observed is None else within & observed

    def _targets(self, window: torch.Tensor) -> torch.Tensor:
        """The scored channels of (sample, lead_time, channel)."""
        index = self.held.target_index
        return window if index == tuple(range(window.shape[-1])) else window[..., list(index)]

    def _target_scale(self, index: torch.Tensor) -> Scale:
        return self.held.scale.of_series(self.series[index]).channels(list(self.held.target_index))

    @cached_property
    def _seasonal(self) -> dict[int, torch.Tensor]:
        """Power → means of all cases, of those that were asked for."""
        return {}


def counts_by(names: tuple[str, ...], values: torch.Tensor) -> Mapping[str, int]:
    """Name of each column → number of categories, one more than the largest."""
    largest = values.amax(dim=0).tolist() if len(names) else []
    return {name: most + 1 for name, most in zip(names, largest, strict=True)}
