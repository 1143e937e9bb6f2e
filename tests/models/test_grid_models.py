"""Forecasters of fields: baselines, roll-outs, symmetries of the globe, and decoders that change no backbone."""

import math

import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError, TaskShape
from tsbench.data.rollout.geometry import latitude_weights
from tsbench.models.climatology_grid.model import ClimatologyGrid
from tsbench.models.fno_grid.model import FNOGrid
from tsbench.models.fno_grid.model import Hyperparameters as Fourier
from tsbench.models.layers.grid import pad_sphere, row_weights
from tsbench.models.persistence_grid.model import PersistenceGrid
from tsbench.models.unet_grid.model import Hyperparameters as UNet
from tsbench.models.unet_grid.model import UNetGrid
from tsbench.models.weather_transformer.model import Hyperparameters as Transformer
from tsbench.models.weather_transformer.model import WeatherTransformer
from tsbench.models.weather_transformer.widening import widen
from tsbench.training.build import build
from tsbench.training.weights import load_weights, save_weights, weights_hash

NAMES, STATIC, ROWS, COLUMNS, HORIZON = ("z", "u"), ("hill", "sin_latitude"), 8, 16, 3
LATITUDE = torch.linspace(-80, 80, ROWS)
SMALL = {
    UNetGrid: UNet(width=8, levels=1),
    FNOGrid: Fourier(width=6, layers=2, latitude_modes=4, longitude_modes=5),
    WeatherTransformer: Transformer(width=16, blocks=4, heads=2, window_rows=2, window_columns=4),
}


def shape(targets: tuple[str, ...] = NAMES, channels: tuple[str, ...] = NAMES) -> TaskShape:
    sizes = {"latitude": ROWS, "longitude": COLUMNS}
    return TaskShape(2, HORIZON, 4, channels, targets, sizes=sizes, static=STATIC)


def batch(
    samples: int = 3, channels: int = 2, targets: int = 2, flat: bool = False
) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    static = torch.randn(samples, 2, ROWS, COLUMNS, generator=generator)
    static[:, 0] = 0 if flat else static[:, 0]
    static[:, 1] = torch.sin(torch.deg2rad(LATITUDE))[:, None]
    return {
        "context": torch.randn(samples, 2, channels, ROWS, COLUMNS, generator=generator),
        "target": torch.randn(samples, HORIZON, targets, ROWS, COLUMNS, generator=generator),
        "static": static,
        "index": torch.arange(samples),
    }


def rolled(given: dict[str, torch.Tensor], columns: int) -> dict[str, torch.Tensor]:
    """The batch on a globe that is turned."""
    return {name: one if name == "index" else one.roll(columns, dims=-1) for name, one in given.items()}


@pytest.mark.parametrize("kind", SMALL)
def test_a_roll_out_feeds_forecasts_back(kind):
    model, given = build(kind, shape(), SMALL[kind], seed=0), batch()
    model.spread.copy_(torch.tensor([0.5, 2.0]))

    forecast = model(given)

    assert forecast.shape == given["target"].shape
    first = model.next(given["context"], given["static"])
    torch.testing.assert_close(forecast[:, 0], first)
    second = model.next(torch.stack([given["context"][:, 1], first], dim=1), given["static"])
    torch.testing.assert_close(forecast[:, 1], second)


