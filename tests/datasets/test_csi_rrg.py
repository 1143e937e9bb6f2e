"""CSI-RRG: the grid of the benchmark, the physics of its channels, and Sionna's plain recipe beside ours."""

import itertools
import sys

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.datasets.csi_rrg import channel
from tsbench.datasets.csi_rrg.adapter import splits
from tsbench.datasets.csi_rrg.grid import Array, Cell, Link, Profile
from tsbench.datasets.csi_rrg.published import training_statistics

LIGHT = 299792458.0


def profile(name: str) -> Profile:
    return Profile.of_parameters(registry.dataset(f"csi_rrg-{name}").variant.parameters)


def made(link: Link, normalise: bool = True) -> Profile:
    return Profile("test", link, {}, normalise)


SMALL = Link(Array(2, 2), every=4)


def drawn(
    model="A", delay_spread=100, speed=10, samples=20, link=SMALL, normalise=True, seed=0
) -> np.ndarray:
    """(sample, antenna, snapshot, 2 × subcarrier)."""
    cell = Cell("train", model, delay_spread, speed)
    return channel.draw_cell(made(link, normalise), cell, samples, seed)


def correlation(values: np.ndarray, lag: int = 1) -> float:
    """Magnitude of the correlation between snapshots `lag` apart, over everything else."""
    early, late = values[:, :, :-lag], values[:, :, lag:]
    return float(abs((early.conj() * late).sum()) / np.sqrt((abs(early) ** 2).sum() * (abs(late) ** 2).sum()))


# csi_rrg sheet, "what our implementation must show", 1
def test_full_profile_has_the_folders_and_samples_of_the_benchmark():
    full = profile("full")
    counts = {split: sum(cell.split == split for cell in full.cells()) for split in full.axes}
    assert counts == {"train": 27, "test-regular": 27, "test-generalisation": 510}
    assert [axes.samples for axes in full.axes.values()] == [1000, 100, 100]
    assert len({cell.path for cell in full.cells()}) == 564
    assert Cell("train", "A", 30, 1).path == "train/regular/cm_A_ds_030_ms_001"
    assert all(Cell.of_path(cell.path) == cell for cell in full.cells())
    assert full.link.array.antennas == 32


def test_small_profile_generalises_to_cells_that_were_not_trained_on():
    small = profile("small")
    cells = {split: [c for c in small.cells() if c.split == split] for split in small.axes}
    assert [len(cells[split]) for split in small.axes] == [27, 27, 48]
    trained = {cell.folder for cell in cells["train"]}
    assert trained == {cell.folder for cell in cells["test-regular"]}
    assert not trained & {cell.folder for cell in cells["test-generalisation"]}
    assert not {c.speed for c in cells["train"]} & {c.speed for c in cells["test-generalisation"]}
    assert small.link.array.antennas == 8
    assert len(small.link.uplink) == len(small.link.downlink) == 75


def test_legacy_profiles_differ_in_the_doppler_shift_only():
    for name in ("small", "full"):
        one = registry.dataset(f"csi_rrg-{name}").variant.parameters
        other = registry.dataset(f"csi_rrg-{name}-legacy").variant.parameters
        assert one | {"doppler": "legacy"} == other


def test_snapshots_are_2352_microseconds_apart():
    assert Link().interval == pytest.approx(2.352e-3, rel=1e-9)
    assert Link().symbols == 1400
    assert 1 / Link().symbol_rate == pytest.approx(33.6e-6, rel=1e-9)


def test_bands_are_disjoint_with_a_gap_of_150_subcarriers():
    link = Link()
    assert len(link.uplink) == len(link.downlink) == 300
    assert link.downlink[0] - link.uplink[-1] == 151
    assert (link.offset(0), link.offset(749)) == (-375 * 30e3, 374 * 30e3)


def test_training_cells_are_divided_90_to_10_by_the_published_permutation():
    labels = splits(Cell("train", "A", 30, 1), 100)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(42))
    assert set(np.flatnonzero(labels == "validation")) == set(order[90:].tolist())
    assert (labels == "train").sum() == 90
    assert set(splits(Cell("test-regular", "A", 30, 1), 5)) == {"test-regular"}


