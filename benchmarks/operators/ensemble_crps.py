"""Rows of `ensemble_crps`: against pairs, torch.sort and torch.cdist, and scoringrules if it is there."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from tsbench.cuda_ops import energy_score, ensemble_crps, ensemble_scores
from tsbench.cuda_ops.ensemble_crps import bytes_moved, reference
from tsbench.cuda_ops.ensemble_crps.op import obstacle

from .measure import Row, compare, unmeasured
from .window_gather import copy_bandwidth

PAIRS_AT_ONCE = 2**22
MOST_FOR_PAIRS = 50
LEVELS = [one / 10 for one in range(1, 10)]
ESTIMATORS = ("qd", "pwm", "nrg", "akr")
"""Of scoringrules: two that sort, the pairwise one, and one that approximates the spread by neighbours."""


@dataclass(frozen=True)
class Case:
    """An ensemble.

    Attributes:
        members, cases: sizes.
        channels: of a vector, for the energy score.
        dtype: of its numbers.
        what: `crps`, `scores` (with nine quantile losses), `training` (with the gradient) or `energy`.
        devices: where it is measured.
    """

    members: int
    cases: int
    what: str = "crps"
    channels: int = 0
    dtype: torch.dtype = torch.float32
    devices: tuple[str, ...] = ("cpu", "cuda")

    def __str__(self) -> str:
        vectors = f" × {self.channels}" if self.channels else ""
        size = f"{self.members} members × {self.cases}{vectors}"
        return f"{self.what}, {size}, {str(self.dtype).removeprefix('torch.')}"


CASES = [
    Case(100, 10_000),
    Case(100, 10_000, dtype=torch.float64),
    Case(5, 200_000),
    Case(20, 50_000),
    Case(50, 20_000),
    Case(1000, 1000),
    Case(100, 10_000, "scores"),
    Case(100, 10_000, "training"),
    Case(100, 500, "energy", channels=7),
    Case(20, 5000, "energy", channels=7),
    Case(16, 4_000_000, devices=("cuda",)),
    Case(50, 2_000_000, devices=("cuda",)),
    Case(64, 2_000_000, devices=("cuda",)),
    Case(500, 200_000, devices=("cuda",)),
    Case(50, 2_000_000, "training", devices=("cuda",)),
]


def rows(device: str, repeats: int) -> Iterator[Row]:
    """All configurations on a device."""
    cases = [case for case in CASES if device in case.devices]
    if device == "cuda" and (not torch.cuda.is_available() or obstacle(torch.device("cuda", 0))):
        yield from unmeasured("ensemble_crps", [str(case) for case in cases], device)
        return
    for case in cases:
        yield _measured(case, device, repeats)


def _measured(case: Case, device: str, repeats: int) -> Row:
    generator = torch.Generator().manual_seed(0)
    shape = (case.members, case.cases, *([case.channels] if case.channels else []))
    forecast = torch.randn(shape, generator=generator, dtype=case.dtype).to(device)
    observed = torch.randn(shape[1:], generator=generator, dtype=case.dtype).to(device)
    ways = {
        "crps": _crps,
        "scores": _scores,
        "training": _training,
        "energy": _energy,
    }[case.what](forecast, observed)

    def figures(seconds: float) -> dict[str, float]:
        moved = bytes_moved(case.members, forecast[0].numel(), forecast.element_size())
        return {
            "GB/s": moved / seconds / 1e9,
            "share of the copy bandwidth": moved / seconds / copy_bandwidth(device),
        }

    return compare("ensemble_crps", str(case), device, ways, repeats, figures)


def _crps(forecast: torch.Tensor, observed: torch.Tensor) -> dict[str, Callable[[], object]]:
    ways: dict[str, Callable[[], object]] = {"ours": lambda: ensemble_crps(forecast, observed)}
    if forecast.numel() * len(forecast) < 2**28:
        ways["by pairs"] = lambda: _by_pairs(forecast, observed)
    ways["torch.sort"] = lambda: _by_sort(forecast, observed)
    if importlib.util.find_spec("scoringrules") is None or forecast.device.type != "cpu":
        return ways
    import scoringrules

    for backend in ("numpy", "numba"):
        if importlib.util.find_spec(backend) is None:
            continue
        for estimator in ESTIMATORS:
            if estimator == "nrg" and len(forecast) > MOST_FOR_PAIRS:
                continue
            ways[f"scoringrules {estimator} {backend}"] = lambda estimator=estimator, backend=backend: (
                scoringrules.crps_ensemble(
                    observed.numpy(), forecast.numpy(), m_axis=0, estimator=estimator, backend=backend
                )
            )
    return ways


def _scores(forecast: torch.Tensor, observed: torch.Tensor) -> dict[str, Callable[[], object]]:
    def separately() -> None:
        ensemble_crps(forecast, observed)
        levels = forecast.new_tensor(LEVELS)
        below = observed - torch.quantile(forecast, levels, dim=0)
        torch.maximum(levels[:, None] * below, (levels[:, None] - 1) * below)

    return {
        "ours": lambda: ensemble_scores(forecast, observed, LEVELS),
        "CRPS, then torch.quantile": separately,
    }


def _training(forecast: torch.Tensor, observed: torch.Tensor) -> dict[str, Callable[[], object]]:
    leaf = forecast.clone().requires_grad_()

    def ours() -> object:
        return torch.autograd.grad(ensemble_crps(leaf, observed).sum(), leaf)

    def by_autograd() -> object:
        return torch.autograd.grad(reference.scores(leaf, observed, (), False, None)[0].sum(), leaf)

    return {"ours": ours, "torch.sort and autograd": by_autograd}


def _energy(forecast: torch.Tensor, observed: torch.Tensor) -> dict[str, Callable[[], object]]:
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: energy_score(forecast, observed),
        "by pairs": lambda: _by_pairs(forecast, observed),
        "torch.cdist": lambda: _by_cdist(forecast, observed),
    }
    if importlib.util.find_spec("scoringrules") is None or forecast.device.type != "cpu":
        return ways
    import scoringrules

    for backend in ("numpy", "numba"):
        if importlib.util.find_spec(backend) is not None:
            ways[f"scoringrules {backend}"] = lambda backend=backend: scoringrules.es_ensemble(
                observed.numpy(), forecast.numpy(), m_axis=0, v_axis=-1, backend=backend
            )
    return ways


def _by_sort(forecast: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """The CRPS from members ordered by torch, all cases at once."""
    members = len(forecast)
    error = (forecast - observed).sort(dim=0).values
    weight = 2 * torch.arange(1, members + 1, dtype=error.dtype, device=error.device) - members - 1
    return error.abs().mean(dim=0) - torch.tensordot(weight, error, dims=1) / members**2


def _by_cdist(forecast: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """The energy score from a matrix of distances a case, of some cases at once."""
    members = len(forecast)
    error = torch.linalg.vector_norm(forecast - observed, dim=-1).mean(dim=0)
    points = forecast.transpose(0, 1).split(max(1, PAIRS_AT_ONCE // members**2))  # (case, member, channel)
    exact = "donot_use_mm_for_euclid_dist"
    apart = torch.cat([torch.cdist(one, one, compute_mode=exact).sum(dim=(1, 2)) for one in points])
    return error - apart / (2 * members**2)


def _by_pairs(forecast: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """The pairwise formula, a part of the cases at a time."""
    score = reference.crps_by_pairs if forecast.dim() == 2 else reference.energy_by_pairs
    size = max(1, PAIRS_AT_ONCE // (len(forecast) ** 2 * max(1, forecast[0, :1].numel())))
    parts = zip(forecast.split(size, dim=1), observed.split(size), strict=True)
    return torch.cat([score(one, truth, False, None) for one, truth in parts])
