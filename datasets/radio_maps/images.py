"""Published maps as 8-bit images: a grey value a cell, a frame a height; folders of any capitalisation."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from tsbench.contracts import InputError
from tsbench.extras import require

SUFFIXES = (".png", ".gif")
GREY_MODES = ("L", "P", "1")
TRAIN, VALIDATION = 501, 601
MAPS = 700
"""Maps of RadioMapSeer, and the positions at which its shuffled order is cut (RonLevie/RadioUNet)."""


def read_frames(path: Path, size: int) -> np.ndarray:
    """The grey values of an image.

    Args:
        path: PNG or GIF.
        size: rows and columns that it must have.

    Returns:
        Shape (frame, row, column), uint8.

    Raises:
        InputError: where it is no image, of another size, or not of 8-bit grey values.
    """
    image_library = require("PIL.Image", "maps", "Reading images")
    sequence = require("PIL.ImageSequence", "maps", "Reading images")
    try:
        with image_library.open(path, formats=("PNG", "GIF")) as image:
            if image.size != (size, size):
                raise InputError(f"{path} has {image.size[0]} × {image.size[1]} pixels, not {size} × {size}")
            if image.mode not in GREY_MODES:
                raise InputError(f"{path} is an image of mode {image.mode}, not of 8-bit grey values")
            frames = [np.asarray(frame.convert("L")) for frame in sequence.Iterator(image)]
    except (OSError, ValueError, SyntaxError, image_library.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as an image: {str(error)[:200]}") from error
    return np.stack(frames)


def images_below(files: Mapping[str, Path], *folders: str) -> dict[str, Path]:
    """Images in a chain of folders, whatever their capitalisation and whatever lies above them.

    Args:
        files: path in a tree → file.
        folders: names that follow each other in the path (`gain`, `DPM`).

    Returns:
        Path below the last of these folders → file.
    """
    wanted, found = [name.lower() for name in folders], {}
    for name, path in files.items():
        parts = PurePosixPath(name).parts
        lower = [part.lower() for part in parts[:-1]]
        if path.suffix.lower() not in SUFFIXES:
            continue
        for start in range(len(lower) - len(wanted) + 1):
            if lower[start : start + len(wanted)] == wanted:
                found["/".join(parts[start + len(wanted) :])] = path
                break
    return found


def numbers_of(name: str, count: int, what: str) -> tuple[int, ...]:
    """The numbers in the name of a file, `676_10_254.png` → (676, 10, 254).

    Raises:
        InputError: where the name has another form.
    """
    found = re.fullmatch(r"\d+(_\d+)*", PurePosixPath(name).stem)
    numbers = tuple(map(int, found[0].split("_"))) if found else ()
    if len(numbers) != count:
        raise InputError(f"{name} is not named {what}")
    return numbers


def split_of(number: int) -> str:
    """Part of a map by its number, in RadioMapSeer's order shuffled with seed 42; others are for the test."""
    if number >= MAPS:
        return "test-regular"
    order = np.arange(MAPS)
    np.random.RandomState(42).shuffle(order)
    position = int(np.flatnonzero(order == number)[0])
    return "train" if position < TRAIN else "validation" if position < VALIDATION else "test-regular"


def require_some(found: Iterable[object], name: str, what: str) -> None:
    """Refuse an empty selection.

    Raises:
        InputError: with what is missing.
    """
    if not any(True for _ in found):
        raise InputError(f"'{name}': the folder holds no {what}")
