"""Results of `csi-rrg-small` beside the published tables of CSI-RRG: errors, orders, first places, pairs.

    python benchmarks/csi_published.py [--results DIR] [--out FILE.json]

Reads the Results of the suite, by default those that are checked in, and computes nothing anew. For each
duplex mode: NMSE on the channel models of training (A, C, D: the regular scenarios) and on unseen ones (B, E:
the generalisation scenarios of these), mean over seeds and their range; the order of the models beside the
published one, of the full sizes on 32 antennas; the share of regular scenarios in which a model is first; and
the small CSI-4CAST against each other model, paired over the channel folders; and the regular error by speed.

Published figures: CSI-4CAST repository, tables of 2026-03, additive noise, delay spreads 30/100/300 ns,
speeds 1/10/30 m/s. Writes JSON.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tsbench.contracts import Result
from tsbench.contracts.result import RESULT_FILE
from tsbench.leaderboard.aggregate import first_share
from tsbench.leaderboard.paired import paired_tests

PUBLISHED = {
    "tdd": {
        "csi_4cast_small": (0.128, 0.206),
        "llm4cp_small": (0.148, 0.196),
        "csi_rnn_small": (0.172, 0.225),
        "csi_cnn_small": (0.215, 0.240),
        "stemgnn_small": (0.232, 0.255),
        "pad": (0.241, 0.257),
        "ar": (0.783, 0.776),
        "wiener": (0.821, 0.812),
        "last_value": (1.829, 1.627),
    },
    "fdd": {
        "csi_4cast_small": (0.283, 0.700),
        "csi_rnn_small": (0.291, 0.640),
        "llm4cp_small": (0.329, 0.686),
        "stemgnn_small": (0.537, 0.606),
        "csi_cnn_small": (0.686, 0.684),
        "wiener": (1.054, 1.015),
        "last_value": (2.736, 2.224),
    },
}
"""Mode → model → NMSE on A, C, D and on B, E."""
PARTS = ("seen", "unseen")
SUBJECT = "csi_4cast_small"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=Path, default=Path("leaderboards/csi-rrg-small/results"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/csi_published.json"))
    arguments = parser.parse_args()
    found = {
        mode: mode_of(arguments.results / f"csi-rrg-{mode}-small", PUBLISHED[mode]) for mode in PUBLISHED
    }
    for mode, one in found.items():
        print_mode(mode, one)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(found, indent=1))


def mode_of(folder: Path, published: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Everything that is said of one duplex mode."""
    scenarios = {model: values_of(folder, model) for model in published}
    known = {model: table for model, table in scenarios.items() if table is not None}
    missing = sorted(set(published) - set(known))
    rows = {
        model: {part: spread_of(table, part) for part in PARTS}
        | {
            "by_speed": by_speed(table),
            "published": dict(zip(PARTS, published[model], strict=True)),
            "seeds": int(table.seed.nunique()),
        }
        for model, table in known.items()
    }
    for part, place in zip(PARTS, (0, 1), strict=True):
        for model, order in order_of({name: row[part]["mean"] for name, row in rows.items()}).items():
            rows[model][part]["order"] = order
        for model, order in order_of({name: published[name][place] for name in rows}).items():
            rows[model][part]["published_order"] = order
    seen = pd.DataFrame({name: means_of(table, "seen") for name, table in known.items()})
    for model, share in zip(seen, first_share(seen.to_numpy()), strict=True):
        rows[model]["first_share"] = float(share)
    return {"models": rows, "missing": missing, "pairs": pairs_of(folder, list(known))}


def values_of(folder: Path, model: str) -> pd.DataFrame | None:
    """NMSE of each scenario and seed of a model at its card's settings: seed, scenario, part, value."""
    tables = []
    for place in results_of(folder, model):
        scores = pd.read_parquet(place / "scores.parquet")
        whole = scores[(scores.metric == "nmse") & scores.variable.isna() & scores.lead_time.isna()]
        unseen = (whole.condition == "generalisation") & whole.scenario.str.contains("channel_model=[BE]/")
        parts = np.where(whole.condition == "regular", "seen", np.where(unseen, "unseen", "other"))
        value = whole.numerator / whole.denominator
        tables.append(
            pd.DataFrame(
                {"seed": result_of(place).seed, "scenario": whole.scenario, "part": parts, "value": value}
            )
        )
    return pd.concat(tables) if tables else None


