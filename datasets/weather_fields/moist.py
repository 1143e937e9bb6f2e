"""The forced, moist weather: heating, drag, stirring, water in the air and in the ground.

All of these are split off from the dynamics: after each step of the shallow-water model one Euler step. Rates
of water are per second; a layer of 10,000 kg/m² carries the humidity.
"""

from dataclasses import dataclass

import torch

from .shallow_water import DEPTH, GRAVITY, ShallowWater, State, random_vorticity
from .sphere import Sphere

DAY = 86400.0
HEATING_DAYS, VORTICITY_DRAG_DAYS, DIVERGENCE_DRAG_DAYS = 10.0, 20.0, 2.0
STIRRED, STIRRING_SECONDS, STIRRING_KEPT, STIRRING_ADDED = (6, 10), 7200.0, 0.8, 2e-11
"""Degrees that are stirred, how often the force is drawn anew, what is kept of it, and the spread of what is
added to each real and imaginary part, in 1/s²."""
RAIN_SECONDS, AIR_MASS, WATER_DENSITY = 4 * 3600.0, 1.0e4, 1000.0
EVAPORATION, CALM = 3e-6, 2.0
HUMIDITY_START = 0.95
"""Share of saturation."""
MOISTEST, WARM_BELT = 0.018, 0.75
"""Saturation at the equator, and the latitude (radians) where it has fallen by a factor e."""
BUCKET, BUCKET_START, RUNOFF_POWER = 0.1, 0.05, 4
"""Water that the ground holds at most and at first, in metres."""
LAND_THRESHOLD = 0.15
HILLS = ((0.7, 1.2, 0.25, 1500.0), (-0.4, 4.0, 0.3, 1000.0))
"""Latitude, longitude and width in radians, and height in metres of each hill."""


@dataclass
class Weather:
    """All that is carried from step to step.

    Attributes:
        flow: of the shallow-water model.
        humidity: coefficients of the mixing ratio, shape (member, m, l).
        soil: water in the ground in metres, shape (member, latitude, longitude); 0 over the sea.
        stirring: force on vorticity, shape (member, m, l).
    """

    flow: State
    humidity: torch.Tensor
    soil: torch.Tensor
    stirring: torch.Tensor


