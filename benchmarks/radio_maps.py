"""Maps per minute of our ray tracing, beside Sionna RT called map by map in the plain way.

    python benchmarks/radio_maps.py [--scenes 4] [--transmitters 3] [--rays 1000000] [--out FILE.json]

Each transmitter has two maps, as Geo2SigMap needs them: with an isotropic antenna and with a sector antenna.
The plain way is that of Sionna's documentation and of Geo2SigMap: for each map the scene's files are loaded
(one mesh a building), one transmitter is added, the solver is called once. Writing the files is not counted.
Ours builds a scene in memory once for its transmitters, keeps compiled kernels valid from scene to scene,
fills both maps from the same rays and tests the line of sight instead of sampling it. Both follow the same
number of rays over the same interactions, in turns, after a scene of another seed has warmed both up.
`beside` also times a friendlier plain form that loads a scene once for all of its maps. Errors are against
eight times the rays, over outdoor cells that these reach, so that speed is not bought with noise.
Writes JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

MATERIALS = {"ground": "wet_ground", "buildings": "marble"}
REFERENCE = 8
"""Times the rays."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--transmitters", type=int, default=3, help="a scene; each has two maps")
    parser.add_argument("--rays", type=int, default=1_000_000, help="a transmitter")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/radio_maps.json"))
    arguments = parser.parse_args()
    measured = measure(arguments.scenes, arguments.transmitters, arguments.rays)
    print(json.dumps(measured, indent=1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=1))


def measure(scenes: int, transmitters: int, rays: int) -> dict:
    from tsbench.datasets.radio_maps.draw import Cell, draw_scene
    from tsbench.datasets.radio_maps.propagation import raytracing
    from tsbench.datasets.radio_maps.propagation.maps import Grid, Propagation

    grid, propagation = Grid(64, 4), Propagation(3.64e9, rays=rays)
    asked = {"cells": grid.cells, "cell": grid.cell, "heights": grid.heights, "transmitters": transmitters}
    cell = Cell("benchmark", "grid", 3640.0, "tr38901", 25.0)
    seconds = {"ours": [], "plain": [], "plain_scene_kept": []}
    errors = {"ours": [], "plain": []}
    for number in range(scenes + 1):
        scene, placed = draw_scene(f"benchmark/{number}", cell, asked, number)
        maps = [antenna for one in placed for antenna in (one.isotropic(), one)]
        with tempfile.TemporaryDirectory() as folder:
            file = write_files(scene, Path(folder))
            spent = {}
            start = time.perf_counter()
            plain = np.stack([plain_maps(file, [one], grid, propagation)[0] for one in maps])
            spent["plain"] = time.perf_counter() - start
            start = time.perf_counter()
            plain_maps(file, maps, grid, propagation)
            spent["plain_scene_kept"] = time.perf_counter() - start
            start = time.perf_counter()
            ours = raytracing.pairs_of_gains(scene, placed, grid, propagation)[:, :, 0]
            spent["ours"] = time.perf_counter() - start
            if number == scenes:
                errors = against_reference(file, scene, maps[0], grid, propagation, ours[0, 0], plain[0])
        if number:
            for name, one in spent.items():
                seconds[name].append(one / len(maps))
    middle = {name: statistics.median(one) for name, one in seconds.items()}
    total = {name: sum(one) / len(one) for name, one in seconds.items()}
    return {
        "maps": 2 * scenes * transmitters,
        "rays_a_map": rays,
        "seconds_a_map": total,
        "median_seconds_a_map": middle,
        "maps_per_minute": {name: 60 / one for name, one in total.items()},
        "ratio_to_plain": total["plain"] / total["ours"],
        "beside": {"ratio_to_plain_with_the_scene_kept": total["plain_scene_kept"] / total["ours"]},
        "error_db": errors,
    }


def write_files(scene, folder: Path) -> Path:
    """The scene as Geo2SigMap writes it: an XML file, and a PLY file for each building."""
    import trimesh

    from tsbench.datasets.radio_maps.scenes.scene import building_mesh, ground_mesh

    meshes = {"ground": ground_mesh(scene)} | {
        f"building_{number}": building_mesh(one) for number, one in enumerate(scene.buildings)
    }
    lines = ['<scene version="2.1.0">']
    for name, itu in MATERIALS.items():
        lines.append(
            f'<bsdf type="itu-radio-material" id="{name}-surface"><string name="type" value="{itu}"/>'
            '<float name="thickness" value="0.1"/></bsdf>'
        )
    for name, (vertices, faces) in meshes.items():
        trimesh.Trimesh(vertices, faces, process=False).export(folder / f"{name}.ply")
        material = "ground" if name == "ground" else "buildings"
        lines.append(
            f'<shape type="ply" id="mesh-{name}"><string name="filename" value="{name}.ply"/>'
            f'<boolean name="face_normals" value="true"/><ref id="{material}-surface" name="bsdf"/></shape>'
        )
    file = folder / "scene.xml"
    file.write_text("\n".join([*lines, "</scene>"]))
    return file


def plain_maps(file: Path, transmitters, grid, propagation) -> list[np.ndarray]:
    """Load the scene, then one call of the solver for each transmitter; dB, shape (y, x), row 0 north."""
    import mitsuba

    from tsbench.datasets.radio_maps.propagation.llvm import require_variant
    from tsbench.datasets.radio_maps.propagation.maps import in_decibels

    mitsuba.set_variant(require_variant("nothing is measured"))
    from sionna import rt

    scene = rt.load_scene(str(file))
    scene.frequency = propagation.frequency
    scene.rx_array = rt.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization="V")
    found = []
    for one in transmitters:
        scene.tx_array = rt.PlanarArray(num_rows=1, num_cols=1, pattern=one.pattern, polarization="V")
        turned = [float(np.deg2rad(one.azimuth)), float(np.deg2rad(one.downtilt)), 0.0]
        scene.add(rt.Transmitter("transmitter", one.position.tolist(), orientation=turned))
        made = rt.RadioMapSolver()(
            scene,
            center=mitsuba.Point3f(0, 0, grid.heights[0]),
            orientation=mitsuba.Point3f(0, 0, 0),
            size=mitsuba.Point2f(grid.size, grid.size),
            cell_size=mitsuba.Point2f(grid.cell, grid.cell),
            samples_per_tx=propagation.rays,
            max_depth=propagation.depth,
            refraction=False,
            diffraction=True,
        )
        found.append(in_decibels(np.array(made.path_gain)[0, ::-1]))
        scene.remove("transmitter")
    return found


def against_reference(file: Path, scene, transmitter, grid, propagation, ours, plain) -> dict:
    """Root mean square and median absolute error in dB, and the share of cells that a map missed."""
    from tsbench.datasets.radio_maps.propagation.maps import NO_SIGNAL
    from tsbench.datasets.radio_maps.scenes.scene import cell_heights, fine_heights

    more = replace(propagation, rays=REFERENCE * propagation.rays)
    truth = plain_maps(file, [transmitter], grid, more)[0]
    counted = grid.outdoor(cell_heights(fine_heights(scene), grid.cell))[0] & (truth > NO_SIGNAL)
    found = {}
    for name, one in (("ours", ours), ("plain", plain)):
        missed = one[counted] <= NO_SIGNAL
        error = (one - truth)[counted][~missed]
        found[name] = {
            "rmse": float(np.sqrt(np.mean(np.square(error)))),
            "median": float(np.median(np.abs(error))),
            "missed_share": float(missed.mean()),
        }
    return found


if __name__ == "__main__":
    main()
