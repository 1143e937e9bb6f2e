"""Whether ray tracing works on this machine, found out in a child process.

Dr.Jit compiles for the processor with a shared libLLVM. A version that is too old does not raise: it aborts
the process that asks it (LLVM 15 does so in the radio map solver), so nothing is traced here before a child
has traced a small map and lived.
"""

import subprocess
import sys
from functools import cache

from tsbench.contracts import InputError

VARIANTS = ("cuda_ad_mono_polarized", "llvm_ad_mono_polarized")
"""Mitsuba's, the better first: a GPU is used where there is one."""
PROBE_SECONDS = 300
PROBE = """
import sys
import mitsuba
mitsuba.set_variant(sys.argv[1])
import numpy
from sionna import rt
scene = rt.load_scene()
scene.tx_array = scene.rx_array = rt.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization="V")
scene.add(rt.Transmitter("transmitter", position=[0.0, 0.0, 10.0]))
point, plane = mitsuba.Point3f, mitsuba.Point2f
made = rt.RadioMapSolver()(
    scene, center=point(0, 0, 1.5), orientation=point(0, 0, 0), size=plane(40, 40), cell_size=plane(10, 10),
    samples_per_tx=10_000, max_depth=1,
)
assert numpy.array(made.path_gain).max() > 0
"""


@cache
def usable_variant() -> str | None:
    """The variant of Mitsuba with which a map was traced in a child process, or None."""
    for variant in VARIANTS:
        command = [sys.executable, "-c", PROBE, variant]
        try:
            done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            return variant
    return None


def require_variant(instead: str) -> str:
    """The variant of Mitsuba to use.

    Args:
        instead: what serves where nothing can be traced, for the message.

    Raises:
        InputError: where neither a GPU nor a usable libLLVM is found, with what to install.
    """
    variant = usable_variant()
    if variant is None:
        raise InputError(
            "Rays cannot be traced here: install a shared libLLVM of version 17 or newer (Debian: apt-get "
            f"install libllvm19; elsewhere name it in DRJIT_LIBLLVM_PATH). Without it, {instead}"
        )
    return variant
