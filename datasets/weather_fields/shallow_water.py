"""Shallow water on the rotating sphere: spectral, RK4, with implicit ∇⁴ damping.

Form and test cases: Williamson, Drake, Hack, Jakob and Swarztrauber, "A standard test set for numerical
approximations to the shallow water equations in spherical geometry", J. Comput. Phys. 102 (1992). States are
batches of members, coefficients in complex128.
"""

from dataclasses import dataclass

import torch

from .sphere import Sphere

ROTATION, GRAVITY, DEPTH = 7.292e-5, 9.80616, 1.0e4
"""Rotation of the planet in 1/s, gravity in m/s², mean depth of the layer in m."""
DAMPING_SECONDS = 4 * 3600.0
"""Time in which the smallest scale falls by a factor e."""


@dataclass
class State:
    """Coefficients of some members, each shape (member, m, l).

    Attributes:
        geopotential: of the depth of the layer, Φ = g h, in m²/s².
        vorticity, divergence: of the wind, in 1/s.
    """

    geopotential: torch.Tensor
    vorticity: torch.Tensor
    divergence: torch.Tensor

    def plus(self, other: "State", factor: float) -> "State":
        """The state plus a multiple of another one."""
        return State(
            self.geopotential + factor * other.geopotential,
            self.vorticity + factor * other.vorticity,
            self.divergence + factor * other.divergence,
        )


class ShallowWater:
    """∂ζ = −∇·((ζ+f) v), ∂δ = k·∇×((ζ+f) v) − ∇²(Φ + Φ_s + |v|²/2), ∂Φ = −∇·(Φ v).

    Args:
        sphere: the grid.
        step: seconds.
        surface: coefficients of the geopotential of the ground, shape (member, m, l); None: flat.
        damping: whether small scales of ζ and δ are damped.
    """

    def __init__(
        self, sphere: Sphere, step: float, surface: torch.Tensor | None = None, damping: bool = True
    ) -> None:
        self.sphere, self.step = sphere, step
        self.coriolis = 2 * ROTATION * sphere.mu[:, None]  # (latitude, 1)
        self.surface_force = 0.0 if surface is None else -sphere.laplacian * surface
        scale = sphere.degree * (sphere.degree + 1)
        rate = (scale / scale[-1]).square() / DAMPING_SECONDS
        self.damped = 1 / (1 + step * rate) if damping else torch.ones_like(rate)

    def tendency(self, state: State) -> State:
        """Time derivatives, before damping."""
        sphere = self.sphere
        east, north = sphere.winds(state.vorticity, state.divergence)
        geopotential, vorticity = sphere.to_grid(torch.stack([state.geopotential, state.vorticity]))
        absolute = vorticity + self.coriolis
        # Both vector fields in one transform: absolute vorticity and geopotential times the wind.
        carried = torch.stack([absolute, geopotential])
        divergence, curl = sphere.divergence_and_curl(carried * east, carried * north)
        energy = (east.square() + north.square()) / (2 * sphere.cosine.square())
        head = sphere.from_grid(geopotential + energy)
        return State(
            -divergence[1],
            -divergence[0],
            curl[0] - sphere.laplacian * head + self.surface_force,
        )

    def advance(self, state: State) -> State:
        """One step of the classical Runge-Kutta method, then damping."""
        step = self.step
        first = self.tendency(state)
        second = self.tendency(state.plus(first, step / 2))
        third = self.tendency(state.plus(second, step / 2))
        fourth = self.tendency(state.plus(third, step))
        new = state.plus(first, step / 6).plus(second, step / 3).plus(third, step / 3).plus(fourth, step / 6)
        return State(new.geopotential, new.vorticity * self.damped, new.divergence * self.damped)

    def balanced(self, vorticity: torch.Tensor) -> State:
        """The state of that vorticity without divergence whose divergence does not begin to grow."""
        sphere, still = self.sphere, torch.zeros_like(vorticity)
        east, north = sphere.winds(vorticity, still)
        absolute = sphere.to_grid(vorticity) + self.coriolis
        _, curl = sphere.divergence_and_curl(absolute * east, absolute * north)
        energy = (east.square() + north.square()) / (2 * sphere.cosine.square())
        geopotential = (curl + self.surface_force) * sphere.inverse_laplacian - sphere.from_grid(energy)
        geopotential[..., 0, 0] = GRAVITY * DEPTH * (4 * torch.pi) ** 0.5
        return State(geopotential, vorticity, still)

    def mass(self, state: State) -> torch.Tensor:
        """Mean geopotential of each member, shape (member,)."""
        return state.geopotential[..., 0, 0].real / (4 * torch.pi) ** 0.5

    def energy(self, state: State) -> torch.Tensor:
        """Mean of Φ |v|² / 2 + Φ² / 2 over a flat ground, shape (member,)."""
        east, north = self.sphere.winds(state.vorticity, state.divergence)
        geopotential = self.sphere.to_grid(state.geopotential)
        kinetic = (east.square() + north.square()) / (2 * self.sphere.cosine.square())
        return self.sphere.mean(geopotential * kinetic + geopotential.square() / 2)


def random_vorticity(sphere: Sphere, generator: torch.Generator, fastest: float = 30.0) -> torch.Tensor:
    """Random vorticity of large eddies (l = 2 … 10, most at 5), scaled to a fastest wind in m/s; (m, l)."""
    degree = sphere.degree
    size = torch.exp(-0.5 * ((degree - 5) / 2).square()) * ((degree >= 2) & (degree <= 10))
    draws = torch.randn(len(degree), len(degree), dtype=torch.complex128, generator=generator)
    draws[0] = draws[0].real.to(draws)
    vorticity = draws * size * sphere.kept
    east, north = sphere.winds(vorticity, torch.zeros_like(vorticity))
    wind = (east.square() + north.square()).sqrt() / sphere.cosine
    return vorticity * (fastest / wind.max())
