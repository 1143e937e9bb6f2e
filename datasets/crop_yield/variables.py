"""The 31 weekly weather variables of NASA POWER in VITA's order, and how the generator makes each.

Names and order: VITA (arXiv 2508.03589, code Neehan/VITA). Centres, spreads, seasons and loadings are ours;
they say what such a variable roughly is in the Corn Belt, and nothing about a real place.
"""

from dataclasses import dataclass

FACTORS = ("warmth", "rain", "sun", "soil", "dryness")
"""Latent factors of the generator. `soil` and `dryness` drive yields and load mainly on variables that yield
data do not have."""


@dataclass(frozen=True)
class Variable:
    """A weather variable of the generator.

    Attributes:
        name: of NASA POWER.
        unit: of its values.
        centre, spread: value = centre + spread · (climatology + anomaly).
        latitude: of the climatology, for each 5 degrees north of 42.
        season: amplitude of the climatology's sine.
        peak: week in which it is highest.
        loadings: of the anomaly, on each of `FACTORS`.
        floor: smallest value, or None.
    """

    name: str
    unit: str
    centre: float
    spread: float
    latitude: float
    season: float
    peak: float
    loadings: tuple[float, float, float, float, float]
    floor: float | None = None


VARIABLES = (
    Variable("T2M", "degC", 11.0, 4.0, -0.9, 3.0, 29, (0.90, -0.10, 0.20, -0.10, 0.10)),
    Variable("T2M_MAX", "degC", 17.0, 4.5, -0.9, 2.9, 29, (0.80, -0.15, 0.30, -0.25, 0.30)),
    Variable("T2M_MIN", "degC", 5.0, 4.0, -0.9, 3.0, 30, (0.80, 0.15, -0.10, 0.20, -0.20)),
    Variable("WD2M", "degree", 200.0, 40.0, 0.1, 0.4, 20, (0.10, 0.30, -0.10, 0.00, 0.30)),
    Variable("WS2M", "m/s", 3.0, 0.6, 0.2, -0.5, 30, (-0.20, 0.30, 0.10, 0.00, 0.40), 0.0),
    Variable("PS", "kPa", 98.0, 0.5, 0.2, -0.3, 30, (-0.20, -0.50, 0.30, 0.10, 0.20)),
    Variable("QV2M", "g/kg", 7.5, 2.0, -0.6, 2.2, 30, (0.50, 0.30, -0.10, 0.40, -0.40), 0.1),
    Variable("PRECTOTCORR", "mm/day", 2.8, 1.1, -0.2, 0.8, 24, (0.05, 0.85, -0.30, 0.25, -0.15), 0.0),
    Variable(
        "ALLSKY_SFC_SW_DWN", "MJ/m2/day", 15.0, 2.5, -0.4, 2.6, 25, (0.15, -0.25, 0.85, -0.10, 0.25), 0.5
    ),
    Variable("EVPTRNS", "MJ/m2/day", 3.0, 1.0, -0.2, 1.8, 28, (0.30, 0.00, 0.20, 0.75, 0.00), 0.0),
    Variable("GWETPROF", "1", 0.55, 0.08, 0.1, -0.6, 32, (0.00, 0.20, 0.00, 0.95, 0.00)),
    Variable("SNODP", "cm", -6.0, 6.0, 0.6, -1.8, 30, (-0.50, 0.15, -0.10, 0.10, 0.00), 0.0),
    Variable("T2MDEW", "degC", 5.0, 4.0, -0.7, 2.7, 30, (0.60, 0.30, -0.10, 0.40, -0.30)),
    Variable("CLOUD_AMT", "%", 55.0, 9.0, 0.3, -0.9, 30, (-0.10, 0.40, -0.80, 0.00, -0.20), 0.0),
    Variable("EVLAND", "mm/day", 1.6, 0.5, -0.2, 1.8, 28, (0.25, 0.10, 0.30, 0.70, 0.00), 0.0),
    Variable("T2MWET", "degC", 8.0, 4.0, -0.8, 2.9, 30, (0.75, 0.15, 0.00, 0.20, -0.20)),
    Variable("FRSNO", "1", -0.2, 0.2, 0.6, -1.8, 30, (-0.50, 0.15, -0.10, 0.00, 0.00), 0.0),
    Variable("ALLSKY_SFC_LW_DWN", "MJ/m2/day", 27.0, 2.0, -0.7, 2.6, 30, (0.70, 0.25, -0.40, 0.15, -0.20)),
    Variable(
        "ALLSKY_SFC_PAR_TOT", "MJ/m2/day", 6.8, 1.1, -0.4, 2.6, 25, (0.10, -0.20, 0.90, 0.00, 0.15), 0.2
    ),
    Variable("ALLSKY_SRF_ALB", "1", 0.2, 0.03, 0.4, -1.2, 30, (-0.40, 0.00, 0.00, -0.35, 0.20)),
    Variable("PW", "cm", 2.0, 0.6, -0.5, 2.0, 30, (0.35, 0.35, -0.10, 0.10, -0.70), 0.05),
    Variable("Z0M", "m", 0.1, 0.02, -0.1, 1.5, 29, (0.10, 0.00, 0.00, 0.60, 0.00), 0.01),
    Variable("RHOA", "kg/m3", 1.2, 0.03, 0.5, -2.4, 29, (-0.80, 0.00, -0.10, 0.00, 0.00)),
    Variable("RH2M", "%", 70.0, 6.0, 0.1, -0.3, 20, (-0.20, 0.35, -0.20, 0.30, -0.65)),
    Variable("CDD18_3", "degC d", 1.0, 2.0, -0.6, 1.8, 29, (0.70, 0.00, 0.20, -0.10, 0.35), 0.0),
    Variable("HDD18_3", "degC d", 8.0, 4.0, 0.8, -2.6, 29, (-0.80, 0.05, -0.10, 0.00, 0.00), 0.0),
    Variable("TO3", "DU", 310.0, 14.0, 0.6, 1.0, 14, (-0.10, 0.00, 0.10, 0.00, 0.80)),
    Variable("AOD_55", "1", 0.15, 0.04, -0.1, 1.0, 30, (0.15, -0.20, 0.00, 0.00, 0.80), 0.01),
    Variable("ET0", "mm/day", 3.2, 0.9, -0.3, 2.5, 27, (0.40, -0.20, 0.50, 0.00, 0.50), 0.0),
    Variable("VAP", "kPa", 1.1, 0.3, -0.6, 2.2, 30, (0.45, 0.35, -0.05, 0.30, -0.35), 0.02),
    Variable("VPD", "kPa", 0.8, 0.25, -0.3, 1.8, 28, (0.45, -0.30, 0.30, -0.20, 0.65), 0.0),
)
NAMES = tuple(one.name for one in VARIABLES)
OBSERVED = ("PRECTOTCORR", "ALLSKY_SFC_SW_DWN", "SNODP", "T2M_MAX", "T2M_MIN", "VAP")
"""Those that yield data have, in the order of the columns W_1 to W_6."""
WEEKS = 52
