"""Answers a request of tsbench with Moirai 1.x, in an environment of its own that has uni2ts and zarr.

    python answer_with_moirai.py REQUEST.zarr FORECAST.zarr --weights Salesforce/moirai-1.1-R-small

Woo et al., "Unified Training of Universal Time Series Forecasting Transformers", ICML 2024 (arXiv
2402.02592). The targets of a case are forecast together, with the covariates of the data set; the answer
holds the quantiles of the sampled futures at the levels that the request asks for. It needs no tsbench.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import zarr

CALENDAR = "calendar:"


def main() -> None:
    """Read the request batch by batch, forecast, write the answer."""
    chosen = _arguments()
    request = zarr.open_group(chosen.request, mode="r")
    asked = dict(request.attrs)
    if asked.get("format") != "tsbench request" or asked.get("format_version") != 1:
        sys.exit(f"{chosen.request} is no request of tsbench, version 1")
    if Path(chosen.forecast).exists():
        sys.exit(f"{chosen.forecast} exists; choose another folder")
    predict = _Predictor(chosen, asked)
    answer = zarr.open_group(chosen.forecast, mode="w", zarr_format=3)
    answer.attrs.update({name: asked[name] for name in ("task", "version", "space", "quantiles")})
    answer.attrs.update({"kind": "quantiles", "model": Path(chosen.weights).name})
    for scenario in asked["scenarios"]:
        cases, steps, targets = scenario["shape"]
        shape = (cases, len(asked["quantiles"]), steps, targets)
        chunks = (min(cases, 256), *shape[1:])
        made = answer.create_array(scenario["name"], shape=shape, dtype="float32", chunks=chunks)
        arrays = request[scenario["name"]]
        for start in range(0, cases, chosen.batch_size):
            stop = min(start + chosen.batch_size, cases)
            part = {name: array[start:stop] for name, array in arrays.arrays()}
            made[start:stop] = predict(part)
            print(f"\r{scenario['scenario']}: {stop} of {cases}", end="", file=sys.stderr)
        print(file=sys.stderr)


class _Predictor:
    """Moirai for the contexts, targets and covariates of one request."""

    def __init__(self, chosen: argparse.Namespace, asked: dict[str, Any]) -> None:
        import torch
        from uni2ts.model.moirai import MoiraiForecast, MoiraiModule

        if Path(chosen.weights).is_dir() and not (Path(chosen.weights) / "model.safetensors").is_file():
            sys.exit(f"{chosen.weights} holds no model.safetensors")
        torch.manual_seed(chosen.seed)
        self.asked, self.chosen = asked, chosen
        self.targets = [asked["channels"].index(name) for name in asked["targets"]]
        self.others = [one for one in range(len(asked["channels"])) if one not in self.targets]
        past = [name for name in asked["past_covariates"] if not name.startswith(CALENDAR)]
        self.known = [name for name in past if name in asked["future_covariates"]]
        self.past_only = [name for name in past if name not in asked["future_covariates"]]
        if chosen.univariate:
            self.others, self.known, self.past_only = [], [], []
        self.model = MoiraiForecast(
            module=MoiraiModule.from_pretrained(chosen.weights),
            prediction_length=asked["horizon"],
            context_length=asked["context"],
            patch_size=chosen.patch_size,
            num_samples=chosen.samples,
            target_dim=1 if chosen.univariate else len(self.targets),
            feat_dynamic_real_dim=len(self.known),
            past_feat_dynamic_real_dim=len(self.others) + len(self.past_only),
        )
        self.model.to(chosen.device).eval()

    def __call__(self, part: dict[str, np.ndarray]) -> np.ndarray:
        """Quantiles (sample, quantile, lead_time, target) of a batch of the request."""
        import torch

        context = part["context"]
        observed = part.get("observed", np.ones(context.shape, bool))
        past = {"target": context[..., self.targets], "observed": observed[..., self.targets]}
        if self.chosen.univariate:  # each target is a case of its own
            past = {name: one.transpose(0, 2, 1).reshape(-1, one.shape[1], 1) for name, one in past.items()}
        given = {
            "past_target": np.where(past["observed"], past["target"], 0),
            "past_observed_target": past["observed"],
            # What lies before a series begins; gaps inside it are missing values.
            "past_is_pad": ~np.maximum.accumulate(past["observed"].any(axis=2), axis=1),
            **self._covariates(part, observed),
        }
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(one)).to(self.chosen.device)
            for name, one in given.items()
        }
        with torch.inference_mode():
            samples = self.model(**tensors, num_samples=self.chosen.samples).cpu().numpy()
        # One target comes without its dimension: (case, realization, lead_time[, target]).
        samples = samples.reshape(len(samples), self.chosen.samples, self.asked["horizon"], -1)
        if self.chosen.univariate:
            samples = samples.reshape(len(context), len(self.targets), *samples.shape[1:3]).transpose(
                0, 2, 3, 1
            )
        return np.quantile(samples, self.asked["quantiles"], axis=1).swapaxes(0, 1).astype(np.float32)

    def _covariates(self, part: dict[str, np.ndarray], observed: np.ndarray) -> dict[str, np.ndarray]:
        given = {}
        if self.known:
            columns = [
                self._columns(part, name, self.known) for name in ("past_covariates", "future_covariates")
            ]
            given["feat_dynamic_real"] = np.concatenate(columns, axis=1)
        if self.others or self.past_only:
            rows = [part["context"][..., self.others]]
            masks = [observed[..., self.others]]
            if self.past_only:
                rows.append(self._columns(part, "past_covariates", self.past_only))
                masks.append(np.isfinite(rows[-1]))
            mask = np.concatenate(masks, axis=2)
            given["past_feat_dynamic_real"] = np.where(mask, np.concatenate(rows, axis=2), 0)
            given["past_observed_feat_dynamic_real"] = mask
        if "feat_dynamic_real" in given:
            mask = np.isfinite(given["feat_dynamic_real"])
            given["observed_feat_dynamic_real"] = mask
            given["feat_dynamic_real"] = np.where(mask, given["feat_dynamic_real"], 0)
        return given

    def _columns(self, part: dict[str, np.ndarray], array: str, names: list[str]) -> np.ndarray:
        return part[array][..., [self.asked[array].index(name) for name in names]]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("request")
    parser.add_argument("forecast")
    parser.add_argument(
        "--weights", default="Salesforce/moirai-1.1-R-small", help="name on the hub, or folder"
    )
    parser.add_argument("--patch-size", type=int, default=32, choices=(8, 16, 32, 64, 128))
    parser.add_argument("--samples", type=int, default=100, help="sampled futures of a case")
    parser.add_argument("--univariate", action="store_true", help="forecast each target by itself")
    parser.add_argument("--batch-size", type=int, default=16, help="cases at once")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
