"""Random draws of networks that forecast by samples, from the case alone.

GluonTS draws from the global generator, so that a sample depends on everything that was drawn before it: on
the order and the size of the batches. Here each case has a counter-based generator of its own, and a sample
is a function of its uniform numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch.distributions import Distribution, Normal, StudentT, TransformedDistribution

from tsbench.data.disturbances import case_generators

KEY = "gluonts samples"
LEAST = 1e-7
"""Uniform numbers stay that far from 0 and 1, where quantile functions are infinite."""


def case_uniforms(index: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform numbers of each case, float32, shape (sample, *shape); `index`: the cases, shape (sample,)."""
    draws = [one.random(shape, np.float32) for one in generators_of(index)]
    return torch.from_numpy(np.stack(draws)).clamp(LEAST, 1 - LEAST).to(index.device)


def generators_of(index: torch.Tensor) -> list[np.random.Generator]:
    """One generator a case, the same in every scenario."""
    return case_generators(KEY, "", index)


def can_draw(output: Any) -> bool:
    """Whether samples of the distributions of a GluonTS output can be made from uniform numbers."""
    kind = getattr(output, "distr_cls", None)
    if not isinstance(kind, type) or not issubclass(kind, Distribution):
        return False
    return issubclass(kind, StudentT | Normal) or kind.icdf is not Distribution.icdf


def draw(distribution: Distribution, uniform: torch.Tensor) -> torch.Tensor:
    """A sample of a distribution.

    Student's t by the polar method of Bailey (1994), "Polar generation of random variates with the
    t-distribution", Mathematics of Computation 62, eq. 2: exact for any degrees of freedom, without the
    rejections that make torch's own draws depend on each other.

    Args:
        distribution: of shape (...).
        uniform: numbers between 0 and 1, shape (..., 2).
    """
    if isinstance(distribution, TransformedDistribution):
        sample = draw(distribution.base_dist, uniform)
        for transform in distribution.transforms:
            sample = cast(torch.Tensor, transform(sample))
        return sample
    if isinstance(distribution, StudentT):
        degrees: Any = distribution.df
        radius = torch.expm1(-2 / degrees * uniform[..., 0].log()) * degrees
        return distribution.loc + distribution.scale * radius.sqrt() * torch.cos(
            2 * torch.pi * uniform[..., 1]
        )
    if isinstance(distribution, Normal):
        return distribution.loc + distribution.scale * torch.special.ndtri(uniform[..., 0])
    return cast(torch.Tensor, distribution.icdf(uniform[..., 0]))


@contextmanager
def drawing_from(network: Any, uniforms: torch.Tensor) -> Iterator[None]:
    """Let a network draw from given numbers.

    Args:
        network: with the attribute `distr_output`, of which it draws one step after the other.
        uniforms: shape (row, step, 2); one row a sample path of a sequence.
    """
    output = network.distr_output
    network.distr_output = _Output(output, uniforms)
    try:
        yield
    finally:
        network.distr_output = output


class _Output:
    """A GluonTS output whose distributions draw from given numbers, each draw one step further."""

    def __init__(self, output: Any, uniforms: torch.Tensor) -> None:
        self._output, self._steps = output, iter(uniforms.unbind(1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)

    def distribution(self, *args: Any, **kwargs: Any) -> "_Distribution":
        return _Distribution(self._output.distribution(*args, **kwargs), self._steps)


class _Distribution:
    def __init__(self, distribution: Distribution, steps: Iterator[torch.Tensor]) -> None:
        self._distribution, self._steps = distribution, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._distribution, name)

    def sample(self) -> torch.Tensor:
        return draw(self._distribution, next(self._steps)[:, None])  # (row, 1)
