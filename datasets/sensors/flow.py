"""Flows of people between the regions of a city, by a gravity model with daily and weekly cycles.

People of a region go to work in the morning and home in the evening; how many go where falls with distance
(Wilson 1967, the production-constrained model). What a sensor counts are those who arrive in its region.
"""

from dataclasses import dataclass

import numpy as np

REACH_M = 2500.0
"""Distance over which the share of trips falls by a factor e."""
MORNING, EVENING = (8.0, 1.3), (17.5, 1.8)
"""Hour of the most trips, and its spread in hours."""
LEISURE = (14.0, 4.0)
WEEKEND = {"work": 0.15, "leisure": 1.6}
PERSISTENCE, SPREAD = 0.9, 0.25
"""Of how much people of a region travel: correlation from hour to hour, and spread of its logarithm."""
CITY_PERSISTENCE, CITY_SPREAD = 0.98, 0.15
"""The same of the whole city, as the weather makes it."""
TRIPS = 60.0
"""Mean arrivals in a region and hour."""


@dataclass(frozen=True)
class City:
    """A grid of regions.

    Attributes:
        rows, columns: of regions.
        spacing: metres from centre to centre.
    """

    rows: int
    columns: int
    spacing: float


@dataclass(frozen=True)
class Regions:
    """A drawn city.

    Attributes:
        places: centres of the regions in metres, shape (region, 2).
        to_work: share of each region's (rows) workers who go to each other one, rows sum to 1.
        to_leisure: the same of trips of leisure.
        residents, jobs: of each region, both of mean 1, shape (region,).
    """

    places: np.ndarray
    to_work: np.ndarray
    to_leisure: np.ndarray
    residents: np.ndarray
    jobs: np.ndarray


def draw_city(city: City, random: np.random.Generator) -> Regions:
    """Residents around a few suburbs, jobs around the middle, trips by the gravity model."""
    rows, columns = np.indices((city.rows, city.columns)).reshape(2, -1)
    places = city.spacing * np.stack([columns, rows], axis=1).astype(float)
    size = places.max(axis=0)
    centre, suburbs = size / 2, random.uniform(0, 1, (4, 2)) * size
    jobs = _around(places, centre[None], size.max() / 5, random)
    residents = _around(places, suburbs, size.max() / 4, random)
    attraction = random.lognormal(0, 0.5, len(places))
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    return Regions(
        places, _shares(jobs, distance), _shares(attraction, distance), residents, jobs / jobs.mean()
    )


def draw_flow(city: Regions, hours: int, random: np.random.Generator) -> np.ndarray:
    """Arrivals in each region and hour, whole numbers, shape (time, region); time begins on a Monday.

    Every draw runs forwards in time, so that fewer hours are the beginning of more.
    """
    regions, hour = len(city.places), np.arange(hours)
    weekend = (hour // 24) % 7 >= 5
    work = np.where(weekend, WEEKEND["work"], 1.0)
    leisure = np.where(weekend, WEEKEND["leisure"], 1.0) * _bump(hour % 24, *LEISURE)
    out, home = work * _bump(hour % 24, *MORNING), work * _bump(hour % 24, *EVENING)
    arrivals = np.empty((hours, regions))
    travel, weather = np.zeros(regions), 0.0
    for now in range(hours):
        draws = random.standard_normal(regions + 1)
        travel = PERSISTENCE * travel + np.sqrt(1 - PERSISTENCE**2) * SPREAD * draws[1:]
        weather = CITY_PERSISTENCE * weather + np.sqrt(1 - CITY_PERSISTENCE**2) * CITY_SPREAD * draws[0]
        people = city.residents * np.exp(travel + weather)
        mean = out[now] * people @ city.to_work + home[now] * people * city.to_work.sum(axis=1)
        mean = mean + 0.6 * leisure[now] * people @ city.to_leisure + 0.02 * city.jobs
        arrivals[now] = random.poisson(TRIPS * mean)
    return arrivals


def _around(places: np.ndarray, centres: np.ndarray, width: float, random: np.random.Generator) -> np.ndarray:
    """A mass that falls with the distance from centres, roughened region by region, of mean 1."""
    distance = np.linalg.norm(places[:, None] - centres, axis=-1)  # (region, centre)
    mass = (np.exp(-0.5 * (distance / width) ** 2).sum(axis=1) + 0.1) * random.lognormal(0, 0.3, len(places))
    return mass / mass.mean()


def _shares(attraction: np.ndarray, distance: np.ndarray) -> np.ndarray:
    pull = attraction * np.exp(-distance / REACH_M)
    return pull / pull.sum(axis=1, keepdims=True)


def _bump(hour: np.ndarray, peak: float, spread: float) -> np.ndarray:
    """A peak of height 1 at an hour of the day, the day being a circle."""
    apart = (hour - peak + 12) % 24 - 12
    return np.exp(-0.5 * (apart / spread) ** 2)
