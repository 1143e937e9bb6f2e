"""Maps by ray tracing with Sionna RT (Hoydis et al., arXiv 2303.11103): reflection, diffraction, sight.

A scene is built in memory, with all buildings as one mesh, and serves all transmitters. What an earlier scene
left is collected first: Dr.Jit numbers the materials and shapes that are alive and compiles these numbers
into its kernels, so that a scene beside the remains of another one has to be compiled anew. The line of sight
is not sampled: each cell is tested at 4 × 4 points, exactly and at no cost beside the rays.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from tsbench.contracts import InputError
from tsbench.radio.path_loss import LIGHT

from ..scenes.scene import Scene, buildings_mesh, cell_heights, fine_heights, ground_mesh
from .antenna import Transmitter, antenna_gain
from .llvm import require_variant
from .maps import Arrivals, Grid, Propagation, in_decibels, require_outdoors
from .paired import ISOTROPIC, paired_array, separate_maps, single_array

BUILDING, GROUND = "marble", "wet_ground"
"""Materials of ITU-R P.2040, as in Geo2SigMap."""
FREQUENCIES = (1e9, 10e9)
"""Hz between which ITU-R P.2040 gives both materials."""
THICKNESS = 0.1
"""Of walls in metres; nothing passes through them here."""
SUB_POINTS = 4
"""Points along each edge of a cell at which the line of sight is tested."""
RAYS_A_CALL = 1_000_000
"""Rays that are followed at once; more need memory and are no faster."""
RECEIVERS_A_CALL = 512
ARRIVAL_RAYS = 5_000
"""Directions from which paths to receivers are found."""
INSTEAD = "the analytic generator serves: the data sets whose name ends with -analytic"


def version() -> str:
    """Name and version of the generator, for the attributes of a store."""
    from importlib.metadata import version as installed

    return f"Sionna RT {installed('sionna-rt')}"


def path_gains(
    scene: Scene, transmitters: Sequence[Transmitter], grid: Grid, propagation: Propagation
) -> np.ndarray:
    """Gain from each transmitter, its antenna included, averaged over the cells of a grid.

    Args:
        scene: with its buildings.
        transmitters: in the scene.
        grid: of receivers.
        propagation: frequency, reflections, rays.

    Returns:
        dB, shape (transmitter, z, y, x), float32; NO_SIGNAL where no path was found, and indoors.

    Raises:
        InputError: where no ray can be traced on this machine, or a transmitter is inside a building or
            outside the area.
    """
    return _gains(scene, transmitters, grid, propagation, paired=False)[0]


def pairs_of_gains(
    scene: Scene, transmitters: Sequence[Transmitter], grid: Grid, propagation: Propagation
) -> np.ndarray:
    """Gains with isotropic antennas, and with the transmitters' own, from the same rays.

    Returns:
        dB, shape (2, transmitter, z, y, x), float32; else as `path_gains`.

    Raises:
        InputError: as for `path_gains`.
    """
    return _gains(scene, transmitters, grid, propagation, paired=True)


def arrivals(scene: Scene, transmitter: Transmitter, grid: Grid, propagation: Propagation) -> Arrivals:
    """Delay of the first and direction of the strongest path to the centre of each outdoor cell.

    Raises:
        InputError: as for `path_gains`.
    """
    fine = fine_heights(scene)
    require_outdoors(scene, fine, transmitter)
    outdoor = grid.outdoor(cell_heights(fine, grid.cell))
    tracer = Tracer.of(scene, propagation)
    tracer.place([transmitter])
    receivers, found = grid.points()[outdoor], np.full((3, *outdoor.shape), np.nan, np.float32)
    chunks = [
        tracer.paths_to(receivers[start : start + RECEIVERS_A_CALL])
        for start in range(0, len(receivers), RECEIVERS_A_CALL)
    ]
    if chunks:
        found[:, outdoor] = np.concatenate(chunks, axis=1)
    return Arrivals(delay=found[0], azimuth=found[1], zenith=found[2])


@dataclass
class Tracer:
    """A scene of Sionna RT with what is needed to trace it.

    Attributes:
        scene: of Sionna RT.
        propagation: frequency, reflections, rays.
        placed: transmitters that are in it.
        paired: whether each is followed with an isotropic antenna too.
    """

    scene: Any
    propagation: Propagation
    placed: int = 0
    paired: bool = False

    @classmethod
    def of(cls, scene: Scene, propagation: Propagation) -> "Tracer":
        """Build the meshes of a scene.

        Raises:
            InputError: where no ray can be traced on this machine, or the frequency is out of range.
        """
        low, high = FREQUENCIES
        if not low <= propagation.frequency <= high:
            raise InputError(
                f"The materials are defined from {low / 1e9:g} to {high / 1e9:g} GHz, not at "
                f"{propagation.frequency / 1e9:g} GHz"
            )
        variant = require_variant(INSTEAD)
        import mitsuba

        if mitsuba.variant() != variant:
            mitsuba.set_variant(variant)
        from sionna import rt

        gc.collect()
        built = rt.load_scene()
        built.frequency = propagation.frequency
        surfaces = [("ground", GROUND, ground_mesh(scene))]
        if scene.buildings:
            surfaces.append(("buildings", BUILDING, buildings_mesh(scene)))
        # Materials and objects share one name space.
        built.edit(
            add=[
                rt.SceneObject(
                    mi_mesh=_mesh(name, *mesh),
                    name=name,
                    radio_material=rt.ITURadioMaterial(f"{name}-{itu}", itu, thickness=THICKNESS),
                )
                for name, itu, mesh in surfaces
            ]
        )
        built.rx_array = single_array("iso")
        return cls(built, propagation)

    def place(self, transmitters: Sequence[Transmitter], paired: bool = False) -> None:
        """Put transmitters that share a pattern into the scene, in place of those that are there.

        Args:
            transmitters: one at least.
            paired: whether each is followed with an isotropic antenna too.
        """
        from sionna import rt

        for name in list(self.scene.transmitters):
            self.scene.remove(name)
        pattern = transmitters[0].pattern
        self.scene.tx_array = paired_array(pattern) if paired else single_array(pattern)
        for number, one in enumerate(transmitters):
            turned = np.array([np.deg2rad(one.azimuth), np.deg2rad(one.downtilt), 0.0])
            self.scene.add(
                rt.Transmitter(
                    f"transmitter-{number:04d}", _variable(one.position), orientation=_variable(turned)
                )
            )
        self.placed, self.paired = len(transmitters), paired

    def bounced(self, grid: Grid, height: float) -> np.ndarray:
        """Linear gain by reflection and diffraction, (1 or 2 antennas, transmitter, y, x), row 0 north."""
        import mitsuba
        from sionna import rt

        antennas = 2 if self.paired else 1
        weights = [mitsuba.TensorXf(np.full((self.placed, antennas), one, np.float32)) for one in (1.0, 0.0)]
        with separate_maps() if self.paired else nullcontext():
            traced = rt.RadioMapSolver()(
                self.scene,
                center=mitsuba.Point3f(0, 0, height),
                orientation=mitsuba.Point3f(0, 0, 0),
                size=mitsuba.Point2f(grid.size, grid.size),
                cell_size=mitsuba.Point2f(grid.cell, grid.cell),
                precoding_vec=(weights[0], weights[1]),
                samples_per_tx=self.propagation.rays,
                max_depth=self.propagation.depth,
                los=False,
                refraction=False,
                diffraction=self.propagation.depth > 0,
                seed=self.propagation.seed,
            )
        gain = np.array(traced.path_gain, np.float64)[:, ::-1]
        return gain.reshape(antennas, self.placed, grid.cells, grid.cells)

    def line_of_sight(self, antennas: Sequence[Transmitter], grid: Grid, height: float) -> np.ndarray:
        """Linear gain of the direct wave, mean over each cell, for antennas in one place, (antenna, y, x)."""
        count = grid.cells * SUB_POINTS
        step = grid.size / count
        offsets = (np.arange(count) + 0.5) * step - grid.size / 2
        x, y = np.meshgrid(offsets, -offsets)
        points = np.stack([x, y, np.full_like(x, height)], axis=-1)  # (y, x, 3)
        distance = np.linalg.norm(points - antennas[0].position, axis=-1)
        gain = np.square(LIGHT / self.propagation.frequency / (4 * np.pi * distance))
        gain *= self._in_sight(antennas[0].position, points.reshape(-1, 3)).reshape(gain.shape)
        gains = np.stack([gain * 10 ** (antenna_gain(one, points) / 10) for one in antennas])
        shape = (len(antennas), grid.cells, SUB_POINTS, grid.cells, SUB_POINTS)
        return gains.reshape(shape).mean(axis=(2, 4))

    def paths_to(self, receivers: np.ndarray) -> np.ndarray:
        """Delay in ns of the first path, azimuth and zenith in degrees of the strongest, (3, receiver)."""
        from sionna import rt

        names = [f"receiver-{number:05d}" for number in range(len(receivers))]
        for name, position in zip(names, receivers, strict=True):
            self.scene.add(rt.Receiver(name, _variable(position)))
        traced = rt.PathSolver()(
            self.scene,
            max_depth=self.propagation.depth,
            samples_per_src=ARRIVAL_RAYS,
            refraction=False,
            diffraction=self.propagation.depth > 0,
            seed=self.propagation.seed,
        )
        for name in names:
            self.scene.remove(name)
        valid = np.array(traced.valid)[:, 0]  # (receiver, path)
        if valid.shape[1] == 0:
            return np.full((3, len(receivers)), np.nan)
        real, imaginary = (np.array(part)[:, 0, 0, 0] for part in traced.a)
        power = np.where(valid, np.square(real) + np.square(imaginary), -1.0)
        strongest = power.argmax(axis=1)[:, None]
        delay = np.where(valid, np.array(traced.tau)[:, 0], np.inf).min(axis=1) * 1e9
        angles = [
            np.take_along_axis(np.rad2deg(np.array(angle)[:, 0]), strongest, axis=1)[:, 0]
            for angle in (traced.phi_r, traced.theta_r)
        ]
        return np.where(valid.any(axis=1), np.stack([delay, *angles]), np.nan)

    def _in_sight(self, source: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Whether nothing stands between a source and each of the points, shape (point,)."""
        import drjit
        import mitsuba

        along: Any = mitsuba.Vector3f(
            *(mitsuba.Float(axis.astype(np.float32)) for axis in (points - source).T)
        )
        distance: Any = drjit.norm(along)
        ray: Any = mitsuba.Ray3f(_variable(source), along / distance)
        ray.maxt = distance * (1 - 1e-5)
        return ~np.array(self.scene.mi_scene.ray_test(ray), bool)


