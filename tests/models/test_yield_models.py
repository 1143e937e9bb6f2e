"""Baselines of yields against their formulas, and the CNN-RNN's structure."""

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError, Provenance, Task, TaskShape
from tsbench.data.panel.arrays import PanelArrays
from tsbench.data.panel.data import PanelData
from tsbench.data.views import View
from tsbench.datasets.crop_yield.simulation import simulate
from tsbench.models.cnn_rnn.model import CnnRnn, soil_columns, soil_convolutions, weather_convolutions
from tsbench.models.cnn_rnn.model import Hyperparameters as OfCnnRnn
from tsbench.models.county_trend.model import CountyTrend
from tsbench.models.last_year.model import LastYear
from tsbench.models.panel_boosting.model import Hyperparameters as OfBoosting
from tsbench.models.panel_boosting.model import PanelBoosting
from tsbench.models.panel_ridge.features import PanelFeatures
from tsbench.models.panel_ridge.model import Hyperparameters as OfRidge
from tsbench.models.panel_ridge.model import PanelRidge
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource
from tsbench.training.weights import count_parameters, load_weights, save_weights

NAMES = ("last_year", "county_trend", "panel_ridge", "panel_boosting", "cnn_rnn", "vita")


@pytest.fixture(scope="module")
def data() -> PanelData:
    """Sixteen simulated counties, 1980 to 1999; the last year is the test year."""
    declared = registry.task("crop-corn-2002-small").model_dump(mode="json")
    declared["split"] |= {"train": [1983, 1996], "validation": [1997, 1998], "test": [1999, 1999]}
    declared["panel"]["held_out"] = {}
    declared["conditions"]["generalisation"] = {"not_applicable": "-"}
    task = Task.model_validate(declared)
    made = Provenance(
        dataset="x", adapter="csv", generator_version=1, parameters={}, size="full", seed=0, files={}
    )
    assert task.panel is not None
    return PanelData.of(task, PanelArrays("x", simulate(16, 2, 1999, 0), task.panel), made)


def source(data: PanelData, model, **settings) -> TaskSource:
    return TaskSource(data, 156, seed=0, uses=model.uses, settings=TrainingSettings(**settings), view=View())


def made(data: PanelData, kind: type, chosen=None):
    return build(kind, data.shape(156), chosen, seed=0)


def everything(data: PanelData, model, part: str = "test"):
    cases = data.windows(part, 156).using("target", *model.uses)
    return cases.gather(torch.arange(len(cases)))


def test_last_year_is_the_yield_of_the_year_before(data):
    model = made(data, LastYear)
    found = data.to_metric_space(model.predict(everything(data, model)).values)
    table = data.arrays.target.reshape(16, 20)
    assert found[:, 0, 0].tolist() == pytest.approx(table[:, 18].tolist(), rel=1e-5)


def test_county_trend_is_least_squares_with_a_level_for_each_county(data):
    model = made(data, CountyTrend)
    report = model.fit(source(data, model))
    batch = everything(data, model)
    found = data.to_metric_space(model.predict(batch).values)[:, 0, 0].numpy()
    years = np.arange(1983, 1997)
    table = data.arrays.target.reshape(16, 20).numpy()[:, 3:17]
    design = np.zeros((16 * 14, 17))
    design[np.arange(16 * 14), np.repeat(np.arange(16), 14)] = 1
    design[:, 16] = np.tile(years, 16)
    solved = np.linalg.lstsq(design, table.reshape(-1), rcond=None)[0]
    np.testing.assert_allclose(found, solved[:16] + solved[16] * 1999, rtol=1e-4)
    assert report.validation_loss > 0
    # A county that nobody trained on: the mean of its two past yields, moved along the trend.
    batch = batch.replace(position=batch["position"] + 1)
    unseen = data.to_metric_space(model.predict(batch).values)[0, 0, 0]
    past = data.arrays.target.reshape(16, 20)[0, 17:19].numpy()
    expected = np.mean([past[0] + 2 * solved[16], past[1] + solved[16]])
    assert float(unseen) == pytest.approx(expected, rel=1e-4)


def test_features_are_means_of_the_own_year_and_what_is_known_of_the_place(data):
    model = made(data, PanelRidge)
    batch = everything(data, model)
    rows = PanelFeatures(data.shape(156), 4, "all")(batch)
    # 3 past yields and their mean, the year, 13 blocks of 6 variables, position, 80 static numbers.
    assert rows.shape == (16, 4 + 1 + 13 * 6 + 2 + 80)
    assert rows[:, 4].unique().tolist() == pytest.approx([-0.1])
    assert rows[0, 5].item() == pytest.approx(batch["context"][0, 104:108, 0].mean().item(), abs=1e-6)
    other = batch.replace(context=torch.cat([batch["context"][:, :104] + 5, batch["context"][:, 104:]], 1))
    assert torch.equal(PanelFeatures(data.shape(156), 4, "all")(other), rows)
    assert PanelFeatures(data.shape(156), 4, "past")(batch).shape == (16, 5)