def results_of(folder: Path, model: str) -> list[Path]:
    """Folders of the Results of a model at its card's settings."""
    found = sorted(path.parent for path in (folder / model).rglob(RESULT_FILE))
    return [place for place in found if result_of(place).track.tuning != "custom"]


def result_of(place: Path) -> Result:
    return Result.model_validate_json((place / RESULT_FILE).read_text())


def spread_of(table: pd.DataFrame, part: str) -> dict[str, float]:
    """Mean over scenarios: of the seeds' mean, and the lowest and highest seed."""
    seeds = table[table.part == part].groupby("seed").value.mean()
    return {"mean": float(seeds.mean()), "low": float(seeds.min()), "high": float(seeds.max())}


def by_speed(table: pd.DataFrame) -> dict[str, float]:
    """Mean of the regular scenarios of each speed, in metres a second."""
    seen = table[table.part == "seen"]
    speed = seen.scenario.str.extract(r"speed=([^/]+)")[0]
    return {str(name): float(value) for name, value in seen.value.groupby(speed).mean().items()}


def means_of(table: pd.DataFrame, part: str) -> pd.Series:
    """Mean over seeds of each scenario."""
    return table[table.part == part].groupby("scenario").value.mean()


def order_of(errors: dict[str, float]) -> dict[str, int]:
    """Places from 1, the lowest error first."""
    return {name: place for place, name in enumerate(sorted(errors, key=errors.__getitem__), start=1)}


def pairs_of(folder: Path, models: list[str]) -> dict[str, Any]:
    """The subject's error minus each other's on the regular scenarios, over channel folders."""
    if SUBJECT not in models:
        return {}
    clusters = {model: clusters_of(folder, model) for model in models}
    others = [model for model in models if model != SUBJECT]
    table = pd.DataFrame(clusters)
    tests = paired_tests(table[[SUBJECT, *others]].to_numpy())
    return {
        "clusters": tests.clusters,
        "reason": tests.reason,
        "others": {
            other: {
                "difference": float((table[SUBJECT] - table[other]).mean()),
                "lower_in": int((table[SUBJECT] < table[other]).sum()),
                **{name: float(values[0, at]) for name, values in tests.p_values.items()},
            }
            for at, other in enumerate(others, start=1)
        },
    }


def clusters_of(folder: Path, model: str) -> pd.Series:
    """Mean NMSE of each cluster over its units, scenarios and seeds."""
    units = pd.concat(pd.read_parquet(place / "units.parquet") for place in results_of(folder, model))
    regular = units[(units.condition == "regular") & (units.metric == "nmse")]
    return (regular.numerator / regular.denominator).groupby(regular.cluster).mean()


def print_mode(mode: str, found: dict[str, Any]) -> None:
    rows = sorted(found["models"].items(), key=lambda row: row[1]["seen"]["order"])
    print(f"{mode}: NMSE (range of seeds), place, published NMSE, published place")
    print("| model | seeds | A, C, D | | published | | B, E | | published | | first |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for model, row in rows:
        cells = [f"`{model}`", str(row["seeds"])]
        for part in PARTS:
            one = row[part]
            ranged = f" ({one['low']:.3f}–{one['high']:.3f})" if row["seeds"] > 1 else ""
            cells += [f"{one['mean']:.3f}{ranged}", str(one["order"])]
            cells += [f"{row['published'][part]:.3f}", str(one["published_order"])]
        print(f"| {' | '.join(cells)} | {100 * row['first_share']:.1f} % |")
    for model in found["missing"]:
        print(f"no Result of {model}")
    for model, row in rows:
        said = ", ".join(f"{value:.2f} at {speed} m/s" for speed, value in row["by_speed"].items())
        print(f"{model} by speed: {said}")
    pairs = found["pairs"]
    if pairs and pairs["reason"]:
        print(pairs["reason"])
    for other, pair in (pairs["others"] if pairs else {}).items():
        tested = ", ".join(f"{name} p {pair[name]:.2g}" for name in ("t", "wilcoxon") if name in pair)
        print(
            f"{SUBJECT} − {other}: {pair['difference']:+.3f}, lower in {pair['lower_in']} of "
            f"{pairs['clusters']} clusters{'; ' + tested if tested else ''}"
        )


if __name__ == "__main__":
    main()