@dataclass
class Water:
    """Depths of water of one or several steps in metres, each shape (member, latitude, longitude)."""

    rain: torch.Tensor
    evaporation: torch.Tensor
    potential_evaporation: torch.Tensor
    runoff: torch.Tensor

    def plus(self, other: "Water") -> "Water":
        """The sum of both."""
        return Water(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


class MoistModel:
    """The forced, moist model of some members.

    Args:
        sphere: the grid.
        step: seconds; divides two hours.
        heating: difference of geopotential between equator and poles to which the flow is driven, in J/kg, of
            each member, shape (member,).
        ground: height of the ground in metres, shape (member, latitude, longitude).
        generators: of the draws of each member.
    """

    def __init__(
        self,
        sphere: Sphere,
        step: float,
        heating: torch.Tensor,
        ground: torch.Tensor,
        generators: list[torch.Generator],
    ) -> None:
        self.sphere, self.step, self.generators = sphere, step, generators
        self.flow = ShallowWater(sphere, step, sphere.from_grid(GRAVITY * ground))
        latitude = torch.asin(sphere.mu)[:, None]
        warm = 0.5 * (torch.cos(2 * latitude) - 1 / 3).expand(-1, sphere.longitudes)
        self.driven = sphere.from_grid(heating[:, None, None] * warm)
        self.driven[..., 0, 0] = 0
        self.moistest = MOISTEST * torch.exp(-(latitude / WARM_BELT).square())
        self.land = land_mask(sphere)
        self.stirred = (sphere.degree >= STIRRED[0]) & (sphere.degree <= STIRRED[1]) & (sphere.kept > 0)
        self.redraw = round(STIRRING_SECONDS / step)
        self.steps = 0

    def start(self) -> Weather:
        """Random eddies in balance, air that is almost saturated, ground half full."""
        vorticity = torch.stack([random_vorticity(self.sphere, one) for one in self.generators])
        flow = self.flow.balanced(vorticity)
        humidity = self.sphere.from_grid(
            HUMIDITY_START * self._saturation(self.sphere.to_grid(flow.geopotential))
        )
        soil = (BUCKET_START * self.land).expand(len(vorticity), -1, -1).clone()
        return Weather(flow, humidity, soil, torch.zeros_like(humidity))

    def advance(self, weather: Weather) -> tuple[Weather, Water]:
        """One step, and the water that went where during it."""
        if self.steps % self.redraw == 0:
            weather.stirring = STIRRING_KEPT * weather.stirring + STIRRING_ADDED * self._draws()
        self.steps += 1
        flow = self._forced(self.flow.advance(weather.flow), weather.stirring)
        humidity, soil, water = self._moisten(flow, weather.humidity, weather.soil)
        return Weather(flow, humidity, soil, weather.stirring), water

    def _forced(self, flow: State, stirring: torch.Tensor) -> State:
        step = self.step
        target = self.driven.clone()
        target[..., 0, 0] = flow.geopotential[..., 0, 0]
        return State(
            flow.geopotential + step / (HEATING_DAYS * DAY) * (target - flow.geopotential),
            flow.vorticity * (1 - step / (VORTICITY_DRAG_DAYS * DAY)) + step * stirring,
            flow.divergence * (1 - step / (DIVERGENCE_DRAG_DAYS * DAY)),
        )

    def _moisten(
        self, flow: State, humidity: torch.Tensor, soil: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, Water]:
        """∂q = −∇·(q v) + q δ + E − P, and the bucket of the ground."""
        sphere, step = self.sphere, self.step
        east, north = sphere.winds(flow.vorticity, flow.divergence)
        fields = sphere.to_grid(torch.stack([flow.geopotential, flow.divergence, humidity]))
        geopotential, divergence = fields[0], fields[1]
        moist = fields[2].clamp(min=0)
        saturation = self._saturation(geopotential)
        wind = (east.square() + north.square()).sqrt() / sphere.cosine
        rain = (moist - saturation).clamp(min=0) / RAIN_SECONDS
        potential = EVAPORATION * (wind + CALM) * (saturation - moist).clamp(min=0)
        evaporation = potential * torch.where(self.land > 0, soil / BUCKET, 1.0)
        outflow, _ = sphere.divergence_and_curl(moist * east, moist * north)
        gained = sphere.from_grid(moist + step * (moist * divergence + evaporation - rain))
        depth = step * AIR_MASS / WATER_DENSITY
        runoff = rain * (soil / BUCKET) ** RUNOFF_POWER
        soil = (soil + self.land * depth * (rain - evaporation - runoff)).clamp(0, BUCKET)
        water = Water(depth * rain, depth * evaporation, depth * potential, depth * runoff * self.land)
        return (gained - step * outflow) * self.flow.damped, soil, water

    def _saturation(self, geopotential: torch.Tensor) -> torch.Tensor:
        mean = GRAVITY * DEPTH
        return self.moistest * (1 + 1.5 * (geopotential - mean) / mean).clamp(0.2, 2.0)

    def _draws(self) -> torch.Tensor:
        size = self.sphere.truncation + 1
        draws = torch.stack(
            [torch.randn(size, size, 2, dtype=torch.float64, generator=one) for one in self.generators]
        )
        draws = torch.view_as_complex(draws)
        draws[:, 0] = draws[:, 0].real.to(draws)
        return draws * self.stirred


def land_mask(sphere: Sphere) -> torch.Tensor:
    """1 over land, shape (latitude, longitude): two continents."""
    longitude = torch.deg2rad(torch.from_numpy(sphere.longitude))
    return (torch.sin(2 * longitude) * sphere.cosine > LAND_THRESHOLD).double()


def hills(sphere: Sphere, shift: float = 0.0) -> torch.Tensor:
    """Height of the ground in metres, (latitude, longitude): Gaussian hills, moved east by some radians."""
    latitude = torch.asin(sphere.mu)[:, None]
    longitude = torch.deg2rad(torch.from_numpy(sphere.longitude))
    ground = torch.zeros(len(sphere.mu), sphere.longitudes, dtype=torch.float64)
    for north, east, width, height in HILLS:
        apart = (
            torch.cos(latitude) * torch.cos(latitude.new_tensor(north)) * torch.cos(longitude - east - shift)
        )
        cosine = apart + torch.sin(latitude) * torch.sin(latitude.new_tensor(north))
        ground += height * torch.exp(-(torch.acos(cosine.clamp(-1, 1)) / width).square())
    return ground
