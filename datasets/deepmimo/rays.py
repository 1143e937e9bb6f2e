"""Channels as sums over rays: h(t, f) = Σ_p √P_p exp(j(φ_p + 2π ν_p t − 2π f τ_p)) a(departure of p).

Alkhateeb (2019), eq. 2, with the Doppler shift ν_p = v · u_p / λ of a user that moves with the velocity v,
where the unit vector u_p points to where the ray comes from: going towards it raises the frequency.
"""

from dataclasses import dataclass, replace

import numpy as np

LIGHT = 299_792_458.0


@dataclass(frozen=True)
class Rays:
    """Rays from a base station to users; where a user has fewer than others, the power of the rest is 0.

    Attributes:
        power: linear, any unit, float64, shape (user, path).
        phase: at the carrier, radians, same shape.
        delay: seconds, same shape.
        departure: unit vectors from the base station, shape (user, path, 3).
        arrival: unit vectors from the user to where the ray comes from, shape (user, path, 3).
    """

    power: np.ndarray
    phase: np.ndarray
    delay: np.ndarray
    departure: np.ndarray
    arrival: np.ndarray

    def take(self, users: np.ndarray) -> "Rays":
        """The rays of some users."""
        return Rays(*(one[users] for one in vars(self).values()))


def direction(azimuth: np.ndarray, zenith: np.ndarray) -> np.ndarray:
    """Unit vectors (…, 3) of angles in degrees: azimuth from +x towards +y, zenith from +z."""
    azimuth, zenith = np.deg2rad(azimuth), np.deg2rad(zenith)
    return np.stack(
        [np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)], axis=-1
    )


def panel(rows: int, columns: int) -> np.ndarray:
    """Places of the antennas of a panel in the plane of y and z, in wavelengths, shape (antenna, 3)."""
    place = [(0.0, column / 2, row / 2) for row in range(rows) for column in range(columns)]
    return np.array(place)


def responses(
    rays: Rays,
    antennas: np.ndarray,
    velocity: np.ndarray,
    times: np.ndarray,
    frequencies: np.ndarray,
    wavelength: float,
) -> np.ndarray:
    """Frequency responses of users.

    Args:
        rays: of the users.
        antennas: places in wavelengths, shape (antenna, 3).
        velocity: of each user, m/s, shape (user, 3).
        times: of the snapshots, s, shape (time,).
        frequencies: relative to the carrier, Hz, shape (subcarrier,).
        wavelength: of the carrier, m.

    Returns:
        complex128, shape (user, antenna, time, subcarrier).
    """
    amplitude = np.sqrt(rays.power) * np.exp(1j * rays.phase)  # (user, path)
    shift = np.einsum("upc,uc->up", rays.arrival, velocity) / wavelength
    steering = np.exp(2j * np.pi * rays.departure @ antennas.T)  # (user, path, antenna)
    turning = np.exp(2j * np.pi * shift[..., None] * times)  # (user, path, time)
    wave = np.exp(-2j * np.pi * rays.delay[..., None] * frequencies)  # (user, path, subcarrier)
    path = (
        amplitude[..., None, None] * steering[..., None] * turning[:, :, None]
    )  # (user, path, antenna, time)
    users, paths, antenna, time = path.shape
    flat = path.reshape(users, paths, antenna * time).transpose(0, 2, 1) @ wave
    return flat.reshape(users, antenna, time, -1)


def synchronised(rays: Rays) -> Rays:
    """The same rays with delays that count from each user's first, as a receiver's clock does."""
    first = np.where(rays.power > 0, rays.delay, np.inf).min(axis=1, keepdims=True)
    return replace(rays, delay=np.where(rays.power > 0, rays.delay - first, 0.0))


def delay_spread(rays: Rays) -> np.ndarray:
    """Root-mean-square delay spread of each user, s, shape (user,)."""
    share = rays.power / rays.power.sum(axis=1, keepdims=True)
    mean = (share * rays.delay).sum(axis=1, keepdims=True)
    return np.sqrt((share * (rays.delay - mean) ** 2).sum(axis=1))
