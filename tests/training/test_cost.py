"""Cost: counted where it can be, null where it cannot, never 0."""

import math
import time

import pytest
import torch

from tsbench.contracts import TaskShape
from tsbench.models.ar.model import AR
from tsbench.models.wiener.model import Wiener
from tsbench.training.cost import count_flops, measure


def test_flops_of_a_linear_layer_are_two_a_multiply_add():
    layer = torch.nn.Linear(30, 20, bias=False)
    inputs = torch.randn(7, 30)

    assert count_flops(lambda: layer(inputs)) == 2 * 7 * 30 * 20


def test_a_backward_pass_counts_the_gradients_of_weights_and_inputs():
    layer = torch.nn.Linear(30, 20, bias=False)
    inputs = torch.randn(7, 30, requires_grad=True)

    assert count_flops(lambda: layer(inputs).sum().backward()) == 3 * 2 * 7 * 30 * 20


def test_flops_of_a_convolution():
    layer = torch.nn.Conv1d(3, 5, 4, bias=False)

    assert count_flops(lambda: layer(torch.randn(2, 3, 10))) == 2 * 2 * 5 * 7 * 3 * 4


@pytest.mark.parametrize("training", [True, False])
def test_an_lstm_is_null_and_not_what_is_left_without_it(training):
    layer, head = torch.nn.LSTM(8, 16, batch_first=True), torch.nn.Linear(16, 4)

    def run() -> None:
        with torch.set_grad_enabled(training):
            head(layer(torch.randn(2, 10, 8))[0])

    assert count_flops(run) is None


def test_a_recurrent_layer_that_runs_as_plain_products_is_counted():
    layer = torch.nn.GRU(8, 16, batch_first=True)

    found = count_flops(lambda: layer(torch.randn(2, 10, 8)))

    assert found in (None, 2 * 2 * 10 * 3 * (16 * 8 + 16 * 16))  # null where the device has a fused one


def test_fourier_transforms_are_counted_by_their_formula():
    values = torch.randn(3, 16)

    assert count_flops(lambda: torch.fft.fft(values.to(torch.complex64))) == 5 * 3 * 16 * 4
    assert count_flops(lambda: torch.fft.rfft(values)) == 2.5 * 3 * 16 * 4
    assert count_flops(lambda: torch.fft.irfft(torch.fft.rfft(values))) == 2 * 2.5 * 3 * 16 * 4
    assert count_flops(lambda: torch.fft.fft2(values.to(torch.complex64))) == pytest.approx(
        5 * 3 * 16 * math.log2(48)
    )


def test_a_complex_product_is_four_real_ones():
    real = torch.randn(2, 4, 5), torch.randn(2, 5, 6)
    both = [one.to(torch.complex64) for one in real]

    assert count_flops(lambda: real[0] @ real[1]) == 2 * 2 * 4 * 5 * 6
    assert count_flops(lambda: both[0] @ both[1]) == 4 * 2 * 2 * 4 * 5 * 6
    assert count_flops(lambda: both[0][0] @ both[1][0]) == 4 * 2 * 4 * 5 * 6


def test_the_linear_predictors_of_csi_cost_what_was_published():  # csi_rrg sheet: AR 0.108, Wiener 0.157 GFLOP
    shape = TaskShape(16, 4, 4, (), (), sizes={"antenna": 32, "subcarrier": 300})
    batch = {"context": torch.randn(1, 32, 16, 300, dtype=torch.complex64)}

    assert count_flops(lambda: AR(shape).predict(batch)) == pytest.approx(0.108e9, rel=0.005)
    assert count_flops(lambda: Wiener(shape).predict(batch)) == pytest.approx(0.157e9, rel=0.005)


def test_attention_is_counted_although_it_has_a_fused_fast_path():
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    inputs = torch.randn(2, 5, 8)

    with torch.no_grad():
        found = count_flops(lambda: layer(inputs))

    # Of 2 × 5 tokens of width 8: four projections; scores and weighted sums; two maps to and from 16.
    projections, attention, feed = 4 * 2 * 10 * 8 * 8, 2 * 2 * 2 * 5 * 5 * 8, 2 * 2 * 10 * 8 * 16
    assert found == projections + attention + feed


def test_a_model_without_counted_operations_is_null():
    assert count_flops(lambda: torch.randn(3) + 1) is None


def test_the_fused_fast_path_is_as_it_was_afterwards():
    before = torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(ZeroDivisionError):
        count_flops(lambda: 1 / 0)

    assert torch.backends.mha.get_fastpath_enabled() == before


def test_wall_time_and_peak_memory_are_those_of_the_block():
    with measure() as first:
        block = torch.ones(64 * 2**20 // 4)  # 64 MiB
        time.sleep(0.02)
    del block
    with measure() as second:
        pass

    assert 0.02 <= first.seconds < 5
    if first.peak_memory_bytes is not None:  # only Linux can reset its high-water mark
        assert first.peak_memory_bytes - second.peak_memory_bytes > 32 * 2**20


def test_a_block_that_fails_is_measured_too():
    meter = None

    def fail() -> None:
        nonlocal meter
        with measure() as meter:
            time.sleep(0.01)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert meter.seconds >= 0.01
