"""The site from 10,000 Results: seconds to build and to build again, sizes, first paint, sorting.

    python benchmarks/site.py [--models 50] [--tasks 40] [--seeds 5] [--folder DIR] [--out FILE.json]

Makes synthetic Results that follow the schema (kept in --folder, so that a second run starts at once), builds
the site from nothing, again without a change, and again with one new Result; says wall-clock and processor
seconds, which differ on a busy machine. Then opens the largest pages in a headless Chromium, from file://:
first contentful paint and the time of a sort, median of several. Writes JSON.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tsbench.contracts import ModelCard, Result, Suite, Task, averages
from tsbench.contracts.result import EXAMPLE_COLUMNS, RESULT_FILE, SCORE_COLUMNS, UNIT_COLUMNS
from tsbench.evaluation.record import write_result
from tsbench.leaderboard.collect import Catalogue
from tsbench.leaderboard.site.build import build_site

FIELDS = ("etth1", "weather", "exchange", "ettm1")
VARIABLES = ("HUFL", "LUFL", "OT")
UNITS, CASES = 12, 3
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5, help="of paints and sorts")
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmarks/site"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/site.json"))
    arguments = parser.parse_args()
    tasks = [task_of(number) for number in range(arguments.tasks)]
    models = ["baseline", *(f"model_{number:03}" for number in range(1, arguments.models))]
    suite = suite_of(tasks, models, arguments.seeds)
    declared = Catalogue({task.name: task for task in tasks}, {name: card_of(name) for name in models})
    made = list(itertools.product(models, tasks, range(arguments.seeds)))
    results = [result_of(arguments.folder / "results", *one) for one in made]
    site = arguments.folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    shutil.rmtree(arguments.folder / "cache", ignore_errors=True)

    def build(folders: Sequence[Path]) -> dict[str, float]:
        start, worked = time.perf_counter(), time.process_time()
        build_site([suite], folders, site, declared=declared, cache=arguments.folder / "cache")
        return {
            "seconds": round(time.perf_counter() - start, 1),
            "processor_seconds": round(time.process_time() - worked, 1),
        }

    measured: dict[str, Any] = {
        "results": len(results),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "build_from_nothing": build(results[:-1]),
        "build_with_one_new_result": build(results),
        "build_without_a_change": build(results),
    }
    measured["pages"] = {str(path.relative_to(site)): path.stat().st_size for path in largest(site)}
    measured["files"] = sum(path.is_file() for path in site.rglob("*"))
    measured["bytes"] = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    measured["browser"] = browse(site, list(measured["pages"]), arguments.repeats)
    print(json.dumps(measured, indent=1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))


def largest(site: Path) -> list[Path]:
    """The overview and the largest page of each folder."""
    folders = sorted(path for path in site.iterdir() if path.is_dir())
    pages = [sorted(folder.rglob("*.html"), key=lambda path: -path.stat().st_size)[:1] for folder in folders]
    return [site / "index.html", *itertools.chain.from_iterable(pages)]


def browse(site: Path, pages: Sequence[str], repeats: int) -> dict[str, dict[str, float]]:
    """First contentful paint, and the slowest sort of a page, in milliseconds, median of several.

    `sort_ms` lasts from the click until the rows that are moved at once stand in their places, laid out;
    `sort_processor_ms` is what script, style and layout of the page's thread take until all rows do.
    """
    from playwright.sync_api import sync_playwright

    found: dict[str, dict[str, float]] = {}
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for path in pages:
            paints, sorts = [], []
            for _ in range(repeats):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.goto((site / path).resolve().as_uri())
                paints.append(page.evaluate(PAINTED))
                sorts += [slowest] if (slowest := sorted_by_click(page)) else []
                page.close()
            found[path] = {"first_contentful_paint_ms": round(statistics.median(paints), 1)}
            for number, name in enumerate(("sort_ms", "sort_processor_ms")):
                if sorts:
                    found[path][name] = round(statistics.median(one[number] for one in sorts), 1)
        browser.close()
    return found


def sorted_by_click(page: Any) -> tuple[float, float] | None:
    """Wall-clock and processor milliseconds of the slowest sort of a page; None without a table to sort."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return 1000 * sum(
            metrics[name] for name in ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")
        )

    wall, processor = [], []
    for number in range(page.evaluate(TABLES)):
        for _ in range(2):  # ascending, then descending
            before = spent()
            wall.append(page.evaluate(SORT, number))
            page.evaluate(SETTLED)
            processor.append(spent() - before)
    return (max(wall), max(processor)) if wall else None


PAINTED = """() => new Promise((done) => {
  const name = "first-contentful-paint";
  const look = (entries) => entries.getEntriesByName(name).forEach((one) => done(one.startTime));
  new PerformanceObserver(look).observe({ type: "paint", buffered: true });
})"""
TABLES = "[...document.querySelectorAll('table.sortable')].filter((one) => one.offsetParent).length"
SORT = """(number) => {
  const tables = [...document.querySelectorAll("table.sortable")].filter((one) => one.offsetParent);
  const buttons = tables[number].querySelectorAll("thead th button");
  const start = performance.now();
  buttons[Math.min(1, buttons.length - 1)].click();
  tables[number].getBoundingClientRect();  // layout is part of it
  return performance.now() - start;
}"""
SETTLED = """() => new Promise((done) => {
  let left = 12;
  const wait = () => (left-- ? requestAnimationFrame(wait) : done());
  wait();
})"""


