"""Draws the samples of one cell: the same bits for any order of cells and any number of processes."""

import contextlib
import hashlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from tsbench.contracts import InputError

from .grid import Cell, Profile

BATCH = 10
"""Samples that are drawn together; part of the law of the random stream, so a constant."""


def draw_cell(profile: Profile, cell: Cell, samples: int, seed: int) -> np.ndarray:
    """Draw the channels of a cell.

    Args:
        profile: link and normalisation.
        cell: channel model, delay spread, speed; and the split, so that test data differ from training data.
        samples: how many.
        seed: of the data set.

    Returns:
        Uplink band, then downlink band, shape (sample, antenna, snapshot, 2 × subcarrier), complex64.

    Raises:
        InputError: where Sionna is missing or cannot be imported.
    """
    import torch

    coefficients = simulator()
    with one_thread(), torch.no_grad():
        generator = torch.Generator().manual_seed(cell_seed(profile, cell, seed))
        link = coefficients.LinkSimulator(
            profile.link, cell.model, cell.delay_spread / 1e9, float(cell.speed), generator
        )
        sizes = [min(BATCH, samples - start) for start in range(0, samples, BATCH)]
        return np.concatenate([link.draw(size, profile.normalise).numpy() for size in sizes])


def cell_seed(profile: Profile, cell: Cell, seed: int) -> int:
    """Seed of a cell's own generator, from everything that names the cell."""
    key = f"{seed}/{profile.name}/{cell.path}"
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") >> 1


def simulator() -> ModuleType:
    """The module that needs Sionna.

    Raises:
        InputError: where Sionna is missing, broken or of another version.
    """
    try:
        from . import coefficients
    except (ImportError, OSError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"Channels are generated with Sionna, which cannot be imported ({reason}): "
            "pip install 'sionna>=2.2,<3'"
        ) from error
    return coefficients


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, whatever the number of cores; processes are the parallelism."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
