"""A network of base stations: its cells, their loads, and the energy that the stations take, hour by hour.

A station takes what its cells take, and something of its own that nothing in the tables explains: its
fingerprint. What the cells take grows with antennas, and with power, bandwidth and load; saving modes lower
both where there is little to do at night. Noise is a share of what the cells take. Configurations, and the
daily course of their loads, come from a catalogue, each for several stations: otherwise they would give away
which station it is, and with it the fingerprint.
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
CONFIGURATIONS = 15
CELLS = np.array([0.35, 0.25, 0.25, 0.15])
"""Share of stations with one to four cells."""
ANTENNAS, ANTENNA_SHARES = (2, 4, 8), (0.2, 0.6, 0.2)
BANDWIDTHS, BANDWIDTH_SHARES = (5.0, 10.0, 15.0, 20.0), (0.22, 0.22, 0.05, 0.51)
FREQUENCIES = (155.6, 365.0, 426.98, 532.0, 697.056)
MODES = ("Mode1", "Mode2")
FINGERPRINT_MEDIAN, FINGERPRINT_SPREAD = 8.0, 0.45
"""Of a station's own energy: median, and deviation of its logarithm."""
NOISE = 0.02
MISSING = 0.05
"""Share of hours of a station without an energy."""
PERSISTENCE, RESTLESSNESS = 0.7, 0.06
"""Of a cell's load beside its day: correlation from hour to hour, and deviation."""
NIGHT = (0, 6)
QUIET = 0.2
"""Load below which cells save energy at night."""
SYMBOL, DEEP = 0, 5
"""Which of the six saving modes shut down symbols, and cells."""


@dataclass(frozen=True)
class Configuration:
    """What stations of one kind share.

    Attributes:
        units: type of radio unit of each cell, from 0, shape (cell,).
        modes, frequencies, bandwidths, antennas, powers: of each cell, shape (cell,).
        heights: mean load of each cell, shape (cell,).
        peaks: hour of the highest load, and of the second one.
        saves: whether symbols, and cells, are shut down at night.
    """

    units: np.ndarray
    modes: np.ndarray
    frequencies: np.ndarray
    bandwidths: np.ndarray
    antennas: np.ndarray
    powers: np.ndarray
    heights: np.ndarray
    peaks: tuple[float, float]
    saves: tuple[bool, bool]


@dataclass(frozen=True)
class Network:
    """A simulated network.

    Attributes:
        tables: as the challenge has them.
        without_noise: energy of each row of `tables.energy` without noise, shape (row,).
        fingerprint: what the station of each row takes beside its cells, shape (row,).
        configuration: number of that station's configuration, shape (row,).
    """

    tables: Tables
    without_noise: np.ndarray
    fingerprint: np.ndarray
    configuration: np.ndarray


def simulate(stations: int, hours: int, seed: np.random.SeedSequence) -> Network:
    """Draw a catalogue, then a network, station by station, each from a stream of its own."""
    import pandas as pd

    of_catalogue, *streams = (np.random.default_rng(child) for child in seed.spawn(1 + stations))
    catalogue = [_configuration(of_catalogue) for _ in range(CONFIGURATIONS)]
    drawn = [_station(f"B_{number}", hours, catalogue, random) for number, random in enumerate(streams)]
    cells, loads, energy = (pd.concat([one[part] for one in drawn], ignore_index=True) for part in range(3))
    kept = energy[energy.pop("there").to_numpy(bool)].reset_index(drop=True)
    hidden = [kept.pop(name).to_numpy() for name in ("without_noise", "fingerprint", "configuration")]
    return Network(Tables(cells, loads, kept), *hidden)


