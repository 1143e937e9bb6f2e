"""A campaign of kills: every kind of command, at named points and at random moments, each then repeated.

    python benchmarks/faults.py [--kills 200] [--seed 0] [--out FILE.json]

Half of the kills are at named points (before or after a rename, link, removal, line of the ledger or commit),
half at random moments; by SIGKILL, SIGTERM and Ctrl-C in turn. After each kill everything that readers would
take for finished is read; the same command then has to come to the same facts, bit for bit, and to leave no
lock, no draft and no temporary name behind. Prints a table and writes JSON. The harness is that of the tests.
"""

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reliability"))

from world import COMMANDS, Kill, Trial, Trials, Warm, write_package

SIGNALS = ("KILL", "TERM", "INT")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", nargs="*", default=list(COMMANDS), help="commands, by their names in the table"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/faults.json"))
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    start = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="tsbench-faults-"))
    write_package(folder / "package")
    with Warm(
        {"PYTHONPATH": os.pathsep.join([str(folder / "package"), os.environ.get("PYTHONPATH", "")])}
    ) as warm:
        trials = Trials(warm, folder)
        done: list[Trial] = []
        with contextlib.suppress(KeyboardInterrupt):  # what is done is shown
            for trial in campaign(trials, arguments.only, arguments.kills, random.Random(arguments.seed)):
                done.append(trial)
    seconds = time.monotonic() - start
    print_table(done)
    wrong = [trial for trial in done if trial.wrong]
    for trial in wrong:
        print(f"\n{trial.command}, {trial.kill}\n  kept in {trial.root}\n  " + "\n  ".join(trial.wrong))
    print(f"\n{len(done)} kills in {seconds:.0f} s, {len(wrong)} with something wrong")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps({"seconds": seconds, "trials": [as_record(one) for one in done]}, indent=1)
    )
    sys.exit(1 if wrong else 0)


def campaign(trials: Trials, commands: list[str], kills: int, chance: random.Random) -> Iterator[Trial]:
    """So many kills, spread evenly over the commands."""
    for number in range(kills):
        command = commands[number % len(commands)]
        turn = number // len(commands)
        _, points, seconds = trials.whole(command)
        signal = SIGNALS[turn // 2 % len(SIGNALS)]
        if turn % 2 == 0:
            kill = Kill(signal, chance.choice(points), chance.choice(["before", "after"]))
        else:
            kill = Kill(signal, seconds=chance.uniform(0, seconds))
        yield trials.kill(command, kill)
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {kills}", end="", file=sys.stderr)


def print_table(done: list[Trial]) -> None:
    """Kinds of kills by commands: how many, how many hit, what was wrong, seconds to repeat."""
    groups = defaultdict(list)
    for trial in done:
        groups[trial.command, "point" if trial.kill.point else "moment", trial.kill.signal].append(trial)
    print(
        f"{'command':22}{'at':8}{'signal':8}{'kills':>6}{'hit':>5}{'again':>7}{'wrong':>7}{'repeat (s)':>12}"
    )
    for (command, kind, signal), trials in groups.items():
        hit = sum(trial.killed.code != 0 for trial in trials)
        again = sum(trial.again.code == 0 for trial in trials)
        wrong = sum(bool(trial.wrong) for trial in trials)
        seconds = sum(trial.again.seconds for trial in trials) / len(trials)
        print(f"{command:22}{kind:8}{signal:8}{len(trials):6}{hit:5}{again:7}{wrong:7}{seconds:12.1f}")
    codes = Counter(trial.killed.code for trial in done)
    print("exit codes of the killed:", ", ".join(f"{code}: {count}" for code, count in sorted(codes.items())))


def as_record(trial: Trial) -> dict[str, object]:
    """A trial as JSON."""
    return {
        "command": trial.command,
        "signal": trial.kill.signal,
        "point": trial.kill.point,
        "when": trial.kill.when,
        "moment": trial.kill.seconds,
        "code": trial.killed.code,
        "wrong": trial.wrong,
        "seconds": trial.again.seconds,
    }


if __name__ == "__main__":
    main()
