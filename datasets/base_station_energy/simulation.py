"""A network of base stations: its cells, their loads, and the energy that the stations take, hour by hour.

A station takes what its cells take, and something of its own that nothing in the tables explains: its
fingerprint. What the cells take grows with antennas, and with power, bandwidth and load; saving modes lower
both where there is little to do at night. Noise is a share of what the cells take.
"""

from dataclasses import dataclass

import numpy as np

from .challenge_tables import SAVING_MODES, Tables

START = np.datetime64("2023-01-01T00", "ns")
TYPES = 8
STANDBY = np.array([1.2, 1.25, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8])
"""Energy of an antenna, by type of radio unit."""
SLOPE = np.array([0.050, 0.110, 0.070, 0.090, 0.120, 0.060, 0.100, 0.080])
"""Energy of a unit of power and a megahertz at full load, by type."""
CELLS = np.array([0.35, 0.25, 0.25, 0.15])
"""Share of stations with one to four cells."""
ANTENNAS, ANTENNA_SHARES = (2, 4, 8), (0.2, 0.6, 0.2)
BANDWIDTHS, BANDWIDTH_SHARES = (5.0, 10.0, 15.0, 20.0), (0.22, 0.22, 0.05, 0.51)
FREQUENCIES = (155.6, 365.0, 426.98, 532.0, 697.056)
MODES = ("Mode1", "Mode2")
FINGERPRINT_MEDIAN, FINGERPRINT_SPREAD = 8.0, 0.38
"""Of a station's own energy: median, and deviation of its logarithm."""
NOISE = 0.02
MISSING = 0.05
"""Share of hours of a station without an energy."""
PERSISTENCE, RESTLESSNESS = 0.7, 0.05
"""Of a cell's load beside its day: correlation from hour to hour, and deviation."""
NIGHT = (0, 6)
QUIET = 0.2
"""Load below which cells save energy at night."""
SYMBOL, DEEP = 0, 5
"""Which of the six saving modes shut down symbols, and cells."""


@dataclass(frozen=True)
class Network:
    """A simulated network.

    Attributes:
        tables: as the challenge has them.
        without_noise: energy of each row of `tables.energy` without noise, shape (row,).
        fingerprint: what the station of each row takes beside its cells, shape (row,).
    """

    tables: Tables
    without_noise: np.ndarray
    fingerprint: np.ndarray


def simulate(stations: int, hours: int, seed: np.random.SeedSequence) -> Network:
    """Draw a network, station by station, each from a stream of its own."""
    import pandas as pd

    drawn = [
        _station(f"B_{number}", hours, np.random.default_rng(child))
        for number, child in enumerate(seed.spawn(stations))
    ]
    cells, loads, energy = (pd.concat([one[part] for one in drawn], ignore_index=True) for part in range(3))
    there = energy.pop("there").to_numpy(bool)
    without_noise = energy.pop("without_noise").to_numpy()[there]
    fingerprint = energy.pop("fingerprint").to_numpy()[there]
    return Network(Tables(cells, loads, energy[there].reset_index(drop=True)), without_noise, fingerprint)


def _station(name: str, hours: int, random: np.random.Generator) -> tuple:
    """Rows of the three tables; those of the energy with what lies behind them."""
    import pandas as pd

    count = 1 + int(random.choice(len(CELLS), p=CELLS))
    unit = int(random.integers(TYPES))
    # Most stations have radio units of one type.
    units = np.where(random.random(count) < 0.8, unit, random.integers(TYPES, size=count))
    antennas = random.choice(ANTENNAS, size=count, p=ANTENNA_SHARES).astype(float)
    bandwidth = random.choice(BANDWIDTHS, size=count, p=BANDWIDTH_SHARES)
    power = random.uniform(6.0, 8.0, count).round(3)
    names = [f"Cell{number}" for number in range(count)]
    cells = pd.DataFrame(
        {
            "BS": name,
            "CellName": names,
            "RUType": [f"Type{one + 1}" for one in units],
            "Mode": random.choice(MODES, size=count),
            "Frequency": random.choice(FREQUENCIES, size=count),
            "Bandwidth": bandwidth,
            "Antennas": antennas,
            "TXpower": power,
        }
    )
    load, saving = _activity(hours, count, random)  # (hour, cell), (hour, cell, mode)
    standby = STANDBY[units] * antennas * (1 - saving[..., DEEP])
    transmitted = SLOPE[units] * power * bandwidth * load * (1 - 0.5 * saving[..., SYMBOL])
    of_cells = (standby + transmitted).sum(axis=1)
    own = FINGERPRINT_MEDIAN * np.exp(FINGERPRINT_SPREAD * random.standard_normal())
    time = START + np.arange(hours) * np.timedelta64(1, "h")
    loads = pd.DataFrame(
        {"Time": time.repeat(count), "BS": name, "CellName": names * hours, "load": load.ravel()}
        | {mode: saving[..., number].ravel() for number, mode in enumerate(SAVING_MODES)}
    )
    energy = pd.DataFrame(
        {
            "Time": time,
            "BS": name,
            "Energy": own + of_cells * (1 + NOISE * random.standard_normal(hours)),
            "without_noise": own + of_cells,
            "fingerprint": own,
            "there": random.random(hours) >= MISSING,
        }
    )
    return cells, loads, energy


def _activity(hours: int, cells: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Loads, shape (hour, cell), and shares of the hour in each saving mode, shape (hour, cell, mode)."""
    hour = np.arange(hours) % 24
    peak, second = random.uniform(16, 21), random.uniform(9, 13)
    day = 1 + 0.6 * np.cos(2 * np.pi * (hour - peak) / 24) + 0.25 * np.cos(4 * np.pi * (hour - second) / 24)
    height = random.uniform(0.1, 0.45) * random.uniform(0.7, 1.3, cells)
    rest = np.zeros((hours, cells))
    draws = random.standard_normal((hours, cells))
    rest[0] = RESTLESSNESS * draws[0]
    for now in range(1, hours):
        fresh = RESTLESSNESS * np.sqrt(1 - PERSISTENCE**2) * draws[now]
        rest[now] = PERSISTENCE * rest[now - 1] + fresh
    load = np.clip(day[:, None] * height + rest, 0.0, 1.0)
    saving = np.zeros((hours, cells, len(SAVING_MODES)))
    quiet = (load < QUIET) & (hour[:, None] >= NIGHT[0]) & (hour[:, None] < NIGHT[1])
    for mode, stations, low, high in ((SYMBOL, 0.6, 0.3, 0.9), (DEEP, 0.3, 0.2, 0.6)):
        enabled = random.random() < stations
        saving[..., mode] = np.where(quiet & enabled, random.uniform(low, high, (hours, cells)), 0.0)
    return load, saving
