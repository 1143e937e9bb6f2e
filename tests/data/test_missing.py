"""Filling with the past: laws of `fill_forward`."""

import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.data.missing import fill_forward

cases = st.tuples(st.integers(1, 20), st.integers(1, 4), st.floats(0, 1), st.integers(0, 10_000))


def draw(case: tuple[int, int, float, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    steps, channels, share, seed = case
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2, steps, channels, generator=generator)
    observed = torch.rand(2, steps, channels, generator=generator) < share
    return values, observed, torch.randn(channels, generator=generator)


@given(cases)
@settings(max_examples=60, deadline=None)
def test_filling_equals_the_forward_fill_of_pandas(case):
    values, observed, start = draw(case)

    filled = fill_forward(values, observed, start)

    for sample in range(2):
        frame = pd.DataFrame(values[sample].where(observed[sample], torch.nan).numpy())
        expected = frame.ffill().fillna(dict(enumerate(start.tolist())))
        assert torch.equal(filled[sample], torch.tensor(expected.to_numpy(), dtype=torch.float32))


@given(cases)
@settings(max_examples=30, deadline=None)
def test_observed_values_are_untouched_and_filling_twice_changes_nothing(case):
    values, observed, start = draw(case)

    filled = fill_forward(values, observed, start)

    assert torch.equal(filled[observed], values[observed])
    assert torch.equal(fill_forward(filled, observed, start), filled)


@given(cases, st.integers(0, 19))
@settings(max_examples=30, deadline=None)
def test_filling_never_looks_ahead(case, cut):
    values, observed, start = draw(case)
    cut = min(cut, values.shape[1])
    changed = values.clone()
    changed[:, cut:] += 1000

    before = fill_forward(values, observed, start)[:, :cut]

    assert torch.equal(fill_forward(changed, observed, start)[:, :cut], before)


def test_what_is_under_the_mask_never_shows():
    values, observed, start = draw((15, 3, 0.5, 1))
    poisoned = torch.where(observed, values, torch.nan)

    assert bool(fill_forward(poisoned, observed, start).isfinite().all())
