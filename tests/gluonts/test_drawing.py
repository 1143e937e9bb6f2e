import numpy as np
import pytest
import torch
from gluonts.torch.distributions import NegativeBinomialOutput, NormalOutput, StudentTOutput
from gluonts.torch.distributions.affine_transformed import AffineTransformed
from gluonts.torch.distributions.studentT import StudentT
from scipy import stats

from tsbench.gluonts.drawing import can_draw, case_uniforms, draw
from tsbench.gluonts.outputs import quantile


def uniforms(count: int) -> torch.Tensor:
    return case_uniforms(torch.tensor([3]), (count, 2), None)[0]


@pytest.mark.parametrize("df", [2.1, 4.0, 30.0])
def test_samples_of_student_t_follow_it(df):
    distribution = StudentT(torch.full((20_000,), df), torch.tensor(1.0), torch.tensor(2.0))

    sample = draw(distribution, uniforms(20_000)).numpy()

    assert stats.kstest(sample, stats.t(df, 1, 2).cdf).pvalue > 0.01


def test_samples_of_a_normal_distribution_follow_it_through_loc_and_scale():
    base = torch.distributions.Normal(torch.zeros(20_000), torch.ones(20_000))

    sample = draw(AffineTransformed(base, loc=3.0, scale=0.5), uniforms(20_000)).numpy()

    assert stats.kstest(sample, stats.norm(3, 0.5).cdf).pvalue > 0.01


def test_the_numbers_of_a_case_depend_on_the_case_alone():
    together = case_uniforms(torch.tensor([5, 2, 9]), (4, 2), None)
    alone = case_uniforms(torch.tensor([9]), (4, 2), None)
    other = case_uniforms(torch.tensor([9]), (4, 2), torch.Generator().manual_seed(1))

    assert torch.equal(together[2], alone[0])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(other, alone)


def test_only_distributions_with_a_formula_are_drawn_from_uniform_numbers():
    assert can_draw(StudentTOutput())
    assert can_draw(NormalOutput())
    assert not can_draw(None)
    assert not can_draw(object())
    assert can_draw(NegativeBinomialOutput()) == hasattr(NegativeBinomialOutput.distr_cls, "scipy_nbinom")


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_quantiles_of_student_t_are_those_of_gluonts(level):
    random = np.random.default_rng(0)
    df, loc, scale = (torch.tensor(random.uniform(2.5, 9, (3, 4)), dtype=torch.float32) for _ in range(3))
    distribution = StudentTOutput().distribution((df, loc, scale), loc=loc[:, :1], scale=scale[:, :1])

    found = quantile(distribution, level)

    torch.testing.assert_close(found, distribution.icdf(torch.tensor([level])), rtol=1e-5, atol=1e-5)
