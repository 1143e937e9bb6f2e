"""The untrained baselines on windows made by hand."""

import pytest
import torch

from tsbench.contracts import InputError
from tsbench.models.last_value.model import LastValue
from tsbench.models.seasonal_naive.model import SeasonalNaive
from tsbench.models.window_mean.model import WindowMean

# One window of two channels and four steps: 1 2 3 4 and 10 20 30 40.
CONTEXT = torch.tensor([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]]])


def forecast(model, context: torch.Tensor = CONTEXT) -> list:
    return model.predict({"context": context}).values.tolist()


def test_last_value_repeats_the_newest_step(shape_of):
    assert forecast(LastValue(shape_of(4, 3, channels=2))) == [[[4.0, 40.0]] * 3]


def test_window_mean_repeats_the_mean_of_the_look_back(shape_of):
    assert forecast(WindowMean(shape_of(4, 2, channels=2))) == [[[2.5, 25.0]] * 2]


def test_seasonal_naive_repeats_the_last_season_also_where_the_horizon_is_no_multiple_of_it(shape_of):
    model = SeasonalNaive(shape_of(4, 5, channels=2, period=3))

    assert forecast(model) == [[[2.0, 20.0], [3.0, 30.0], [4.0, 40.0], [2.0, 20.0], [3.0, 30.0]]]


@pytest.mark.parametrize("kind", [LastValue, SeasonalNaive, WindowMean])
def test_targets_that_are_a_part_of_the_channels_keep_the_order_of_the_task(shape_of, kind):
    context = torch.randn(5, 8, 3)
    whole = kind(shape_of(8, 6, channels=3, period=4)).predict({"context": context}).values

    part = kind(shape_of(8, 6, channels=3, targets=(2, 0), period=4)).predict({"context": context}).values

    assert torch.equal(part, whole[..., [2, 0]])


@pytest.mark.parametrize("kind", [LastValue, SeasonalNaive, WindowMean])
def test_a_shifted_and_stretched_window_gives_a_shifted_and_stretched_forecast(shape_of, kind):
    context = torch.randn(5, 8, 2, dtype=torch.float64)
    model = kind(shape_of(8, 6, channels=2, period=4))

    one, other = (model.predict({"context": values}).values for values in (context, 3 * context + 7))

    torch.testing.assert_close(other, 3 * one + 7)


@pytest.mark.parametrize("kind", [LastValue, SeasonalNaive])
def test_naive_forecasts_do_not_depend_on_the_look_back(shape_of, kind):
    context = torch.randn(5, 48, 2)

    short = kind(shape_of(24, 30, channels=2)).predict({"context": context[:, -24:]}).values

    assert torch.equal(kind(shape_of(48, 30, channels=2)).predict({"context": context}).values, short)


def test_seasonal_naive_refuses_a_look_back_shorter_than_a_season(shape_of):
    with pytest.raises(InputError, match="seasonal_naive needs a context of at least the period 24, not 23"):
        SeasonalNaive(shape_of(23, 5))


PADDED = {"context": torch.tensor([[[0.0], [0.0], [6.0], [8.0]], [[1.0], [2.0], [3.0], [4.0]]]),
          "length": torch.tensor([2, 4])}  # fmt: skip
"""Two windows of one channel; the first has two steps of padding."""


def test_window_mean_leaves_padding_out(shape_of):
    assert WindowMean(shape_of(4, 1)).predict(PADDED).values.flatten().tolist() == [7.0, 2.5]


def test_seasonal_naive_repeats_the_mean_of_less_than_a_season(shape_of):
    forecast = SeasonalNaive(shape_of(4, 4, period=3)).predict(PADDED).values[..., 0]

    assert forecast.tolist() == [[7.0] * 4, [2.0, 3.0, 4.0, 2.0]]
