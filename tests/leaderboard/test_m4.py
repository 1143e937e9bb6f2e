"""The overall weighted average of the M4 competition, on its published totals and from Results."""

import pytest

from tsbench.contracts import InputError
from tsbench.leaderboard.collect import collect, read_pool
from tsbench.leaderboard.m4 import overall_weighted_average, owa_table

# Makridakis, Spiliotis and Assimakopoulos (2020), table 4, all 100,000 series: sMAPE, MASE, OWA.
NAIVE2 = (13.564, 1.912)
PUBLISHED = {
    "Smyl": (11.374, 1.536, 0.821),
    "Montero-Manso et al.": (11.720, 1.551, 0.838),
    "Theta": (12.309, 1.696, 0.897),
    "Comb": (12.555, 1.663, 0.898),
    "Naive 2": (*NAIVE2, 1.0),
}
SERIES = {"yearly-6": 300, "weekly-13": 10, "daily-14": 90}
GROUPS = {"yearly": ("yearly-6",), "others": ("weekly-13", "daily-14")}
ERRORS = {  # (sMAPE, MASE) on the three tasks
    "naive2": [(16.0, 4.0), (9.0, 2.8), (3.0, 3.2)],
    "theta": [(14.0, 3.0), (9.0, 2.6), (3.2, 3.1)],
}


@pytest.mark.parametrize("method", PUBLISHED)
def test_published_totals_give_the_published_average(method):
    smape, mase, owa = PUBLISHED[method]

    assert float(overall_weighted_average(smape, mase, *NAIVE2)) == pytest.approx(owa, abs=6e-4)


@pytest.fixture
def collected(make, bench):
    """A collection of Results with the errors above; `without` leaves pairs of model and task out."""

    def run(*without: tuple[str, str], metrics: tuple[str, ...] = ("smape", "mase")):
        bench.tasks = [make.task(name, metrics=list(metrics), primary="smape") for name in SERIES]
        bench.models, bench.seeds = list(ERRORS), [0]
        folders = []
        for model, errors in ERRORS.items():
            for task, pair in zip(bench.tasks, errors, strict=True):
                if (model, task.name) in without:
                    continue
                scores = {name: {"regular": one} for name, one in zip(metrics, pair, strict=False)}
                changes = {"scores": scores, "scenarios": {"regular": 1}, "cases": SERIES[task.name]}
                folders.append(bench.save(model, task, 0, **changes))
        suite = bench.suite.model_copy(update={"conditions": ("regular",)})
        return collect(suite, read_pool(folders), bench.declared)

    return run


def test_ratios_are_taken_after_grouping_and_tasks_weigh_as_many_as_their_series(collected):
    table = owa_table(collected(), GROUPS).set_index(["entry", "group"])

    others = table.loc[("theta", "others")]
    smape, mase = (9.0 * 10 + 3.2 * 90) / 100, (2.6 * 10 + 3.1 * 90) / 100
    naive2 = (9.0 * 10 + 3.0 * 90) / 100, (2.8 * 10 + 3.2 * 90) / 100
    assert (others["smape"], others["mase"]) == pytest.approx((smape, mase))
    assert others["owa"] == pytest.approx((smape / naive2[0] + mase / naive2[1]) / 2)
    average = table.loc[("theta", "average")]
    assert average["smape"] == pytest.approx((14.0 * 300 + 9.0 * 10 + 3.2 * 90) / 400)
    assert table.loc[("theta", "yearly")]["owa"] == pytest.approx((14 / 16 + 3 / 4) / 2)
    assert table.xs("naive2", level="entry")["owa"].tolist() == [1.0, 1.0, 1.0]


def test_each_task_is_a_group_by_default(collected):
    table = owa_table(collected())

    assert list(table["group"].unique()) == [*SERIES, "average"]


def test_an_entry_that_lacks_a_task_has_no_average(collected):
    table = owa_table(collected(("theta", "daily-14")), GROUPS).set_index(["entry", "group"])

    assert table.loc[("theta", "yearly")]["owa"] == pytest.approx((14 / 16 + 3 / 4) / 2)
    assert table.loc["theta"]["owa"].isna().tolist() == [False, True, True]


def test_what_is_needed_and_missing_is_named(collected):
    with pytest.raises(InputError, match="OWA needs Results of snaive on the tasks of synthetic"):
        owa_table(collected(), reference="snaive")
    with pytest.raises(InputError, match="OWA of others needs Results of naive2 on weekly-13, daily-14"):
        owa_table(collected(("naive2", "weekly-13")), GROUPS)
    with pytest.raises(InputError, match="OWA of hourly: there is no Result on hourly-48"):
        owa_table(collected(), {"hourly": ("hourly-48",)})
    with pytest.raises(InputError, match="OWA needs the metric mase, which yearly-6 does not have"):
        owa_table(collected(metrics=("smape",)))
