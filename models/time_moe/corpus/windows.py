"""Windows of sequences to pretrain on: padded, one sequence each, or packed, several joined without a gap."""

from dataclasses import dataclass

import numpy as np

from tsbench.contracts import InputError
from tsbench.data.sequences.formats import Sequences


@dataclass(frozen=True)
class Window:
    """Steps that are read, and what follows each.

    Attributes:
        inputs: float32, shape (step,).
        labels: the same one step later, shape (step,).
        mask: which labels are real, bool, shape (step,).
    """

    inputs: np.ndarray
    labels: np.ndarray
    mask: np.ndarray


class PaddedWindows:
    """Windows at 0, stride, 2·stride, …, as far as they are whole; the first of a short sequence is padded.

    Args:
        source: the sequences; those with fewer than two steps have no window.
        size: steps of the inputs; a window takes one more.
        stride: between windows of a sequence, by default `size`.

    Raises:
        InputError: where size or stride is not positive.
    """

    def __init__(self, source: Sequences, size: int, stride: int | None = None) -> None:
        stride = size if stride is None else stride
        if size < 1 or stride < 1:
            raise InputError(f"windows need a positive size and stride, not {size} and {stride}")
        self.source, self.size, self.stride = source, size, stride
        lengths = source.lengths
        whole = np.maximum(lengths - size - 1, 0) // stride + 1
        self.ends = np.cumsum(np.where(lengths >= 2, whole, 0))

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} windows, not one {index}")
        sequence = int(np.searchsorted(self.ends, index, side="right"))
        number = index - (int(self.ends[sequence - 1]) if sequence else 0)
        start = number * self.stride
        values = self.source.read(sequence, start, start + self.size + 1)
        padded = np.zeros(self.size + 1, dtype=np.float32)
        padded[: len(values)] = values
        return Window(padded[:-1], padded[1:], np.arange(1, self.size + 1) < len(values))


class PackedWindows:
    """Sequences joined in their order and cut every `points` steps; what is left at the end is dropped.

    Attention is not reset at a joint, and the label there is the first step of the next sequence, as in the
    official code.

    Args:
        source: the sequences.
        points: steps of a window; its inputs and labels are one fewer.

    Raises:
        InputError: where a window has no label.
    """

    def __init__(self, source: Sequences, points: int) -> None:
        if points < 2:
            raise InputError(f"packed windows need at least 2 points, not {points}")
        self.source, self.points = source, points
        self.ends = np.cumsum(source.lengths)

    def __len__(self) -> int:
        return int(self.ends[-1]) // self.points if len(self.ends) else 0

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} windows, not one {index}")
        position, end = index * self.points, (index + 1) * self.points
        sequence = int(np.searchsorted(self.ends, position, side="right"))
        pieces: list[np.ndarray] = []
        while position < end:
            origin = int(self.ends[sequence]) - int(self.source.lengths[sequence])
            stop = min(end, int(self.ends[sequence]))
            pieces.append(self.source.read(sequence, position - origin, stop - origin))
            position, sequence = stop, sequence + 1
        values = np.concatenate(pieces).astype(np.float32)
        return Window(values[:-1], values[1:], np.ones(self.points - 1, dtype=bool))
