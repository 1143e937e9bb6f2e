"""Views: functions with an inverse. A response through `sequence` and back is the response."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.data.batch import Batch
from tsbench.data.views import dimensions, view_for

SIZES = st.integers(1, 4)


def response_batch(samples: int, antennas: int, steps: int, subcarriers: int) -> Batch:
    generator = torch.Generator().manual_seed(0)

    def draw(time: int) -> torch.Tensor:
        return torch.randn(samples, antennas, time, subcarriers, dtype=torch.complex64, generator=generator)

    return Batch(dimensions("csi"), context=draw(steps), target=draw(2), index=torch.arange(samples) + 10)


@given(SIZES, SIZES, SIZES, SIZES)
def test_a_target_through_the_view_and_back_is_itself(samples, antennas, steps, subcarriers):
    batch = response_batch(samples, antennas, steps, subcarriers)
    view = view_for("csi", ("sequence",))
    seen = view.batch(batch)

    assert seen["context"].shape == (samples * antennas, steps, 2 * subcarriers)
    assert torch.equal(view.forecast(Forecast(seen["target"]), batch).values, batch["target"])


def test_quantiles_come_back_one_by_one():
    batch = response_batch(2, 3, 4, 5)
    view = view_for("csi", ("sequence",))
    seen = view.batch(batch)["target"]
    both = view.forecast(Forecast(torch.stack([seen, 2 * seen]), "quantiles", (0.1, 0.5)), batch)

    assert torch.equal(both.values, torch.stack([batch["target"], 2 * batch["target"]]))


def test_features_are_re_and_im_of_each_subcarrier_in_turn():
    batch = response_batch(2, 3, 4, 5)
    seen = view_for("csi", ("sequence",)).batch(batch)["context"]

    assert torch.equal(seen[4, :, 6], batch["context"][1, 1, :, 3].real)
    assert torch.equal(seen[4, :, 7], batch["context"][1, 1, :, 3].imag)


def test_the_sequence_view_equals_the_published_one(shared_fixtures):
    fixture = load_file(shared_fixtures / "csi_rrg_metrics.safetensors")
    history = fixture["input/H"]
    batch = Batch(dimensions("csi"), context=history, index=torch.arange(len(history)))

    seen = view_for("csi", ("sequence",)).batch(batch)["context"]
    assert torch.equal(seen, fixture["output/real_view_hist"])


def test_antennas_of_a_sample_share_a_group_and_have_an_index_each():
    seen = view_for("csi", ("sequence",)).batch(response_batch(2, 3, 4, 5))

    assert seen["group"].tolist() == [10, 10, 10, 11, 11, 11]
    assert len(set(seen["index"].tolist())) == 6


def test_a_model_is_built_for_the_shape_that_it_sees():
    shape = TaskShape(16, 4, 4, (), (), sizes={"antenna": 8, "subcarrier": 75})
    seen = view_for("csi", ("sequence",)).shape(shape)

    assert len(seen.channels) == 150
    assert seen.channels[:3] == ("0.re", "0.im", "1.re")
    assert seen.target_index == tuple(range(150))
    assert not seen.sizes
    assert not seen.past_covariates


def test_the_first_view_that_the_task_offers_is_taken():
    batch = response_batch(1, 2, 3, 4)

    assert view_for("csi", ("picture", "csi", "sequence")).batch(batch) is batch


def test_a_model_without_a_common_view_is_refused():
    with pytest.raises(InputError, match="pad on etth1-96 takes the views csi; the task offers sequence"):
        view_for("sequence", ("csi",), "pad on etth1-96")


def test_the_inverse_needs_no_contiguous_forecast():
    batch = response_batch(2, 3, 4, 5)
    view = view_for("csi", ("sequence",))
    transposed = view.batch(batch)["target"].transpose(1, 2).contiguous().transpose(1, 2)

    assert np.array_equal(view.forecast(Forecast(transposed), batch).values.numpy(), batch["target"].numpy())


def test_past_covariates_are_there_without_columns():
    seen = view_for("csi", ("sequence",)).batch(response_batch(2, 3, 4, 5))

    assert seen["past_covariates"].shape == (6, 4, 0)
