import numpy as np
import pytest
import torch
from gluonts.torch.distributions import NegativeBinomialOutput, NormalOutput, StudentTOutput
from gluonts.torch.distributions.affine_transformed import AffineTransformed
from gluonts.torch.distributions.studentT import StudentT
from scipy import stats

from tsbench.gluonts.drawing import can_draw, case_uniforms, draw
from tsbench.gluonts.outputs import quantiles


def uniforms(count: int) -> torch.Tensor:
    return case_uniforms(torch.tensor([3]), (count, 2))[0]


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
    together = case_uniforms(torch.tensor([5, 2, 9]), (4, 2))
    alone = case_uniforms(torch.tensor([9]), (4, 2))

    assert torch.equal(together[2], alone[0])
    assert not torch.equal(together[0], together[1])


def test_only_distributions_with_a_formula_are_drawn_from_uniform_numbers():
    assert can_draw(StudentTOutput())
    assert can_draw(NormalOutput())
    assert not can_draw(None)
    assert not can_draw(object())
    assert can_draw(NegativeBinomialOutput()) == hasattr(NegativeBinomialOutput.distr_cls, "scipy_nbinom")


def test_quantiles_of_student_t_are_those_of_gluonts():
    random = np.random.default_rng(0)
    df, loc, scale = (torch.tensor(random.uniform(2.5, 9, (3, 4)), dtype=torch.float32) for _ in range(3))
    distribution = StudentTOutput().distribution((df, loc, scale), loc=loc[:, :1], scale=scale[:, :1])
    levels = (0.05, 0.1, 0.5, 0.9, 0.975)

    found = quantiles(distribution, levels)

    for level, one in zip(levels, found, strict=True):
        torch.testing.assert_close(one, distribution.icdf(torch.tensor([level])), rtol=1e-5, atol=1e-5)


def test_quantiles_of_other_distributions_are_their_own():
    normal = torch.distributions.Normal(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))

    found = quantiles(normal, (0.1, 0.8))

    torch.testing.assert_close(found[1], normal.icdf(torch.tensor(0.8)))
    with pytest.raises(NotImplementedError):
        quantiles(torch.distributions.Poisson(torch.ones(2)), (0.5,))
