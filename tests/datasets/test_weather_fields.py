"""The generated weather: its transforms and physics, its store, and its water."""

import math

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.adapter import BuildRequest
from tsbench.datasets.weather_fields import adapter
from tsbench.datasets.weather_fields.moist import AIR_MASS, DAY, WATER_DENSITY, MoistModel, hills, land_mask
from tsbench.datasets.weather_fields.shallow_water import (
    GRAVITY,
    ROTATION,
    ShallowWater,
    State,
    random_vorticity,
)
from tsbench.datasets.weather_fields.sphere import Sphere

SPHERE = Sphere(21, 32)


def coefficients(seed: int = 0, batch: int = 2) -> torch.Tensor:
    """Random coefficients of a real field, shape (batch, m, l)."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randn(batch, 22, 22, dtype=torch.complex128, generator=generator) * SPHERE.kept
    draws[:, 0] = draws[:, 0].real.to(draws)
    return draws


def test_transforms_there_and_back_are_exact():
    given = coefficients()

    again = SPHERE.from_grid(SPHERE.to_grid(given))

    assert (again - given).abs().max() < 1e-12


def test_harmonics_are_orthonormal():
    # ∫ f² over the unit sphere is the sum of all |c|², those of -m included.
    given = coefficients()
    both = torch.where(torch.arange(22)[:, None] > 0, 2.0, 1.0) * given.abs().square()

    square = 4 * math.pi * SPHERE.mean(SPHERE.to_grid(given).square())

    torch.testing.assert_close(square, both.sum(dim=(1, 2)), rtol=1e-12, atol=0)


def test_winds_have_the_vorticity_and_divergence_that_they_were_made_of():
    vorticity, divergence = coefficients(1), coefficients(2)
    vorticity[:, 0, 0] = divergence[:, 0, 0] = 0
    # Degree T leaves the truncation once it is turned into winds and back.
    vorticity[..., -1] = divergence[..., -1] = 0

    found = SPHERE.divergence_and_curl(*SPHERE.winds(vorticity, divergence))

    torch.testing.assert_close(found[0], divergence, rtol=0, atol=1e-11)
    torch.testing.assert_close(found[1], vorticity, rtol=0, atol=1e-11)


def test_solid_rotation_is_the_wind_of_its_vorticity():
    # u = U cos φ has the vorticity 2 U sin φ / a.
    field = (2 * 10.0 / SPHERE.radius * SPHERE.mu[:, None]).expand(32, 64)
    vorticity = SPHERE.from_grid(field)

    east, north = SPHERE.winds(vorticity, torch.zeros_like(vorticity))

    torch.testing.assert_close(
        east / SPHERE.cosine, 10.0 * SPHERE.cosine.expand(-1, 64), rtol=1e-12, atol=1e-12
    )
    assert north.abs().max() < 1e-10


def test_mass_stays_and_energy_nearly_so_over_five_days_without_forcing():
    water = ShallowWater(SPHERE, step=900.0)
    state = water.balanced(random_vorticity(SPHERE, torch.Generator().manual_seed(1))[None])
    mass, energy = water.mass(state), water.energy(state)

    for _ in range(480):
        state = water.advance(state)

    assert ((water.mass(state) - mass) / mass).abs().max() < 1e-12
    assert ((water.energy(state) - energy) / energy).abs().max() < 0.005
    east, north = SPHERE.winds(state.vorticity, state.divergence)
    wind = (east.square() + north.square()).sqrt() / SPHERE.cosine
    assert 15 < wind.max() < 45


def test_steady_zonal_flow_stays_for_five_days():
    # Williamson et al. (1992), test case 2.
    speed = 2 * math.pi * SPHERE.radius / (12 * DAY)
    lowered = (SPHERE.radius * ROTATION * speed + speed**2 / 2) * SPHERE.mu[:, None].square()
    first = (GRAVITY * 2998.0 - lowered).expand(1, 32, 64)
    vorticity = (2 * speed / SPHERE.radius * SPHERE.mu[:, None]).expand(1, 32, 64)
    still = torch.zeros(1, 22, 22, dtype=torch.complex128)
    state, water = (
        State(SPHERE.from_grid(first), SPHERE.from_grid(vorticity), still),
        ShallowWater(SPHERE, 900.0),
    )

    for _ in range(480):
        state = water.advance(state)

    assert ((SPHERE.to_grid(state.geopotential) - first).abs() / first).max() < 1e-3


def moist_model(members: int, step: float = 1800.0, heating: float = 4000.0) -> MoistModel:
    generators = [torch.Generator().manual_seed(seed) for seed in range(members)]
    driven = torch.full((members,), heating, dtype=torch.float64)
    return MoistModel(SPHERE, step, driven, hills(SPHERE).expand(members, -1, -1), generators)


def water_in_air(model: MoistModel, weather) -> torch.Tensor:
    """Mean depth of the water in the air, metres, shape (member,)."""
    return SPHERE.mean(SPHERE.to_grid(weather.humidity)) * AIR_MASS / WATER_DENSITY


def test_soil_water_is_balanced_at_every_step():
    model = moist_model(2)
    weather = model.start()
    for _ in range(48):
        before = weather.soil
        weather, water = model.advance(weather)
        gained = model.land * (water.rain - water.evaporation) - water.runoff
        inside = (weather.soil > 0) & (weather.soil < 0.1)
        torch.testing.assert_close((weather.soil - before)[inside], gained[inside], rtol=1e-9, atol=1e-15)
    assert (weather.soil >= 0).all()
    assert (weather.soil <= 0.1).all()


@pytest.mark.slow
def test_the_water_of_the_air_drifts_by_less_than_a_hundredth_of_the_rain():
    # The card states the figure.
    model = moist_model(2)
    weather = model.start()
    for _ in range(10 * 48):
        weather, _ = model.advance(weather)
    before, rain, balance = water_in_air(model, weather), 0.0, 0.0
    for _ in range(20 * 48):
        weather, water = model.advance(weather)
        rain += SPHERE.mean(water.rain)
        balance += SPHERE.mean(water.evaporation - water.rain)

    drift = (water_in_air(model, weather) - before - balance) / rain

    assert drift.abs().max() < 0.01


def test_members_do_not_depend_on_their_company():
    request = request_for(members={"train": 2, "test": 1}, days=1)
    together = adapter.build_part(request, adapter.Part("members from 0", 3))

    alone = adapter.build_part(request, adapter.Part("members from 2", 1))

    assert str(alone["member"].values[0]) == "test 0"
    for name in adapter.FIELDS:
        np.testing.assert_allclose(
            together[name].values[2],
            alone[name].values[0],
            rtol=1e-4,
            atol=1e-6 * abs(alone[name].values).max(),
        )
    assert abs(together["geopotential"].values[0] - together["geopotential"].values[1]).max() > 100


def request_for(**changes) -> BuildRequest:
    entry = registry.dataset("weather_fields-tiny")
    parameters = dict(entry.variant.parameters) | changes
    return BuildRequest(entry.name, entry.variant, parameters=parameters)


def test_the_store_has_the_names_and_units_of_weatherbench_2():
    found = adapter.build_part(
        request_for(members={"train": 1, "forcing": 1, "orography": 1}, days=2),
        adapter.Part("members from 0", 3),
    )

    assert found["geopotential"].dims == ("member", "time", "latitude", "longitude")
    assert dict(found.sizes) == {"member": 3, "time": 8, "latitude": 32, "longitude": 64}
    assert (np.diff(found["latitude"].values) > 0).all()
    assert np.diff(found["time"].values).tolist() == [6 * 3600 * 10**9] * 7
    assert found["heating"].values.tolist() == [4000.0, 5000.0, 4000.0]
    ground = found["geopotential_at_surface"].values
    assert abs(ground[0] - ground[1]).max() == 0
    assert abs(ground[0] - ground[2]).max() > 1000
    rain, sea = found["total_precipitation_6hr"].values, found["land_sea_mask"].values[0] == 0
    assert 0.0005 < rain[:, 4:].mean() * 4 < 0.01  # metres a day
    assert abs(found["runoff"].values[:, :, sea]).max() == 0
    assert all(found[name].attrs["units"] for name in found.data_vars)


def test_half_of_the_planet_is_neither_all_land_nor_all_sea():
    assert 0.2 < SPHERE.mean(land_mask(SPHERE)) < 0.6


def test_other_sizes_are_data_sets_of_their_own():
    entry = registry.dataset("weather_fields-tiny")
    with pytest.raises(InputError, match="weather_fields-small"):
        adapter.parts(BuildRequest(entry.name, entry.variant, parameters={}, size="small"))


def test_members_are_divided_as_the_card_says():
    parameters = registry.dataset("weather_fields-small").variant.parameters

    labels = [one.label for one in adapter.members(parameters)]

    assert {label: labels.count(label) for label in labels} == {
        "train": 8, "validation": 2, "test": 10, "forcing": 4, "orography": 4,
    }  # fmt: skip
    request = request_for(members=parameters["members"])
    assert sum(part.rows for part in adapter.parts(request)) == 28
