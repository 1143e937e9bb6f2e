"""Simulates flights: reference tracks, and a drone that follows them against gusts.

Half of the flights follow a circle, a lemniscate of Gerono or a circle with a vertical wave; the other half a
smooth curve through random waypoints, slowed until speed and acceleration are ones that a drone can fly.
"""

from collections.abc import Callable

import numpy as np

from .flight import INTERVAL, Flight

SUBSTEPS = 5
STEP = INTERVAL / SUBSTEPS
SECONDS = 40.0
"""Of a flight along a closed curve; the most of one through waypoints."""
FREQUENCY, DAMPING = 5.0, 0.9
"""Of the drone's response to a reference, rad/s and 1."""
MOST_ACCELERATION, DRAG = 12.0, 0.1
GUST, GUST_SECONDS = 0.3, 1.0
"""Spread of the gusts' acceleration in m/s², and the time over which they last."""
RADIUS, LATERAL = (1.0, 12.0), 8.0
"""Of closed curves, m, and their largest acceleration, m/s²: speed is at most √(8 · radius)."""
TOP_SPEED = 8.0
TILT = 0.6
WAYPOINTS, HORIZONTAL, VERTICAL = 8, 6.0, 1.5
"""Number of waypoints; spread of the steps between them in m."""
CRUISE = 3.0
"""Speed in m/s by which the time between two waypoints is chosen first."""
SPEED_LIMIT, ACCELERATION_LIMIT = 10.0, 10.0
CURVES = ("circle", "lemniscate", "wave")
Reference = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Position, velocity and acceleration every 20 ms, each shape (substep, 3)."""


def simulate(count: int, seed: np.random.SeedSequence) -> list[Flight]:
    """Flights by turns along a closed curve and through waypoints.

    The first flights of a longer list are those of a shorter one. Each flight has a random stream of its own.
    """
    makers: dict[str, Callable[[np.random.Generator], Reference]] = {
        **{name: _curve(name) for name in CURVES},
        "waypoints": waypoint_reference,
    }
    flights = []
    for number, child in enumerate(seed.spawn(count)):
        random = np.random.default_rng(child)
        kind = "waypoints" if number % 2 else CURVES[number // 2 % len(CURVES)]
        # Counted by kind of maker: parts go by the last digit, and every part gets every kind.
        own = number // 2 if number % 2 else number // (2 * len(CURVES))
        flights.append(Flight(f"{kind}_{own}", kind, own, fly(makers[kind](random), random)))
    return flights


def fly(reference: Reference, random: np.random.Generator) -> np.ndarray:
    """Positions every 0.1 s of a drone that follows a reference.

    a = a_ref + 2 ζ ω (v_ref − v) + ω² (p_ref − p), each axis at most 12 m/s², plus gusts (Ornstein–Uhlenbeck)
    less drag; semi-implicit Euler steps of 20 ms.

    Returns:
        Metres, shape (time, 3).
    """
    wanted, speed, push = reference
    keep = np.exp(-STEP / GUST_SECONDS)
    draws = random.standard_normal((len(wanted), 3)) * GUST * np.sqrt(1 - keep**2)
    gust = random.standard_normal(3) * GUST
    position, velocity = wanted[0].copy(), speed[0].copy()
    track = np.empty_like(wanted)
    for now in range(len(wanted)):
        track[now] = position
        control = push[now] + 2 * DAMPING * FREQUENCY * (speed[now] - velocity)
        control = np.clip(
            control + FREQUENCY**2 * (wanted[now] - position), -MOST_ACCELERATION, MOST_ACCELERATION
        )
        gust = keep * gust + draws[now]
        velocity = velocity + STEP * (control + gust - DRAG * velocity)
        position = position + STEP * velocity
    return track[::SUBSTEPS]


def waypoint_reference(random: np.random.Generator) -> Reference:
    """A quintic spline through random waypoints, its time stretched to the limits of the drone."""
    from scipy.interpolate import make_interp_spline

    steps = random.standard_normal((WAYPOINTS - 1, 3)) * [HORIZONTAL, HORIZONTAL, VERTICAL]
    points = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])  # (waypoint, axis)
    points += np.array([0.0, 0.0, 12.0])
    lengths = np.linalg.norm(steps, axis=1)
    knots = np.concatenate([[0.0], np.cumsum(np.maximum(lengths / CRUISE, 1.0))])
    spline = make_interp_spline(knots, points, k=5)
    fine = np.linspace(0, knots[-1], 5000)  # with the end, where curves overshoot most
    speed = np.linalg.norm(spline(fine, 1), axis=1).max()
    push = np.linalg.norm(spline(fine, 2), axis=1).max()
    stretch = max(1.0, speed / SPEED_LIMIT, np.sqrt(push / ACCELERATION_LIMIT))
    time = np.arange(0, min(knots[-1] * stretch, SECONDS), STEP) / stretch
    return spline(time), spline(time, 1) / stretch, spline(time, 2) / stretch**2


def _curve(kind: str) -> Callable[[np.random.Generator], Reference]:
    return lambda random: curve_reference(kind, random)


def curve_reference(kind: str, random: np.random.Generator) -> Reference:
    """A closed curve of random radius, speed, place, yaw and tilt.

    The phase runs so that the top speed is the one that was drawn; derivatives are those of the formulas.
    """
    radius = random.uniform(*RADIUS)
    speed = random.uniform(0.3, 1.0) * min(TOP_SPEED, np.sqrt(LATERAL * radius))
    wave, turns = (random.uniform(0.05, 0.2) * radius, 3) if kind == "wave" else (0.0, 1)
    shape = np.array([[1.0, 1], [1.0, 1], [wave / radius, turns]])  # (axis, amplitude and harmonic)
    offset = np.array([np.pi / 2, 0.0, 0.0])  # cos, sin, sin
    if kind == "lemniscate":
        shape[1] = [0.5, 2]  # sin · cos
    steepest = np.linalg.norm(shape[:, 0] * shape[:, 1])
    rate = speed / (radius * steepest)  # rad/s
    phase = random.uniform(0, 2 * np.pi) + rate * np.arange(0, SECONDS, STEP)
    angle = shape[:, 1] * phase[:, None] + offset  # (substep, axis)
    amplitude, frequency = radius * shape[:, 0], rate * shape[:, 1]
    turn = _rotation(random.uniform(0, 2 * np.pi), random.uniform(-TILT, TILT))
    centre = random.uniform([-10, -10, 5], [10, 10, 20])
    return (
        amplitude * np.sin(angle) @ turn.T + centre,
        amplitude * frequency * np.cos(angle) @ turn.T,
        -amplitude * frequency**2 * np.sin(angle) @ turn.T,
    )


def _rotation(yaw: float, tilt: float) -> np.ndarray:
    """About z by `yaw` after about x by `tilt`, both in radians."""
    about_z = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    return about_z @ about_x
