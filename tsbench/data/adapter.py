"""What an adapter is asked for: `build(request) -> xarray.Dataset`, the function of every adapter.

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
