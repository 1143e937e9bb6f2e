"""Normalisation: fitted on training rows alone, invertible, harmless for constant variables."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from tsbench.data.normalisation import fit_scale


def test_zscore_equals_the_standard_scaler_of_sklearn():  # the scaler of the reference codes
    rows = np.random.default_rng(0).normal(5, 3, (200, 4))

    model = fit_scale(rows, "zscore").to_model(torch.from_numpy(rows))

    np.testing.assert_allclose(model.numpy(), StandardScaler().fit_transform(rows), atol=1e-12)


@given(
    factor=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    kind=st.sampled_from(["zscore", "none"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_units_to_model_space_and_back_is_the_identity(factor, shift, kind, seed):
    rows = np.random.default_rng(seed).normal(size=(50, 3)) * factor + shift
    scale = fit_scale(rows, kind)
    values = torch.from_numpy(rows)

    torch.testing.assert_close(scale.to_units(scale.to_model(values)), values, rtol=1e-9, atol=1e-9)


@given(factor=st.floats(0.1, 100), shift=st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_zscores_do_not_depend_on_the_units_of_the_data(factor, shift):
    rows = np.random.default_rng(1).normal(size=(80, 2))
    here, there = fit_scale(rows, "zscore"), fit_scale(rows * factor + shift, "zscore")

    torch.testing.assert_close(
        there.to_model(torch.from_numpy(rows * factor + shift)),
        here.to_model(torch.from_numpy(rows)),
        rtol=1e-8,
        atol=1e-8,
    )


def test_a_constant_variable_becomes_zero():
    rows = np.column_stack([np.full(10, 7.0), np.arange(10.0)])

    assert fit_scale(rows, "zscore").to_model(torch.from_numpy(rows))[:, 0].tolist() == [0.0] * 10


def test_missing_training_values_are_left_out():
    rows = np.array([[1.0], [np.nan], [3.0]])
    scale = fit_scale(rows, "zscore")

    assert scale.mean.tolist() == [2.0]
    assert scale.std.tolist() == [1.0]


def test_mean_and_spread_of_the_training_part_are_zero_and_one_in_model_space():
    scale = fit_scale(np.random.default_rng(2).normal(9, 4, (100, 3)), "zscore").in_model_space()

    torch.testing.assert_close(scale.mean, torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(scale.std, torch.ones(3, dtype=torch.float64))


def test_without_normalisation_model_space_is_units():
    rows = np.random.default_rng(3).normal(9, 4, (100, 3))
    scale = fit_scale(rows, "none")

    assert torch.equal(scale.to_model(torch.from_numpy(rows)), torch.from_numpy(rows))
    np.testing.assert_allclose(scale.in_model_space().std.numpy(), rows.std(axis=0))