def plain(link: Link, model: str, speed: float, samples: int) -> torch.Tensor:
    """Sionna's own way: all symbols and subcarriers, shape (sample, antenna, symbol, subcarrier)."""
    import sionna.phy
    from sionna.phy.channel import cir_to_ofdm_channel, subcarrier_frequencies
    from sionna.phy.channel.tr38901 import CDL

    coefficients = channel.simulator()
    sionna.phy.config.seed = 5
    ut, bs = coefficients.terminal(link.carrier), coefficients.panel(link.carrier, link.array)
    cdl = CDL(model, 100e-9, link.carrier, ut, bs, "uplink", min_speed=speed, max_speed=speed, device="cpu")
    a, tau = cdl(samples, link.symbols, link.symbol_rate)
    h = cir_to_ofdm_channel(subcarrier_frequencies(link.subcarriers, link.spacing, device="cpu"), a, tau)
    return h[:, 0, :, 0, 0]


@pytest.mark.parametrize("model", ["A", "D"])
def test_coefficients_equal_the_plain_recipe_with_the_same_draws(model):
    import sionna.phy

    link = Link(Array(2, 1))
    h = plain(link, model, 30.0, 2)
    kept = h[:, :, :: link.keep_every][..., list(link.kept)]
    ours = {}
    for normalise in (False, True):
        sionna.phy.config.seed = 5
        generator = sionna.phy.config.torch_rng("cpu")
        simulator = channel.simulator().LinkSimulator(link, model, 100e-9, 30.0, generator)
        ours[normalise] = simulator.draw(2, normalise)
    torch.testing.assert_close(ours[False], kept, rtol=0, atol=1e-5)
    unit = kept / h.abs().square().mean((1, 2, 3), keepdim=True).sqrt()
    # The issue asks for 2 %; 140 instants and the exact mean over frequency come far closer.
    torch.testing.assert_close(ours[True], unit, rtol=0, atol=1e-3)