def _gains(
    scene: Scene, transmitters: Sequence[Transmitter], grid: Grid, propagation: Propagation, paired: bool
) -> np.ndarray:
    """Gains in dB, (1, transmitter, z, y, x); paired: (2, …), the first with isotropic antennas."""
    fine = fine_heights(scene)
    for transmitter in transmitters:
        require_outdoors(scene, fine, transmitter)
    outdoor = grid.outdoor(cell_heights(fine, grid.cell))
    tracer = Tracer.of(scene, propagation)
    gains = np.zeros((1 + paired, len(transmitters), *outdoor.shape))
    for numbers in _alike(transmitters, max(1, RAYS_A_CALL // propagation.rays)):
        chosen = [transmitters[number] for number in numbers]
        tracer.place(chosen, paired and chosen[0].pattern != ISOTROPIC)
        for level, height in enumerate(grid.heights):
            gains[:, numbers, level] = tracer.bounced(grid, height)
            for number, own in zip(numbers, chosen, strict=True):
                antennas = [own.isotropic(), own] if paired else [own]
                gains[:, number, level] += tracer.line_of_sight(antennas, grid, height)
    return in_decibels(gains * outdoor)


def _alike(transmitters: Sequence[Transmitter], most: int) -> Iterator[list[int]]:
    """Numbers of transmitters with one pattern, at most so many together: all of a call share an array."""
    for pattern in dict.fromkeys(one.pattern for one in transmitters):
        numbers = [number for number, one in enumerate(transmitters) if one.pattern == pattern]
        for start in range(0, len(numbers), most):
            yield numbers[start : start + most]


def _variable(numbers: np.ndarray) -> Any:
    """Three numbers for Sionna RT that are no constants of its kernels: new ones need no new kernel."""
    import drjit
    import mitsuba

    return mitsuba.Point3f(*(drjit.opaque(mitsuba.Float, float(one)) for one in numbers))


def _mesh(name: str, vertices: np.ndarray, faces: np.ndarray) -> Any:
    import mitsuba

    mesh = mitsuba.Mesh(name, len(vertices), len(faces))
    parameters = mitsuba.traverse(mesh)
    parameters["vertex_positions"] = np.ravel(vertices).astype(np.float32)
    parameters["faces"] = np.ravel(faces).astype(np.uint32)
    parameters.update()
    return mesh