def task_of(number: int) -> Task:
    dataset = FIELDS[number % len(FIELDS)]
    return Task.model_validate(
        {
            "name": f"{dataset}-bench-{number:03}",
            "version": 1,
            "title": f"{dataset}, synthetic task {number}",
            "dataset": dataset,
            "horizon": 24,
            "period": 24,
            "max_context": 512,
            "split": {"kind": "ratio", "train": 0.7, "validation": 0.1, "test": 0.2},
            "normalisation": "zscore",
            "space": "normalised",
            "conditions": {
                "robustness": [{"disturbance": {"name": "awgn", "parameter": "snr_db", "levels": [20, 10]}}],
                "generalisation": {"not_applicable": "synthetic data have no second place"},
            },
            "metrics": ["mse", "mae"],
            "primary": "mse",
        }
    )


def card_of(name: str) -> ModelCard:
    kind = "baseline" if name == "baseline" else ("neural", "statistical", "foundation")[hash_of(name) % 3]
    return ModelCard.model_validate(
        {
            "name": name,
            "title": name.replace("_", " ").title(),
            "summary": "A synthetic model.",
            "kind": kind,
            "class_name": "Model",
            "settings": [{"tasks": ["*"], "context": 96}],
        }
    )


def suite_of(tasks: Sequence[Task], models: Sequence[str], seeds: int) -> Suite:
    return Suite.model_validate(
        {
            "name": "large",
            "title": "A large suite",
            "summary": "Synthetic Results, to see how the pages bear their number.",
            "tasks": [task.name for task in tasks],
            "models": [{"model": name} for name in models],
            "seeds": list(range(seeds)),
            "baseline": models[0],
        }
    )


def hash_of(name: str) -> int:
    return sum(map(ord, name)) * 7919


def result_of(root: Path, model: str, task: Task, seed: int) -> Path:
    """One Result folder; written only where it is not there yet."""
    folder = root / task.name / model / f"seed-{seed}"
    if (folder / RESULT_FILE).is_file():
        return folder
    random = np.random.default_rng([hash_of(model), hash_of(task.name), seed])
    skill = 0.6 + 0.01 * (hash_of(model) % 70)
    scenarios = task.scenarios()
    value = {
        one.key: float(skill * (1 + 0.2 * (one.level is not None)) * random.uniform(0.9, 1.1))
        for one in scenarios
    }
    means = {name: float(np.mean([value[key] for key in keys])) for name, keys in averages(scenarios).items()}
    cost = float(10 ** random.uniform(0, 3))
    result = Result.model_validate(
        {
            "model": {"name": model, "version": 1, "hyperparameters": {"width": 64}, "parameters": 1000},
            "task": {
                "name": task.name,
                "version": task.version,
                "hash": task.hash,
                "dataset": task.dataset,
                "recipe": {task.dataset: "aaaa"},
                "content": {task.dataset: "bbbb"},
            },
            "seed": seed,
            "track": {"context": 96, "tuning": "default", "learning": "fitted"},
            "trained_on": [],
            "primary": task.primary,
            "scores": {metric: means for metric in task.metrics},
            "scenarios": {name: len(keys) for name, keys in averages(scenarios).items()},
            "cases": 100,
            "cost": {
                "fit": {"seconds": cost, "flops": 1e9 * cost, "peak_memory_bytes": int(1e8 * cost)},
                "predict": {"seconds": 0.1 * cost, "flops": 1e7 * cost},
            },
            "provenance": {
                "created": f"2026-01-0{1 + seed}T00:00:00+00:00",
                "command": f"tsbench run {model} {task.name} --seed {seed}",
                "code": "cccc",
                "versions": {"torch": "2.13.0"},
                "host": "Linux x86_64, 2 cores",
                "threads": 1,
            },
        }
    )
    write_result(
        folder, result, scores_of(task, value), units_of(task, value, random), examples_of(task, random)
    )
    return folder


def scores_of(task: Task, value: dict[str, float]) -> dict[str, list[Any]]:
    marginals = [(None, None), *((name, None) for name in VARIABLES)]
    marginals += [(None, lead) for lead in range(1, task.horizon + 1)]
    rows = [
        (
            one.key,
            one.condition,
            name,
            None,
            None,
            lead,
            metric,
            100 * value[one.key] * (0.5 + (lead or 12) / 24),
            100.0,
        )
        for one in task.scenarios()
        for metric in task.metrics
        for name, lead in marginals
    ]
    return {name: [row[at] for row in rows] for at, name in enumerate(SCORE_COLUMNS)}


def units_of(task: Task, value: dict[str, float], random: np.random.Generator) -> dict[str, list[Any]]:
    rows = [
        (
            one.key,
            one.condition,
            task.name,
            unit,
            task.primary,
            50 * value[one.key] * random.uniform(0.8, 1.2),
            50.0,
        )
        for one in task.scenarios()
        for unit in range(UNITS)
    ]
    return {name: [row[at] for row in rows] for at, name in enumerate(UNIT_COLUMNS)}


def examples_of(task: Task, random: np.random.Generator) -> dict[str, list[Any]]:
    rows = [
        ("regular", 40 * case, name, f"2026-01-{1 + case:02}T{lead % 24:02}:00:00", lead, wave, forecast)
        for case in range(CASES)
        for name in VARIABLES
        for lead in range(-95, task.horizon + 1)
        for wave in [float(np.sin(lead * np.pi / 12 + case))]
        for forecast in [None if lead < 1 else wave + float(random.normal(0, 0.2))]
    ]
    return {name: [row[at] for row in rows] for at, name in enumerate(EXAMPLE_COLUMNS)}


if __name__ == "__main__":
    main()