def test_generation_leaves_the_global_generators_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    drawn(samples=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_have_unit_mean_power():
    power = (abs(drawn(samples=40)) ** 2).mean()
    # Scaled over all symbols and subcarriers, seen at 20 of 1,400 and 150 of 750.
    assert power == pytest.approx(1, rel=0.03)
    assert drawn(samples=1).dtype == np.complex64


def test_coefficients_are_left_as_they_are_where_that_is_asked():
    raw, unit = drawn(normalise=False, samples=3), drawn(samples=3)
    ratio = raw / unit
    assert np.allclose(ratio, ratio[:, :1, :1, :1], rtol=1e-3)
    assert not np.allclose(abs(ratio), 1, rtol=1e-2)


def test_standing_terminal_has_a_static_channel():
    still = drawn(speed=0, samples=3)
    np.testing.assert_allclose(still, np.broadcast_to(still[:, :, :1], still.shape), atol=1e-6)


def test_correlation_in_time_falls_with_speed():
    found = [correlation(drawn(speed=speed, samples=30)) for speed in (1, 3, 10, 30)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.95
    assert found[-1] < 0.6


def test_correlation_over_the_bands_falls_with_delay_spread():
    def across(delay_spread: int) -> float:
        first = drawn(delay_spread=delay_spread)[:, :, 0]
        near, far = first[..., :-10], first[..., 10:]
        return float(abs((near.conj() * far).sum()) / (abs(near) * abs(far)).sum())

    found = [across(delay_spread) for delay_spread in (30, 100, 300)]
    assert found == sorted(found, reverse=True)


def test_doppler_shift_is_bounded_by_the_speed():
    # A channel that is band limited to v f / c, sampled at 425 Hz: no energy above, but for leakage.
    link, speed = SMALL, 10
    values = drawn(speed=speed, samples=20)[..., :75]
    spectrum = abs(np.fft.fft(values * np.hanning(20)[:, None], 256, axis=2)) ** 2
    frequency = np.fft.fftfreq(256, link.interval)
    beyond = abs(frequency) > speed * link.carrier / LIGHT + 2.5 / (20 * link.interval)
    assert spectrum[:, :, beyond].sum() / spectrum.sum() < 0.01


def test_speed_is_that_of_the_cell_and_not_drawn_below_it():
    # Sionna's CDL takes max_speed = 0 where only min_speed is given, and draws the speed from U(0, v).
    simulator = channel.simulator().LinkSimulator(SMALL, "A", 1e-7, 30.0, torch.Generator().manual_seed(0))
    speeds = simulator.cdl._get_velocity(200).norm(dim=1)
    torch.testing.assert_close(speeds, torch.full((200,), 30.0))


def test_doppler_modes_differ_and_share_their_draws():
    legacy = Link(Array(2, 2), every=4, doppler="legacy")
    corrected, older = drawn(samples=10, normalise=False), drawn(samples=10, link=legacy, normalise=False)
    np.testing.assert_allclose(corrected[:, :, 0], older[:, :, 0], atol=1e-5)
    assert np.linalg.norm(corrected - older) > 0.1 * np.linalg.norm(corrected)


def test_cells_have_random_streams_of_their_own():
    keys = itertools.product(("train", "test-regular"), "AC", (30, 100), (1, 10))
    cells = [Cell(*key) for key in keys]
    seeds = {channel.cell_seed(made(SMALL), cell, seed) for cell in cells for seed in (0, 1)}
    assert len(seeds) == 2 * len(cells)


def test_cell_is_drawn_to_the_same_bits_whatever_was_drawn_before_and_with_any_threads():
    first = drawn(samples=12)
    drawn("C", 30, 30, samples=2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        again = drawn(samples=12)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, drawn(samples=12, seed=1))


def test_missing_sionna_is_one_line(monkeypatch):
    for name in [one for one in sys.modules if one.endswith("csi_rrg.coefficients")]:
        monkeypatch.delitem(sys.modules, name)
    package = sys.modules["tsbench.datasets.csi_rrg"]
    monkeypatch.delattr(package, "coefficients", raising=False)
    monkeypatch.setitem(sys.modules, "sionna.phy", None)
    with pytest.raises(InputError, match=r"Sionna, which cannot be imported .* pip install") as caught:
        drawn(samples=1)
    assert "\n" not in str(caught.value)


def last_value_errors(cells: list[Cell], samples: int, link: Link) -> dict[str, np.ndarray]:
    """NMSE of repeating the last noisy snapshot, by cell: AWGN 0–25 dB on the normalised history."""
    data = {cell: channel.draw_cell(made(link), cell, samples, 0) for cell in cells}
    rng, width, past = np.random.default_rng(0), len(link.uplink), link.history
    history = np.concatenate([values[:, :, :past, :width].ravel() for values in data.values()])
    mean, scale = (history.real.mean(), history.imag.mean()), (history.real.std(), history.imag.std())
    errors: dict[str, list[float]] = {"tdd": [], "fdd": []}
    for values in data.values():
        known = values[:, :, :past, :width]
        unit = (known.real - mean[0]) / scale[0] + 1j * (known.imag - mean[1]) / scale[1]
        power = (abs(unit) ** 2).mean((1, 2, 3))[:, None, None]
        ratios: dict[str, list[float]] = {"tdd": [], "fdd": []}
        for level in (0, 5, 10, 15, 20, 25):
            last = unit[:, :, -1]
            noise = rng.standard_normal((2, *last.shape)) * np.sqrt(power * 10 ** (-level / 10) / 2)
            noisy = last + noise[0] + 1j * noise[1]
            forecast = (noisy.real * scale[0] + mean[0] + 1j * (noisy.imag * scale[1] + mean[1]))[:, :, None]
            for mode, band in (("tdd", slice(0, width)), ("fdd", slice(width, None))):
                truth = values[:, :, past:, band]
                ratio = (abs(truth - forecast) ** 2).sum(-1) / (abs(truth) ** 2).sum(-1)
                ratios[mode].append(float(ratio.mean()))
        for mode, found in ratios.items():
            errors[mode].append(float(np.mean(found)))
    return {mode: np.array(found) for mode, found in errors.items()}


# csi_rrg sheet, "what our implementation must show", 5: mean over CDL-A, C, D; 20 % since the metric is heavy-tailed
@pytest.mark.slow
def test_last_value_has_the_published_error_with_the_older_doppler_shift():
    errors = last_value_errors(
        [Cell("test-regular", m, d, s) for m in "ACD" for d in (30, 100, 300) for s in (1, 10, 30)],
        samples=60,
        link=Link(doppler="legacy"),
    )
    assert errors["tdd"].mean() == pytest.approx(1.829, rel=0.2)
    assert errors["fdd"].mean() == pytest.approx(2.736, rel=0.2)


def test_statistics_are_those_of_the_training_histories():
    import xarray as xr

    from tsbench.datasets.csi_rrg.adapter import cell_dataset

    values = drawn(samples=20)
    datasets = [
        cell_dataset(
            SMALL, Cell(split, "A", 100, 10), factor * values[:, :, :16, :75], *[values[:, :, 16:, :75]] * 2
        )
        for split, factor in (("train", 1), ("test-regular", 9))
    ]
    found = training_statistics(xr.concat(datasets, "sample"), block=7)
    history = values[:, :, :16, :75]
    expected = history.real.mean(), history.real.std(), history.imag.mean(), history.imag.std()
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-5, atol=1e-7)