@pytest.mark.parametrize("reads", ["all", "past"])
def test_ridge_is_sklearns_at_the_chosen_penalty(data, reads):
    from sklearn import linear_model as linear

    model = made(data, PanelRidge, OfRidge(reads=reads))
    report = model.fit(source(data, model))
    rows, target = model.features.gathered(source(data, model).train)
    held, truth = model.features.gathered(source(data, model).validation)
    scaled = ((rows - model.mean) / model.spread).numpy()
    losses = {}
    for penalty in (report.detail["penalty"] / 10, report.detail["penalty"], report.detail["penalty"] * 10):
        other = linear.Ridge(alpha=penalty * len(rows)).fit(scaled, target.numpy())
        told = other.predict(((held - model.mean) / model.spread).numpy())
        losses[penalty] = float(np.mean((told - truth.numpy()) ** 2))
    assert min(losses, key=losses.get) == report.detail["penalty"] or report.detail["penalty"] in (1e-3, 1e4)
    assert losses[report.detail["penalty"]] == pytest.approx(report.validation_loss, rel=1e-6)
    batch = everything(data, model)
    expected = (
        linear.Ridge(alpha=report.detail["penalty"] * len(rows))
        .fit(scaled, target.numpy())
        .predict(((model.features(batch) - model.mean) / model.spread).numpy())
    )
    np.testing.assert_allclose(model.predict(batch).values[:, 0, 0].numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [CountyTrend, PanelRidge, PanelBoosting])
def test_saved_weights_forecast_the_same(data, kind, tmp_path):
    model = made(data, kind)
    model.fit(source(data, model))
    save_weights(model, tmp_path / "weights.safetensors")
    again = made(data, kind)
    load_weights(again, tmp_path / "weights.safetensors")
    batch = everything(data, model)
    torch.testing.assert_close(again.predict(batch).values, model.predict(batch).values)


def test_trees_learn_and_the_seed_decides(data):
    model = made(data, PanelBoosting, OfBoosting(leaf_rows=5))
    report = model.fit(source(data, model))
    assert report.detail["trees"] > 1
    train = everything(data, model, "train")
    error = (model.predict(train).values - train["target"]).square().mean()
    assert float(error) < 0.7 * float(train["target"].var())
    with pytest.raises(ValueError, match="leaves must be at least 2"):
        OfBoosting(leaves=1)


def test_cnn_rnn_has_the_published_widths(data):
    # Published code: 8, 12, 16 and 20 filters of 9, 3, 3 and 3, halved each time: 52 weeks become 20 numbers.
    assert weather_convolutions()(torch.zeros(2, 1, 52)).shape == (2, 20, 1)
    assert soil_convolutions()(torch.zeros(2, 1, 6)).shape == (2, 12, 1)
    model = made(data, CnnRnn)
    convolutions = (8 * 9 + 8) + (12 * 8 * 3 + 12) + (16 * 12 * 3 + 16) + (20 * 16 * 3 + 20)
    soil = (4 * 3 + 4) + (8 * 4 * 3 + 8) + (12 * 8 * 2 + 12)
    merged = (6 * 20 * 40 + 40) + (11 * 12 * 40 + 40)
    recurrent = 4 * 64 * (40 + 40 + 14 + 1 + 64) + 2 * 4 * 64
    assert count_parameters(model) == convolutions + soil + merged + recurrent + 65


def test_cnn_rnn_reads_every_year_every_soil_and_every_past_yield(data):
    model = made(data, CnnRnn).eval()
    batch = everything(data, model)
    whole = model(batch)
    assert whole.shape == (16, 1, 1)
    for name, place in (
        ("context", (slice(None), 3)),
        ("context", (slice(None), 150)),
        ("static", (slice(None), 0)),
        ("static", (slice(None), 79)),
        ("past_covariates", (slice(None), 0)),
    ):
        changed = batch[name].clone()
        changed[place] += 3
        assert not torch.equal(model(batch.replace(**{name: changed})), whole), name


def test_soil_is_told_from_other_columns():
    names = (
        *(f"clay_mean_{depth}cm" for depth in ("0-5", "5-15", "15-30", "30-60", "60-100", "100-200")),
        "P_1",
    )
    assert soil_columns(names) == ([[0, 1, 2, 3, 4, 5]], [6])


def test_cnn_rnn_learns(data):
    model = made(data, CnnRnn, OfCnnRnn())
    chosen = source(data, model, epochs=15, patience=0, learning_rate=3e-3, batch_size=32)
    model.fit(chosen)
    train = everything(data, model, "train")
    error = (model.eval()(train) - train["target"]).square().mean()
    assert float(error) < 0.7 * float(train["target"].var())


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"context": 100}, "whole years"), ({"past_covariates": ()}, "reads the targets of past periods")],
)
def test_cnn_rnn_names_what_it_cannot_read(changes, message):
    common = {"context": 104, "past_covariates": ("corn_yield",)} | changes
    shape = TaskShape(horizon=1, period=52, channels=("VAP",), targets=("corn_yield",), **common)
    with pytest.raises(InputError, match=message):
        CnnRnn(shape)


@pytest.mark.parametrize("kind", [LastYear, CountyTrend])
def test_without_past_yields_there_is_no_baseline(kind):
    with pytest.raises(InputError, match="does not give"):
        kind(TaskShape(52, 1, 52, ("VAP",), ("corn_yield",)))


@pytest.mark.parametrize("name", NAMES)
def test_cards_have_settings_for_yields_and_say_what_is_none(name):
    card = registry.model(name)
    assert card.settings_for(registry.task("crop-corn-2012-small")).context >= 156
    assert card.gap(registry.task("crop-corn-2012-small")) is None
    assert card.gap(registry.task("etth1-96")) is not None
