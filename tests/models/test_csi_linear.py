"""The linear forecasters of CSI, wiener and ar: known maps come back, and the laws of linear maps hold."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError, TaskShape
from tsbench.models.ar.model import AR
from tsbench.models.ar.model import Hyperparameters as ARHyperparameters
from tsbench.models.wiener.least_squares import from_rows, to_rows
from tsbench.models.wiener.model import Hyperparameters, Wiener
from tsbench.training.settings import fill
from tsbench.training.weights import count_parameters, load_weights, save_weights

ANTENNAS, SUBCARRIERS = 2, 3


@dataclass
class Cases:
    """What a fit reads of a part of a task."""

    context: torch.Tensor
    target: torch.Tensor

    def batches(self, size: int):
        for start in range(0, len(self.context), size):
            stop = start + size
            yield {"context": self.context[start:stop], "target": self.target[start:stop]}


@dataclass
class Source:
    """A source of made cases; the validation part is the training part."""

    train: Cases

    @property
    def validation(self) -> Cases:
        return self.train


def shape(context: int = 4, horizon: int = 2, antennas: int = ANTENNAS, subcarriers: int = SUBCARRIERS):
    names = tuple(f"{part}{number}" for number in range(subcarriers) for part in ("re", "im"))
    sizes = {"antenna": antennas, "subcarrier": subcarriers}
    return TaskShape(context, horizon, 1, names, names, sizes=sizes)


def noise(*sizes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*sizes, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def random_cases(samples: int = 200, context: int = 4, horizon: int = 2) -> Cases:
    series = noise(samples, ANTENNAS, context + horizon, SUBCARRIERS).cumsum(dim=2) + (2 - 1j)
    return Cases(series[:, :, :context], series[:, :, context:])


def fitted(model, cases: Cases):
    model.fit(Source(cases))
    return model


def models(shared: bool, ridge: float = 0.0):
    return [
        Wiener(shape(), Hyperparameters(ridge=ridge, shared=shared)),
        AR(shape(), ARHyperparameters(order=3, ridge=ridge, shared=shared)),
    ]


@pytest.mark.parametrize("maps", [1, SUBCARRIERS])
def test_rows_and_responses_are_inverse(maps):
    response = noise(5, ANTENNAS, 4, SUBCARRIERS)

    rows = to_rows(response, maps)

    assert rows.shape == (maps, 5 * SUBCARRIERS // maps, 4 * ANTENNAS)
    assert torch.equal(from_rows(rows, 5, ANTENNAS), response)
    assert torch.equal(rows[0, 3], response[3, :, :, 0].T.reshape(-1))  # oldest step first, antennas in turn


def test_wiener_recovers_a_known_map_for_each_subcarrier():
    context = noise(300, ANTENNAS, 4, SUBCARRIERS) + 1
    matrices = noise(SUBCARRIERS, ANTENNAS, 2, ANTENNAS, 4, seed=1)
    target = torch.einsum("kahbt,nbtk->nahk", matrices, context) + (3 + 2j)
    model = Wiener(shape(), Hyperparameters(ridge=0.0))

    report = model.fit(Source(Cases(context, target)))

    found = torch.view_as_complex(model.weight).reshape(SUBCARRIERS, 2, ANTENNAS, 4, ANTENNAS)
    torch.testing.assert_close(found, matrices.permute(0, 2, 1, 4, 3), atol=1e-5, rtol=0)
    bias = torch.view_as_complex(model.bias)
    torch.testing.assert_close(bias, torch.full_like(bias, 3 + 2j), atol=1e-5, rtol=0)
    assert report.validation_loss == pytest.approx(0, abs=1e-9)


def test_ar_recovers_a_known_recurrence():
    rotations = 0.9 * torch.linalg.qr(noise(SUBCARRIERS, ANTENNAS, ANTENNAS)).Q
    steps = [noise(50, ANTENNAS, SUBCARRIERS, seed=1)]
    for _ in range(5):
        steps.append(torch.einsum("kab,nbk->nak", rotations, steps[-1]))
    series = torch.stack(steps, dim=2)
    model = AR(shape(), ARHyperparameters(order=1, ridge=0.0))

    report = model.fit(Source(Cases(series[:, :, :4], series[:, :, 4:])))

    torch.testing.assert_close(torch.view_as_complex(model.weight), rotations, atol=1e-5, rtol=0)
    assert report.validation_loss == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("shared", [False, True])
def test_the_map_equals_numpy_lstsq(shared):
    cases = random_cases()
    maps = 1 if shared else SUBCARRIERS
    model = fitted(Wiener(shape(), Hyperparameters(ridge=0.0, shared=shared)), cases)

    for number in range(maps):
        inputs = to_rows(cases.context, maps)[number].to(torch.complex128).numpy()
        outputs = to_rows(cases.target, maps)[number].to(torch.complex128).numpy()
        solution = np.linalg.lstsq(np.column_stack([inputs, np.ones(len(inputs))]), outputs, rcond=None)[0]
        weight = torch.view_as_complex(model.weight)[number].numpy()
        np.testing.assert_allclose(weight.T, solution[:-1], atol=1e-5)
        np.testing.assert_allclose(torch.view_as_complex(model.bias)[number].numpy(), solution[-1], atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_ar_of_the_order_of_the_look_back_is_wiener_on_one_step(shared):
    cases = random_cases(horizon=1)
    wiener = fitted(Wiener(shape(4, 1), Hyperparameters(shared=shared)), cases)
    ar = fitted(AR(shape(4, 1), ARHyperparameters(order=4, shared=shared)), cases)

    torch.testing.assert_close(ar(cases.context), wiener(cases.context), atol=1e-6, rtol=0)


def test_the_first_step_of_ar_comes_from_the_newest_steps_alone():
    cases = random_cases()
    model = fitted(AR(shape(), ARHyperparameters(order=3)), cases)
    changed = cases.context.clone()
    changed[:, :, 0] = 7

    assert torch.equal(model(changed), model(cases.context))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("scale", [3.0, 2j, 0.5 - 1j])
def test_a_scaled_task_gives_a_scaled_forecast(shared, scale):
    cases = random_cases()
    scaled = Cases(scale * cases.context, scale * cases.target)

    for one, other in zip(models(shared, 1e-3), models(shared, 1e-3), strict=True):
        forecast = fitted(other, scaled)(scaled.context)
        expected = scale * fitted(one, cases)(cases.context)
        torch.testing.assert_close(forecast, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_forecasts_are_affine_in_the_look_back(shared):
    cases, other = random_cases(), noise(200, ANTENNAS, 4, SUBCARRIERS, seed=5)

    for model in models(shared):
        fitted(model, cases)
        base = model(torch.zeros_like(other))
        mixed = model(2j * cases.context + other) - base
        parts = 2j * (model(cases.context) - base) + model(other) - base
        torch.testing.assert_close(mixed, parts, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(shared):
    cases = random_cases()

    for model in models(shared):
        fitted(model, cases)
        together = model.predict({"context": cases.context}).values
        alone = model.predict({"context": cases.context[7:8]}).values
        torch.testing.assert_close(together[7:8], alone)


def test_the_fit_does_not_depend_on_how_cases_fall_into_batches(monkeypatch):
    cases = random_cases()
    for whole, parts in zip(models(False), models(False), strict=True):
        fitted(whole, cases)
        with monkeypatch.context() as patch:
            patch.setattr(f"{type(parts).__module__}.FIT_BATCH", 7)
            fitted(parts, cases)
        torch.testing.assert_close(parts.weight, whole.weight, atol=1e-6, rtol=0)


def test_the_ridge_shrinks_the_map_but_not_the_intercept():
    cases = random_cases()
    model = fitted(Wiener(shape(), Hyperparameters(ridge=1e9)), cases)

    mean = to_rows(cases.target, SUBCARRIERS).mean(dim=1)
    assert model.weight.abs().max() < 1e-6
    torch.testing.assert_close(torch.view_as_complex(model.bias), mean, atol=1e-4, rtol=0)


@pytest.mark.parametrize("shared", [False, True])
def test_weights_survive_saving(tmp_path, shared):
    cases = random_cases()
    for saved, loaded in zip(models(shared), models(shared), strict=True):
        save_weights(fitted(saved, cases), tmp_path / "weights.safetensors")
        load_weights(loaded, tmp_path / "weights.safetensors")
        assert torch.equal(loaded(cases.context), saved(cases.context))


def test_the_numbers_of_coefficients():
    full = shape(16, 4, antennas=4, subcarriers=5)

    wiener = 2 * (16 * 4 * 4 * 4 + 4 * 4)
    autoregression = 2 * (11 * 4 * 4 + 4)
    assert count_parameters(Wiener(full, Hyperparameters(shared=True))) == wiener
    assert count_parameters(Wiener(full)) == 5 * wiener
    assert count_parameters(AR(full, ARHyperparameters(shared=True))) == autoregression
    assert count_parameters(AR(full)) == 5 * autoregression


def test_an_order_above_the_look_back_is_refused():
    with pytest.raises(InputError, match="ar of order 11 needs as long a context, not 8"):
        AR(shape(8))


def test_no_order_is_refused():
    with pytest.raises(InputError, match="card: order must be at least 1, not 0"):
        fill(ARHyperparameters, {"order": 0}, "card")


@pytest.mark.parametrize("record", [Hyperparameters, ARHyperparameters])
def test_a_negative_ridge_is_refused(record):
    with pytest.raises(InputError, match=r"card: ridge must not be negative, not -1\.0"):
        fill(record, {"ridge": -1.0}, "card")


def test_the_cards_know_what_ar_and_wiener_cannot_do():
    gap = registry.model("ar").gap(registry.task("csi-rrg-fdd-small"))

    assert gap is not None
    assert "downlink" in gap.reason
    assert registry.model("ar").settings_for(registry.task("csi-rrg-tdd-small")) is not None
    assert registry.model("wiener").gap(registry.task("csi-rrg-fdd")) is None
    assert registry.model("wiener").settings_for("etth1-96") is None
