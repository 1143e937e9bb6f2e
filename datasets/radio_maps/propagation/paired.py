"""Two maps from one set of rays: of a transmitter with an isotropic antenna, and with its own.

Rays leave a transmitter in the same directions whatever its antenna is; only the field that they carry
differs. Sionna RT carries two fields along a ray, meant for two polarisations, and adds them where a ray
crosses the map. Here the second field belongs to the other antenna, and each has a map of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .antenna import Pattern

ISOTROPIC = "iso"


def paired_array(pattern: Pattern) -> Any:
    """An array of Sionna RT of one place whose two patterns are the isotropic one and this one."""
    from sionna import rt
    from sionna.rt.antenna_pattern import antenna_pattern_registry

    name = f"tsbench-{ISOTROPIC}-and-{pattern}"
    single = [single_array(one).antenna_pattern.patterns[0] for one in (ISOTROPIC, pattern)]

    class Both(rt.AntennaPattern):
        def __init__(self, **_: Any) -> None:
            super().__init__()
            self.patterns = single

    if name not in antenna_pattern_registry.list():
        rt.register_antenna_pattern(name, Both)
    return rt.PlanarArray(num_rows=1, num_cols=1, pattern=name, polarization="V")


def single_array(pattern: Pattern) -> Any:
    """An array of Sionna RT with one vertically polarised element."""
    from sionna import rt

    return rt.PlanarArray(num_rows=1, num_cols=1, pattern=pattern, polarization="V")


@contextmanager
def separate_maps() -> Iterator[None]:
    """While it lasts, the solver keeps a map for each of two patterns: (pattern × transmitter, y, x)."""
    import drjit
    import mitsuba
    from sionna.rt.radio_map_solvers import radio_map_solver

    single = radio_map_solver.PlanarRadioMap

    class SeparateMaps(single):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            transmitters, *plane = self._pathgain_map.shape
            self._pathgain_map = drjit.zeros(mitsuba.TensorXf, (2 * transmitters, *plane))
            self._pairs, self._first_cell = transmitters * self.cells_count, 0

        def add_paths(self, e_fields: Any, array_w: Any, *args: Any, **named: Any) -> None:
            for number, (field, weight) in enumerate(zip(e_fields, array_w, strict=True)):
                self._first_cell = number * self._pairs
                super().add_paths([field], [weight], *args, **named)

        def _local_to_cell_ind(self, p_local: Any) -> Any:
            return super()._local_to_cell_ind(p_local) + self._first_cell

    radio_map_solver.PlanarRadioMap = SeparateMaps
    try:
        yield
    finally:
        radio_map_solver.PlanarRadioMap = single
