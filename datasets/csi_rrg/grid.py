"""The grid of CSI-RRG: the radio link, the cells (channel model × delay spread × speed) and the profiles.

Numbers are those of the benchmark (arXiv 2510.12996) unless a profile in card.yaml reduces them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from tsbench.contracts import InputError

Split = Literal["train", "test-regular", "test-generalisation"]
"""Where a cell belongs. The samples of a training cell are divided into `train` and `validation`."""
ROOTS: dict[Split, str] = {
    "train": "train/regular",
    "test-regular": "test/regular",
    "test-generalisation": "test/generalization",
}
"""Folder of the published format that holds the cells of a split."""
TRAIN_SHARE = 0.9
SPLIT_SEED = 42


@dataclass(frozen=True)
class Array:
    """Dual-polarised panel of the base station: `rows` × `columns` positions with two antennas each."""

    rows: int = 4
    columns: int = 4

    @property
    def antennas(self) -> int:
        """Number of antennas."""
        return 2 * self.rows * self.columns


@dataclass(frozen=True)
class Link:
    """The radio link of all cells.

    Attributes:
        array: of the base station.
        every: every how many subcarriers of a band are kept.
        doppler: `corrected` takes the shift from the departure angles at the moving terminal (Sionna 2.2);
            `legacy` from the arrival angles at the base station (Sionna up to 1.1, hence the published data).
        carrier: frequency, Hz.
        spacing: of subcarriers, Hz.
        band: subcarriers of the uplink band, and of the downlink band.
        gap: subcarriers between the two bands.
        cyclic_prefix: samples.
        keep_every: symbols from one snapshot to the next.
        history: snapshots that are known.
        horizon: snapshots that are to be forecast.
    """

    array: Array = field(default_factory=Array)
    every: int = 1
    doppler: Literal["corrected", "legacy"] = "corrected"
    carrier: float = 2.4e9
    spacing: float = 30e3
    band: int = 300
    gap: int = 150
    cyclic_prefix: int = 6
    keep_every: int = 70
    history: int = 16
    horizon: int = 4

    @property
    def subcarriers(self) -> int:
        """Size of the FFT: uplink band, gap, downlink band."""
        return 2 * self.band + self.gap

    @property
    def symbol_rate(self) -> float:
        """OFDM symbols a second."""
        return self.subcarriers * self.spacing / (self.subcarriers + self.cyclic_prefix)

    @property
    def snapshots(self) -> int:
        """History and horizon."""
        return self.history + self.horizon

    @property
    def symbols(self) -> int:
        """Symbols over which a sample is normalised."""
        return self.snapshots * self.keep_every

    @property
    def interval(self) -> float:
        """From one snapshot to the next, s."""
        return self.keep_every / self.symbol_rate

    @property
    def uplink(self) -> range:
        """Kept subcarriers of the uplink band, as positions in the FFT in ascending order of frequency."""
        return range(0, self.band, self.every)

    @property
    def downlink(self) -> range:
        """Kept subcarriers of the downlink band."""
        return range(self.band + self.gap, self.subcarriers, self.every)

    @property
    def kept(self) -> tuple[int, ...]:
        """Uplink, then downlink."""
        return (*self.uplink, *self.downlink)

    def offset(self, subcarrier: int) -> float:
        """Frequency of a subcarrier relative to the carrier, Hz."""
        return (subcarrier - self.subcarriers // 2) * self.spacing


@dataclass(frozen=True)
class Cell:
    """One folder of the benchmark.

    Attributes:
        split: training, regular test or generalisation test.
        model: CDL model.
        delay_spread: ns.
        speed: m/s.
    """

    split: Split
    model: str
    delay_spread: int
    speed: int

    @property
    def folder(self) -> str:
        """Name of the folder in the published format; unique within a split."""
        return f"cm_{self.model}_ds_{self.delay_spread:03d}_ms_{self.speed:03d}"

    @property
    def path(self) -> str:
        """Folder below the root of the published format; unique."""
        return f"{ROOTS[self.split]}/{self.folder}"

    @classmethod
    def of_path(cls, path: str) -> "Cell":
        """The cell of a path as `path` gives it."""
        root, _, folder = path.rpartition("/")
        split: Split = next(split for split, known in ROOTS.items() if known == root)
        _, model, _, delay_spread, _, speed = folder.split("_")
        return cls(split, model, int(delay_spread), int(speed))


@dataclass(frozen=True)
class Axes:
    """The values whose combinations are the cells of a split, and the samples of each cell."""

    models: tuple[str, ...]
    delay_spreads: tuple[int, ...]
    speeds: tuple[int, ...]
    samples: int


@dataclass(frozen=True)
class Profile:
    """Parameters of a variant in card.yaml.

    Attributes:
        name: part of the key of every random generator.
        link: of all cells.
        axes: of each split.
        normalise: whether samples are scaled to unit mean energy.
    """

    name: str
    link: Link
    axes: Mapping[Split, Axes]
    normalise: bool = True

    @classmethod
    def of_parameters(cls, given: Mapping[str, Any]) -> "Profile":
        """Read a profile from the parameters of a variant.

        Raises:
            InputError: where the Doppler mode does not exist.
        """
        if given["doppler"] not in ("corrected", "legacy"):
            raise InputError(f"doppler is 'corrected' or 'legacy', not '{given['doppler']}'")
        link = Link(Array(given["rows"], given["columns"]), given["every"], given["doppler"])
        axes: dict[Split, Axes] = {
            split: Axes(
                tuple(one["models"]), tuple(one["delay_spreads"]), tuple(one["speeds"]), one["samples"]
            )
            for split in ROOTS
            for one in [given["cells"][split]]
        }
        return cls(given["profile"], link, axes, given.get("normalise", True))

    def cells(self) -> list[Cell]:
        """Every cell, split after split."""
        return [
            Cell(split, *values)
            for split, axes in self.axes.items()
            for values in product(axes.models, axes.delay_spreads, axes.speeds)
        ]