@pytest.mark.parametrize(("kind", "turn"), [(UNetGrid, 2), (FNOGrid, 1)])
def test_a_turned_globe_has_the_turned_forecast(kind, turn):
    model, given = build(kind, shape(), SMALL[kind], seed=0).eval(), batch()

    torch.testing.assert_close(
        model(rolled(given, turn)), model(given).roll(turn, dims=-1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("kind", SMALL)
def test_no_part_of_the_globe_is_out_of_reach(kind):
    model, given = build(kind, shape(), SMALL[kind], seed=0).eval(), batch(1)
    state = given["context"].requires_grad_()

    model.roll_out(state, given["static"], 3)[0, -1, :, 0, 0].sum().backward()

    touched = state.grad.abs().sum(dim=(0, 1, 2)) > 0
    reach = touched.float().mean()
    assert reach > (0.99 if kind is not UNetGrid else 0.5)
    assert touched[0, -1]  # around the globe


@pytest.mark.parametrize("kind", SMALL)
def test_a_few_steps_of_training_lower_the_loss(kind):
    model, given = build(kind, shape(), SMALL[kind], seed=0), batch()
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = model.loss(given)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]


def test_the_loss_weighs_rows_by_their_area_and_channels_by_their_spread():
    model, given = build(UNetGrid, shape(), SMALL[UNetGrid], seed=0), batch()
    model.spread.copy_(torch.tensor([0.5, 2.0]))
    weights = torch.from_numpy(latitude_weights(LATITUDE.double().numpy())).float()

    error = (model(given)[:, 0] - given["target"][:, 0]) / model.spread[:, None, None]
    wanted = (error.square().mean(dim=(1, 3)) * weights).mean()

    torch.testing.assert_close(model.loss(given), wanted)
    torch.testing.assert_close(model.loss(given, "sum"), 3 * wanted)
    torch.testing.assert_close(row_weights(given["static"])[0], weights, rtol=1e-5, atol=1e-5)


def test_beyond_a_pole_lies_the_other_side():
    longitude = 2 * math.pi * torch.arange(COLUMNS) / COLUMNS
    # The x coordinate of points on the sphere is smooth across both poles.
    latitude = torch.deg2rad(torch.linspace(-90 + 90 / ROWS, 90 - 90 / ROWS, ROWS))
    place = torch.cos(latitude)[:, None] * torch.cos(longitude)

    padded = pad_sphere(place[None, None], 2, 1)[0, 0]

    further = torch.cos(torch.deg2rad(torch.tensor(90 + 90 / ROWS))) * torch.cos(longitude)
    torch.testing.assert_close(padded[1, 1:-1], further, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(padded[2:-2, 0], place[:, -1])


def test_persistence_repeats_the_last_state_of_the_targets():
    given = batch()

    forecast = PersistenceGrid(shape(targets=("u",))).predict(given).values

    assert forecast.shape == (3, HORIZON, 1, ROWS, COLUMNS)
    assert (forecast[:, 2, 0] == given["context"][:, -1, 1]).all()
    with pytest.raises(InputError, match="the context has no rain"):
        PersistenceGrid(shape(targets=("rain",)))


class Cases:
    """Training cases with one target after the other."""

    def __len__(self) -> int:
        return 100

    def gather(self, index: torch.Tensor) -> dict[str, torch.Tensor]:
        values = index.float()[:, None, None, None, None].expand(-1, HORIZON, 2, ROWS, COLUMNS).clone()
        values[:, 1:] = 99
        return {"target": values}


def test_climatology_is_the_mean_of_the_first_step_ahead():
    model = ClimatologyGrid(shape())

    model.fit(type("Source", (), {"train": Cases()})())

    torch.testing.assert_close(
        model.predict(batch()).values, torch.full((3, HORIZON, 2, ROWS, COLUMNS), 49.5)
    )


def decoder_on(backbone: WeatherTransformer, path) -> WeatherTransformer:
    save_weights(backbone, path)
    model = build(WeatherTransformer, shape(targets=("rain", "runoff")), SMALL[WeatherTransformer], seed=1)
    load_weights(model, path)
    assert weights_hash(model) == weights_hash(backbone)  # a stage is chained by its hash
    model.add_decoders(seed=1)
    return model


def test_training_decoders_leaves_every_forecast_of_the_backbone_as_it_was(tmp_path):
    backbone = build(WeatherTransformer, shape(), SMALL[WeatherTransformer], seed=0)
    backbone.spread.copy_(torch.tensor([0.5, 2.0]))
    model, given = decoder_on(backbone, tmp_path / "weights.safetensors"), batch()
    before = model.roll_out(given["context"], given["static"], 5)
    first, optimiser = model(given), torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=0.1)

    for _ in range(5):
        optimiser.zero_grad()
        model.loss(given).backward()
        optimiser.step()

    assert torch.equal(model.roll_out(given["context"], given["static"], 5), before)
    assert torch.equal(backbone.roll_out(given["context"], given["static"], 5), before)
    assert not torch.equal(model(given), first)
    kept = {name for name, one in model.named_parameters() if not one.requires_grad}
    assert kept == {name for name, _ in model.named_parameters() if not name.startswith("decoders.")}


def test_the_new_variables_are_decoded_from_the_forecast_state(tmp_path):
    backbone = build(WeatherTransformer, shape(), SMALL[WeatherTransformer], seed=0)
    model, given = decoder_on(backbone, tmp_path / "weights.safetensors"), batch()

    forecast = model(given)

    ahead = backbone.roll_out(given["context"], given["static"], 2)
    third = model.decode(model.latent(ahead, given["static"]))
    torch.testing.assert_close(forecast[:, 2], third)


def test_weights_with_decoders_are_read_again(tmp_path):
    backbone = build(WeatherTransformer, shape(), SMALL[WeatherTransformer], seed=0)
    model, given = decoder_on(backbone, tmp_path / "weights.safetensors"), batch()
    save_weights(model, tmp_path / "both.safetensors")
    again = build(WeatherTransformer, model.shape, SMALL[WeatherTransformer], seed=9)

    load_weights(again, tmp_path / "both.safetensors")

    assert torch.equal(again(given), model(given))


def test_decoders_need_a_fitted_backbone_and_other_variables():
    model = build(WeatherTransformer, shape(targets=("rain",)), SMALL[WeatherTransformer], seed=1)
    with pytest.raises(InputError, match="learns new variables on a fitted backbone"):
        model.fit(type("Source", (), {})())
    with pytest.raises(InputError, match="no decoders for new variables yet"):
        model(batch())
    with pytest.raises(InputError, match="z it does"):
        build(WeatherTransformer, shape(targets=("z", "rain")), SMALL[WeatherTransformer], seed=1)


def test_a_decoder_has_about_6600_parameters():
    sizes = {"latitude": 32, "longitude": 64}
    full = TaskShape(2, 4, 4, tuple("zuvq"), ("rain",), sizes=sizes, static=("hill", "land", "sin_latitude"))
    model = build(WeatherTransformer, full, None, seed=0)
    model.add_decoders(seed=0)

    assert sum(one.numel() for one in model.decoders[0].parameters()) == 192 + 97 * 64 + 65 * 4
    assert 440_000 < sum(one.numel() for one in model.backbone.parameters()) < 560_000


def test_a_widened_model_forecasts_what_it_did_before_the_new_variables_speak():
    narrow = build(WeatherTransformer, shape(), SMALL[WeatherTransformer], seed=0)
    names = (*NAMES, "rain")
    wide = build(WeatherTransformer, shape(names, names), SMALL[WeatherTransformer], seed=5)
    given = batch(channels=3)

    widen(wide, narrow.state_dict(), NAMES)

    found = wide.next(given["context"], given["static"])[:, :2]
    torch.testing.assert_close(
        found, narrow.next(given["context"][:, :, :2], given["static"]), rtol=1e-5, atol=1e-5
    )
    with pytest.raises(ValueError, match="first channels must be"):
        widen(wide, narrow.state_dict(), ("u", "z"))


def test_grids_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match="halves the grid 4 times"):
        build(UNetGrid, shape(), UNet(levels=4), seed=0)
    with pytest.raises(InputError, match="does not divide into patches of 2 and windows of 4 × 3"):
        build(WeatherTransformer, shape(), Transformer(window_columns=3), seed=0)
    with pytest.raises(InputError, match="fewer modes than fno_grid"):
        build(FNOGrid, shape(), Fourier(), seed=0)
    with pytest.raises(InputError, match="rolls out the channels that it reads"):
        build(UNetGrid, shape(targets=("rain",)), UNet(levels=1), seed=0)
    with pytest.raises(InputError, match="training_steps is 9; the horizon has 3 steps"):
        build(UNetGrid, shape(), UNet(levels=1, training_steps=9), seed=0)


def test_every_task_of_the_suite_has_settings():
    for entry in registry.suite("weather-small").models:
        settings = registry.model(entry.model).settings_for("weather-fields-small")
        assert settings is not None
        assert settings.context == 2
