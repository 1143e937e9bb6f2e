"""Imputation of lost snapshots against the official imputer, and its laws."""

import pytest
import torch

from tsbench.data.imputation import impute_snapshots, lost_snapshots
from tsbench.training.weights import read_tensors

SHAPE = (6, 3, 16, 5)  # sample, element, time, feature


def response(seed: int = 0) -> torch.Tensor:
    return torch.randn(SHAPE, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def with_gaps(seed: int = 0, share: float = 0.4) -> torch.Tensor:
    """The first sample has a gap at the start, the second at the end, the rest wherever."""
    lost = torch.rand(SHAPE[0], SHAPE[2], generator=torch.Generator().manual_seed(seed)) < share
    lost[0, :3], lost[0, 3], lost[1, 0], lost[1, -3:] = True, False, False, True
    return response(seed).masked_fill(lost[:, None, :, None], 0)


def filled_by_loop(series: torch.Tensor) -> torch.Tensor:
    """The definition, one snapshot after the other; series has shape (time, feature)."""
    good = [step for step, snapshot in enumerate(series) if snapshot.abs().max() > 1e-5]
    source = [max((one for one in good if one <= step), default=good[0]) for step in range(len(series))]
    return series[source]


class TestTheOfficialImputer:
    def test_it_is_reproduced_with_its_quirk(self, shared_fixtures):  # csi_rrg.md, quirk 1
        tensors = read_tensors(shared_fixtures / "csi_rrg_metrics.safetensors")

        filled = impute_snapshots(tensors["output/imputer_in"], compat=True)

        torch.testing.assert_close(filled, tensors["output/imputed"], atol=1e-5, rtol=0)

    def test_complex_values_are_filled_as_their_real_view(self, shared_fixtures):
        tensors = read_tensors(shared_fixtures / "csi_rrg_metrics.safetensors")
        real = tensors["output/imputer_in"]
        values = torch.view_as_complex(real.unflatten(-1, (-1, 2)).contiguous())

        filled = torch.view_as_real(impute_snapshots(values, compat=True)).flatten(-2)

        torch.testing.assert_close(filled, tensors["output/imputed"], atol=1e-5, rtol=0)


def test_a_lost_snapshot_takes_the_last_good_one_and_a_leading_one_the_next():
    values = with_gaps()

    expected = torch.stack([filled_by_loop(series) for series in values.flatten(0, 1)]).reshape(SHAPE)

    assert torch.equal(impute_snapshots(values), expected)


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("seed", range(5))
class TestEitherWay:
    def test_filling_twice_changes_nothing(self, seed, compat):
        once = impute_snapshots(with_gaps(seed), compat)

        assert torch.equal(impute_snapshots(once, compat), once)

    def test_good_snapshots_are_untouched(self, seed, compat):
        values = with_gaps(seed)
        good = ~lost_snapshots(values)

        assert torch.equal(impute_snapshots(values, compat)[good], values[good])

    def test_without_gaps_nothing_happens(self, seed, compat):
        assert torch.equal(impute_snapshots(response(seed), compat), response(seed))

    def test_samples_do_not_see_each_other(self, seed, compat):
        values = with_gaps(seed)

        alone = torch.stack([impute_snapshots(one, compat) for one in values])

        assert torch.equal(alone, impute_snapshots(values, compat))


@pytest.mark.parametrize("seed", range(5))
def test_the_published_quirk_shows_in_leading_gaps_only(seed):
    values = with_gaps(seed)
    lost = lost_snapshots(values)
    leading = lost.int().cumprod(dim=-1).bool()

    correct, published = impute_snapshots(values), impute_snapshots(values, compat=True)

    assert torch.equal(lost_snapshots(published), leading)
    assert not lost_snapshots(correct).any()
    assert torch.equal(correct[~leading], published[~leading])


@pytest.mark.parametrize("compat", [False, True])
def test_a_series_that_is_lost_as_a_whole_stays_zero(compat):
    assert torch.equal(impute_snapshots(torch.zeros(2, 8, 4), compat), torch.zeros(2, 8, 4))


@pytest.mark.parametrize(("size", "lost"), [(0.9e-6, True), (1.1e-6, False)])  # csi_rrg.md: atol 1e-6
def test_a_snapshot_is_lost_where_all_its_features_are_about_zero(size, lost):
    values = torch.ones(1, 2, 3)
    values[0, 1] = torch.tensor([0.0, -size, 0.0])

    assert lost_snapshots(values).tolist() == [[False, lost]]
