"""Scores of ensembles through the operators: the plain formulas to 1e-12, with ties, gaps and few members."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsbench.contracts import Forecast
from tsbench.cuda_ops import ops
from tsbench.evaluation.metrics import metric
from tsbench.evaluation.reading import Reading


def crps_by_pairs(members, observed, fair):
    """Σ |x_i − y| / M − Σ |x_i − x_j| / (2 M²), or / (2 M (M − 1))."""
    count = len(members)
    pairs = count * (max(count - 1, 1) if fair else count)
    apart = (members[:, None] - members).abs().sum(dim=(0, 1))
    return (members - observed).abs().mean(dim=0) - apart / (2 * pairs)


def energy_by_pairs(members, observed):
    count = len(members)
    error = (members - observed).square().sum(dim=-1).sqrt().mean(dim=0)
    apart = (members[:, None] - members).square().sum(dim=-1).sqrt().sum(dim=(0, 1))
    return error - apart / (2 * count**2)


def drawn(members, seed, ties=False, shape=(5, 4, 3)):
    generator = torch.Generator().manual_seed(seed)
    forecast = torch.randn(members, *shape, generator=generator, dtype=torch.float64) * 3 + 100
    observed = torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 100
    return (forecast.round(), observed.round()) if ties else (forecast, observed)


@pytest.mark.parametrize("choice", ["auto", "reference"])
@given(members=st.integers(1, 40), seed=st.integers(0, 99), ties=st.booleans())
@settings(max_examples=25, deadline=None)
def test_scores_of_ensembles_are_the_pairwise_formulas(choice, members, seed, ties):
    forecast, observed = drawn(members, seed, ties)
    ones = torch.ones(3, dtype=torch.float64)

    with ops(choice):
        found = {name: metric(name).statistic(forecast, observed, ones) for name in EXPECTED}

    for name, expected in EXPECTED.items():
        score, weight = found[name]
        torch.testing.assert_close(score, expected(forecast, observed), atol=1e-12, rtol=1e-12)
        assert bool((weight == 1).all())
        assert weight.shape == score.shape


EXPECTED = {
    "crps": lambda x, y: crps_by_pairs(x, y, fair=False),
    "crps_fair": lambda x, y: crps_by_pairs(x, y, fair=True),
    "energy_score": lambda x, y: energy_by_pairs(x, y)[..., None],
}


@pytest.mark.parametrize("members", [3, 30])
@pytest.mark.parametrize("name", EXPECTED)
def test_a_value_that_is_missing_leaves_the_others_alone(name, members):
    forecast, observed = drawn(members, 0)
    whole, _ = metric(name).statistic(forecast, observed, torch.ones(3))
    observed[1, 2, 0] = torch.nan

    found, _ = metric(name).statistic(forecast, observed, torch.ones(3))

    assert found.isnan().sum() == 1
    assert bool(found[1, 2, 0].isnan())
    assert torch.equal(found[~found.isnan()], whole[~found.isnan()])


@pytest.mark.parametrize("choice", ["auto", "reference"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("members", [1, 2, 9, 50])
def test_quantiles_of_members_have_the_bits_of_a_plain_sort(members, dtype, choice):
    forecast = drawn(members, 1, ties=dtype == torch.float32)[0].to(dtype)
    forecast[members // 2, 0, 0, 0] = torch.nan
    levels = (0.025, 0.1, 0.5, 0.9)

    with ops(choice):
        found = Reading(Forecast(forecast, "samples")).quantiles(levels).values

    ordered = forecast.sort(dim=0).values
    for level, values in zip(levels, found, strict=True):
        place = level * (members - 1)
        below = int(place)
        expected = torch.lerp(ordered[below], ordered[min(below + 1, members - 1)], place - below)
        torch.testing.assert_close(values, expected, atol=0, rtol=0, equal_nan=True)


def test_a_point_that_is_learned_keeps_its_gradient():
    members = torch.randn(5, 2, 3, 1, requires_grad=True)

    Reading(Forecast(members, "samples")).point.sum().backward()

    assert members.grad is not None
    assert members.grad.sum() == 6  # one median member for each of six values
