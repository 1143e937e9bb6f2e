"""What an adapter is asked for: `build(request) -> xarray.Dataset`, the function of most adapters.

An adapter of data that are large, or slow to make, has two functions instead: `parts(request) -> list[Part]`
and `build_part(request, part) -> xarray.Dataset`. Parts follow each other along the first dimension of the
data variables; whatever does not have that dimension is the same in every part. They are built in any order,
in several processes, and go on after an interruption: a part depends on nothing but the request and its name.

The adapter of a family of data sets may have `read_source(name, files) -> (parameters, files)`, where what
the user names only declares a data set: it gives the parameters of the build, and the files of the values.

The Dataset that an adapter returns for time series: data variables with dimension `time` (or `time`,
`channel`), each with CF `units` and `long_name`; `time` is a datetime64 coordinate (or an integer index).
Series of different length are a contiguous ragged array as in CF 1.11, section 9.3.3: `value(observation)`
and `row_size(series)` with the attribute `sample_dimension = "observation"`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tsbench.contracts import Variant

Size = Literal["tiny", "small", "full"]


@dataclass(frozen=True)
class Part:
    """A piece of a data set that is built by itself.

    Attributes:
        name: unique in the data set and the same in every run.
        rows: its length along the first dimension.
    """

    name: str
    rows: int


@dataclass(frozen=True)
class BuildRequest:
    """What is to be built.

    Attributes:
        name: name of the data set (a variant of the adapter).
        variant: its declaration in card.yaml.
        files: published file name → path on this machine; empty for a generator.
        parameters: the variant's parameters, with what the user gave on top.
        size: `tiny` (seconds), `small` (minutes) or `full` (as published).
        seed: seed of a generator.
    """

    name: str
    variant: Variant
    files: dict[str, Path] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    size: Size = "full"
    seed: int = 0
