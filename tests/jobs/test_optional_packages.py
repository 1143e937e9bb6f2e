"""Models that compute with optional packages: recorded, asked for where missing, and honest about what they replaced."""

import sys
from collections import Counter

import pytest

from tsbench.contracts import Forecast, InputError
from tsbench.extras import require
from tsbench.jobs.job import Options, resolve, versions
from tsbench.jobs.run import Conduct, run

QUICK = Options(context=48, threads=1, hyperparameters={"rounds": 5, "rows": 2000, "windows": 100})
REPLACING = '''
from collections import Counter

from tsbench.contracts import Forecast


class Replacing:
    """The last value; every window that ends above 0 counts as replaced."""

    fits, uses = "series", frozenset({"context"})

    def __init__(self, shape, hyperparameters=None):
        self.shape, self.fallbacks = shape, Counter()

    def predict(self, batch, *, realizations=None, generator=None):
        last = batch["context"][:, -1:]
        self.fallbacks["ValueError: it ends above 0"] += int((last[:, 0, 0] > 0).sum())
        return Forecast(last.expand(-1, self.shape.horizon, -1))
'''


def test_versions_of_the_packages_of_a_model_are_recorded_and_those_of_others_are_not(
    waves_at_hand, wave_task
):
    (found,) = run("lightgbm_lags", wave_task(), options=QUICK, conduct=Conduct(track=False))

    assert found.result.provenance.versions == versions(("lightgbm",))
    assert "lightgbm" in versions(("lightgbm",)).keys() - versions().keys()
    assert versions(("no-such-package",)) == versions()


def test_another_version_of_an_optional_package_is_another_run_folder(waves_at_hand, wave_task, monkeypatch):
    from tsbench.jobs import job

    before = resolve("lightgbm_lags", wave_task(), 0, QUICK).key
    other = resolve("linear", wave_task(), 0, Options(context=48)).key
    known = job.versions
    monkeypatch.setattr(
        job, "versions", lambda further=(): known() | dict.fromkeys(further, "another version")
    )

    assert resolve("lightgbm_lags", wave_task(), 0, QUICK).key != before
    assert resolve("linear", wave_task(), 0, Options(context=48)).key == other


def test_fitted_trees_are_evaluated_without_a_second_fit(waves_at_hand, wave_task, monkeypatch):
    from tsbench.models.lightgbm_lags.model import LightGBMLags

    conduct = Conduct(track=False)
    run("lightgbm_lags", wave_task(), options=QUICK, conduct=conduct, stage="fit")
    monkeypatch.setattr(LightGBMLags, "fit", lambda *_: pytest.fail("it was fitted again"))

    (found,) = run("lightgbm_lags", wave_task(), options=QUICK, conduct=conduct, stage="eval")

    assert found.result.model.weights
    assert found.result.model.parameters > 0
    assert found.result.cost["predict"].flops is None
    assert found.result.cost["fit"].flops is None
    assert found.result.track.learning == "fitted"


def test_what_a_model_replaced_is_told_in_one_line_and_kept_in_the_cost(waves_at_hand, wave_task, tmp_path):
    path, said = tmp_path / "replacing.py", []
    path.write_text(REPLACING)
    conduct = Conduct(track=False, say=said.append)

    (found,) = run(f"{path}:Replacing", wave_task(), options=Options(context=24, threads=1), conduct=conduct)
    (plain,) = run("last_value", wave_task(), options=Options(context=24, threads=1), conduct=conduct)

    number = found.result.cost["predict"].detail["fallbacks"]
    assert 0 < number < found.result.cases
    (line,) = [line for line in said if line.startswith("Warning")]
    assert f"{number:.0f} series got a simpler forecast than the model's own" in line
    assert "ValueError: it ends above 0" in line
    assert "fallbacks" not in plain.result.cost["predict"].detail


@pytest.mark.parametrize(("model", "package"), [("auto_ets", "statsforecast"), ("lightgbm_lags", "lightgbm")])
def test_without_the_extra_a_run_is_refused_with_the_command_that_installs_it(
    waves_at_hand, wave_task, monkeypatch, model, package
):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(InputError, match=rf'needs the package {package}: pip install "tsbench\[baselines\]"'):
        run(model, wave_task(), options=Options(threads=1), conduct=Conduct(track=False))


def test_a_damaged_installation_shows_itself_as_such(monkeypatch, tmp_path):
    (tmp_path / "halfpackage").mkdir()
    (tmp_path / "halfpackage" / "__init__.py").write_text("import no_such_module_of_it")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="no_such_module_of_it"):
        require("halfpackage", extra="baselines", user="a model")


def test_counts_of_a_model_are_those_of_its_scored_forecasts_alone(open_waves):
    from tsbench.evaluation.evaluate import evaluate
    from tsbench.models.last_value.model import LastValue

    class EveryOne(LastValue):
        """Counts each sample that it forecasts."""

        fallbacks = Counter({"an earlier call": 5})

        def predict(self, batch, *, realizations=None, generator=None) -> Forecast:
            self.fallbacks["each"] += len(batch["context"])
            return super().predict(batch)

    data = open_waves()

    found = evaluate(
        EveryOne(data.shape(24)), {data.task.dataset: data}, data.task, data.task.scenarios(), 24
    )

    assert found.fallbacks == {"each": found.cases}  # the pictures' examples are forecast once more