def _configuration(random: np.random.Generator) -> Configuration:
    count = 1 + int(random.choice(len(CELLS), p=CELLS))
    unit = int(random.integers(TYPES))
    height = random.uniform(0.1, 0.45)
    return Configuration(
        # Most stations have radio units of one type.
        units=np.where(random.random(count) < 0.8, unit, random.integers(TYPES, size=count)),
        modes=random.choice(MODES, size=count),
        frequencies=random.choice(FREQUENCIES, size=count),
        bandwidths=random.choice(BANDWIDTHS, size=count, p=BANDWIDTH_SHARES),
        antennas=random.choice(ANTENNAS, size=count, p=ANTENNA_SHARES).astype(float),
        powers=random.uniform(6.0, 8.0, count).round(3),
        heights=height * random.uniform(0.7, 1.3, count),
        peaks=(random.uniform(16, 21), random.uniform(9, 13)),
        saves=(bool(random.random() < 0.6), bool(random.random() < 0.3)),
    )


def _station(name: str, hours: int, catalogue: list[Configuration], random: np.random.Generator) -> tuple:
    """Rows of the three tables; those of the energy with what lies behind them."""
    import pandas as pd

    number = int(random.integers(len(catalogue)))
    kind = catalogue[number]
    count = len(kind.units)
    names = [f"Cell{cell}" for cell in range(count)]
    cells = pd.DataFrame(
        {
            "BS": name,
            "CellName": names,
            "RUType": [f"Type{unit + 1}" for unit in kind.units],
            "Mode": kind.modes,
            "Frequency": kind.frequencies,
            "Bandwidth": kind.bandwidths,
            "Antennas": kind.antennas,
            "TXpower": kind.powers,
        }
    )
    load, saving = _activity(hours, kind, random)  # (hour, cell), (hour, cell, mode)
    standby = STANDBY[kind.units] * kind.antennas * (1 - saving[..., DEEP])
    sent = SLOPE[kind.units] * kind.powers * kind.bandwidths * load * (1 - 0.5 * saving[..., SYMBOL])
    of_cells = (standby + sent).sum(axis=1)
    own = FINGERPRINT_MEDIAN * np.exp(FINGERPRINT_SPREAD * random.standard_normal())
    time = START + np.arange(hours) * np.timedelta64(1, "h")
    loads = pd.DataFrame(
        {"Time": time.repeat(count), "BS": name, "CellName": names * hours, "load": load.ravel()}
        | {mode: saving[..., place].ravel() for place, mode in enumerate(SAVING_MODES)}
    )
    energy = pd.DataFrame(
        {
            "Time": time,
            "BS": name,
            "Energy": own + of_cells * (1 + NOISE * random.standard_normal(hours)),
            "without_noise": own + of_cells,
            "fingerprint": own,
            "configuration": number,
            "there": random.random(hours) >= MISSING,
        }
    )
    return cells, loads, energy


def _activity(hours: int, kind: Configuration, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Loads, shape (hour, cell), and shares of the hour in each saving mode, shape (hour, cell, mode)."""
    hour, cells, (peak, second) = np.arange(hours) % 24, len(kind.units), kind.peaks
    day = 1 + 0.6 * np.cos(2 * np.pi * (hour - peak) / 24) + 0.25 * np.cos(4 * np.pi * (hour - second) / 24)
    rest = np.zeros((hours, cells))
    draws = RESTLESSNESS * random.standard_normal((hours, cells))
    rest[0] = draws[0]
    for now in range(1, hours):
        rest[now] = PERSISTENCE * rest[now - 1] + np.sqrt(1 - PERSISTENCE**2) * draws[now]
    load = np.clip(day[:, None] * kind.heights + rest, 0.0, 1.0)
    saving = np.zeros((hours, cells, len(SAVING_MODES)))
    quiet = (load < QUIET) & (hour[:, None] >= NIGHT[0]) & (hour[:, None] < NIGHT[1])
    for mode, saves, low, high in ((SYMBOL, kind.saves[0], 0.3, 0.9), (DEEP, kind.saves[1], 0.2, 0.6)):
        saving[..., mode] = np.where(quiet & saves, random.uniform(low, high, (hours, cells)), 0.0)
    return load, saving
