"""Models of the energy of base stations: what the station is worth, masks, cells without order, refusals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.batch import Batch
from tsbench.data.panel.arrays import PanelArrays
from tsbench.data.panel.data import PanelData
from tsbench.data.prepare import prepare
from tsbench.data.store import open_store, read_provenance
from tsbench.jobs.source import find_model
from tsbench.models.energy_boosting.model import EnergyBoosting
from tsbench.models.energy_boosting.model import Hyperparameters as BoostingHyperparameters
from tsbench.models.energy_fingerprint.model import EnergyFingerprint, Hyperparameters
from tsbench.models.energy_mlp.model import EnergyMLP
from tsbench.models.energy_physical.model import EnergyPhysical
from tsbench.models.site_linear.model import SiteLinear
from tsbench.models.site_mean.model import SiteMean
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource
from tsbench.training.weights import load_weights, save_weights

SMALL = {"width": 16, "layers": 1, "heads": 2, "inner": 32, "dropout": 0.0}
WITHOUT_SITE = [EnergyMLP, EnergyBoosting, EnergyPhysical]
QUICK = TrainingSettings(batch_size=64, epochs=2, patience=0, learning_rate=3e-3, optimiser="adamw")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny network: its store and provenance."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TSBENCH_DATA", str(tmp_path_factory.mktemp("stores")))
    path = prepare("base_station_energy", size="tiny")
    patch.undo()
    return open_store(path), read_provenance(path)


@pytest.fixture
def opened(tiny):
    """Opens a task on the tiny network: `opened("hours")`."""

    def open_(name: str = "hours", change=lambda store: store) -> PanelData:
        store, provenance = tiny
        task = registry.task(f"energy-{name}")
        return PanelData.of(task, PanelArrays("base_station_energy", change(store), task.panel), provenance)

    return open_


def made(kind, shape, **chosen):
    return build(kind, shape, kind.Hyperparameters(**chosen), seed=0)


def source_of(model, data: PanelData, settings: TrainingSettings = QUICK) -> TaskSource:
    return TaskSource(data, 1, seed=0, settings=settings, uses=model.uses)


def sample_of(data: PanelData, model, count: int = 50) -> Batch:
    cases = data.windows("test", 1).using("target", *model.uses)
    return cases.gather(torch.arange(min(count, len(cases))))


def error(model, data: PanelData) -> float:
    """MAPE over the test part."""
    model.eval()
    batch = sample_of(data, model, 10**6)
    with torch.inference_mode():
        forecast = model.predict(batch).values
    return float(100 * ((forecast - batch["target"]).abs() / batch["target"]).mean())


@pytest.mark.parametrize("chosen", [{}, {"attention": "gate"}, {"cell_index": True}])
def test_empty_places_for_cells_do_not_matter(opened, chosen):  # energy_fingerprint, must show 4
    data = opened()
    model = made(EnergyFingerprint, data.shape(1), **SMALL, **chosen).eval()
    batch = sample_of(data, model)
    filled = torch.where(batch["entity_mask"][..., None], batch["entity"], 7.0)

    assert not bool(batch["entity_mask"].all())
    torch.testing.assert_close(model(batch.replace(entity=filled)), model(batch), atol=1e-6, rtol=0)


def test_cells_have_no_order_unless_they_know_their_place(opened):  # energy_fingerprint, must show 3
    data = opened()
    for kind, chosen, same in (
        (EnergyFingerprint, SMALL, True),
        (EnergyFingerprint, SMALL | {"cell_index": True}, False),
        (EnergyPhysical, {}, True),
    ):
        model = made(kind, data.shape(1), **chosen)
        if kind is EnergyPhysical:
            model.fit(source_of(model, data))
        model.eval()
        batch = sample_of(data, model)
        order = torch.tensor([2, 0, 3, 1])
        turned = batch.replace(entity=batch["entity"][:, order], entity_mask=batch["entity_mask"][:, order])
        apart = float((model.predict(turned).values - model.predict(batch).values).detach().abs().max())
        assert (apart < 1e-6 * float(batch["target"].max())) is same


def test_an_unknown_station_is_the_hidden_one(opened):
    data = opened("stations")
    model = made(EnergyFingerprint, data.shape(1), **SMALL)
    model.fit(source_of(model, data, replace(QUICK, epochs=1)))
    model.eval()
    batch = sample_of(data, model)

    hidden = batch.replace(categorical=torch.zeros_like(batch["categorical"]))
    beyond = batch.replace(categorical=torch.full_like(batch["categorical"], 10_000))

    assert torch.equal(model(batch), model(hidden))
    assert torch.equal(model(beyond), model(hidden))
    known = source_of(model, data).train.gather(torch.arange(20))
    assert not torch.equal(
        model(known), model(known.replace(categorical=torch.zeros(20, 1, dtype=torch.int64)))
    )


def test_as_many_stations_are_hidden_in_training_as_asked_for_and_none_in_a_forecast(opened):
    data = opened()
    model = made(EnergyFingerprint, data.shape(1), **SMALL, mask=0.3)
    model.fit(source_of(model, data, replace(QUICK, epochs=1)))
    batch = {"categorical": torch.ones(20_000, 1, dtype=torch.int64)}

    model.train()
    assert float((model.stations(batch) == 0).float().mean()) == pytest.approx(0.3, abs=0.015)
    model.eval()
    assert bool((model.stations(batch) == 1).all())


def test_without_the_site_no_station_is_told_from_another(opened):
    data = opened()
    model = made(EnergyFingerprint, data.shape(1), **SMALL, site=False)
    model.fit(source_of(model, data, replace(QUICK, epochs=1)))
    model.eval()
    batch = sample_of(data, model)

    other = batch.replace(categorical=(batch["categorical"] + 3) % 24)
    assert torch.equal(model(batch), model(other))


@pytest.mark.parametrize(
    ("kind", "chosen"),
    [(SiteMean, {}), (SiteLinear, {}), (EnergyFingerprint, SMALL | {"mask": 0.0})],
)
def test_an_unknown_station_is_refused_in_one_line_where_none_was_hidden(opened, kind, chosen):
    known, unseen = opened("hours"), opened("stations")
    model = made(kind, known.shape(1), **chosen)
    wanted = source_of(model, unseen)

    with pytest.raises(InputError, match=r"knows no station \d+: it was not in the training part") as refused:
        model.fit(wanted)  # its validation stations are unseen too
    assert "\n" not in str(refused.value)


def test_an_untrained_embedding_may_be_asked_for(opened):
    data = opened("stations")
    model = made(EnergyFingerprint, data.shape(1), **SMALL, mask=0.0, unseen="untrained")
    before = model.bs_embed.weight.detach().clone()
    model.fit(source_of(model, data, replace(QUICK, epochs=1)))

    unseen = sample_of(data, model)["categorical"].unique()
    assert torch.equal(model.bs_embed.weight[unseen], before[unseen])
    assert bool(model.eval()(sample_of(data, model)).isfinite().all())


def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(opened):
    data = opened()
    for kind, chosen in (
        (EnergyFingerprint, SMALL),
        (EnergyFingerprint, SMALL | {"attention": "gate"}),
        (EnergyMLP, {}),
    ):
        model = made(kind, data.shape(1), **chosen).eval()
        batch = sample_of(data, model, 8)
        alone = torch.cat([model(batch.take(torch.tensor([one]))) for one in range(8)])
        torch.testing.assert_close(model(batch), alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [*WITHOUT_SITE, SiteMean, SiteLinear])
def test_weights_are_all_that_a_model_learns(opened, kind, tmp_path):
    data = opened()
    model = made(kind, data.shape(1))
    model.fit(source_of(model, data))
    save_weights(model, tmp_path / "weights.safetensors")
    again = made(kind, data.shape(1))
    load_weights(again, tmp_path / "weights.safetensors")
    batch = sample_of(data, model)

    forecasts = [one.eval().predict(batch).values for one in (model, again)]
    assert torch.equal(*forecasts)


def test_names_of_the_weights(opened):  # energy_fingerprint, state_dict keys
    names = set(made(EnergyFingerprint, opened().shape(1)).state_dict())

    assert {"bs_embed.weight", "cell_num.weight", "ru_embed.weight", "mode_embed.weight"} <= names
    assert {"time_proj.weight", "head.0.weight", "head.2.weight", "head.4.weight"} <= names
    assert {f"encoder.layers.{layer}.self_attn.in_proj_weight" for layer in (0, 1)} <= names
    gate = made(EnergyFingerprint, opened().shape(1), attention="gate")
    assert sum(one.numel() for one in gate.parameters()) == pytest.approx(0.12e6, rel=0.15)


def test_numbers_are_scaled_by_the_training_part_and_shares_are_left(opened):
    data = opened()
    model = made(EnergyMLP, data.shape(1))
    model.fit(source_of(model, data, replace(QUICK, epochs=1)))
    batches = list(source_of(model, data).train.batches(10**6))
    cells = batches[0]["entity"][batches[0]["entity_mask"]].double().numpy()
    names = list(data.shape(1).entity_features)

    for name in ("load", "ESMode1", "Bandwidth", "TXpower"):
        column, place = names.index(name), model.numbers.index(names.index(name))
        values = cells[:, column]
        shares = name in ("load", "ESMode1")
        wanted = (0.0, 1.0) if shares else (values.mean(), values.std())
        assert float(model.mean[place]) == pytest.approx(wanted[0], rel=1e-5)
        assert float(model.deviation[place]) == pytest.approx(wanted[1], rel=1e-4)
    assert float(model.energy_scale) == pytest.approx(float(batches[0]["target"].median()), rel=1e-6)


def test_the_loss_is_the_relative_error_and_leaves_energies_of_zero_out(opened):
    data = opened()
    model = made(EnergyMLP, data.shape(1)).eval()
    batch = sample_of(data, model, 10)
    target = batch["target"].clone()
    target[3] = 0
    batch = batch.replace(target=target)
    forecast = model(batch).detach()
    kept = torch.arange(10) != 3

    wanted = ((forecast - target).abs() / target)[kept]
    assert float(model.loss(batch)) == pytest.approx(float(wanted.mean()), rel=1e-6)
    assert float(model.loss(batch, "sum")) == pytest.approx(float(wanted.sum()), rel=1e-6)
    assert int(model.terms(batch)) == 9
    logarithmic = made(EnergyMLP, data.shape(1), loss="log_huber").eval()
    difference = (logarithmic(batch).detach().log() - target.log())[kept].abs()
    huber = torch.where(difference < 1, difference.square() / 2, difference - 0.5).mean()
    assert float(logarithmic.loss(batch)) == pytest.approx(float(huber), rel=1e-5)


def test_embeddings_do_not_decay(opened):
    model = made(EnergyFingerprint, opened().shape(1), **SMALL)
    model.settings = TrainingSettings(optimiser="adamw", weight_decay=0.1)
    groups = model.configure_optimizers().param_groups

    decays = {id(one): group["weight_decay"] for group in groups for one in group["params"]}
    assert len(decays) == len(list(model.parameters()))
    assert decays[id(model.bs_embed.weight)] == decays[id(model.ru_embed.weight)] == 0
    assert decays[id(model.cell_num.weight)] == 0.1


def test_lines_of_stations_are_those_of_scikit_learn(opened):
    data = opened()
    model, mean = made(SiteLinear, data.shape(1)), made(SiteMean, data.shape(1))
    model.fit(source_of(model, data))
    mean.fit(source_of(mean, data))
    train = next(iter(source_of(model, data).train.batches(10**6)))
    load = (train["entity"][..., 0] * train["entity_mask"]).sum(dim=1).double().numpy()
    energy, code = train["target"].flatten().double().numpy(), train["categorical"][:, 0].numpy()
    batch = sample_of(data, model, 10**6)
    now = (batch["entity"][..., 0] * batch["entity_mask"]).sum(dim=1).double().numpy()

    for station in (1, 7, 24):
        rows, asked = code == station, batch["categorical"][:, 0].numpy() == station
        wanted = LinearRegression().fit(load[rows, None], energy[rows]).predict(now[asked, None])
        np.testing.assert_allclose(model.predict(batch).values[asked].flatten(), wanted, rtol=1e-5)
        np.testing.assert_allclose(
            mean.predict(batch).values[asked].flatten(), energy[rows].mean(), rtol=1e-6
        )


def test_a_station_whose_load_never_varies_gets_its_mean(opened):
    def still(store):
        cells = store["cells"].copy()
        cells[dict(sample=store["station"].values == "B_3", feature=0)] *= 0
        return store.assign(cells=cells)

    data = opened("hours", still)
    model = made(SiteLinear, data.shape(1))
    model.fit(source_of(model, data))
    batch = sample_of(data, model, 10**6)
    asked = batch["categorical"][:, 0] == 4
    train = next(iter(source_of(model, data).train.batches(10**6)))
    mean = float(train["target"][train["categorical"][:, 0] == 4].double().mean())

    assert model.predict(batch).values[asked].flatten().tolist() == pytest.approx(
        [mean] * int(asked.sum()), rel=1e-6
    )


def test_the_power_model_finds_its_own_coefficients(opened):
    """On energies that are made by its formula, with types that differ, it is exact."""
    data = opened()
    model = made(EnergyPhysical, data.shape(1), ridge=1e-12)
    random = torch.Generator().manual_seed(0)
    truth = torch.rand(len(model.coefficients), generator=random, dtype=torch.float64)
    cases = data.windows("train", 1).using(*model.uses)
    with torch.no_grad():
        model.coefficients.copy_(truth)

    def planted(store):
        every = PanelArrays("made", store, data.task.panel)
        whole = PanelData.of(data.task, every, data.provenance)
        rows = replace(cases, arrays=every, rows=torch.arange(len(store["energy"])), scored=whole)
        batch = rows.gather(torch.arange(len(rows)))
        return store.assign(energy=("sample", (model.inputs(batch) @ truth).numpy()))

    changed = opened("hours", planted)
    fitted = made(EnergyPhysical, data.shape(1), ridge=1e-12)
    fitted.fit(source_of(fitted, changed))

    assert error(fitted, changed) < 0.01


def test_a_type_of_radio_unit_that_nobody_trained_on_has_the_shared_coefficients(opened):
    data = opened()
    model = made(EnergyPhysical, data.shape(1))
    model.fit(source_of(model, data))
    batch = sample_of(data, model)
    place = data.shape(1).entity_features.index("RUType")
    entity = batch["entity"].clone()
    entity[..., place] = 0  # the code of an unknown type

    assert float(model.coefficients[1 + model.terms : 1 + 2 * model.terms].abs().max()) == 0
    forecast = model.predict(batch.replace(entity=entity)).values
    assert float(((forecast - batch["target"]).abs() / batch["target"]).mean()) < 1.0


def test_trees_beat_the_mean_of_all_and_know_no_station(opened):
    data = opened()
    model = build(EnergyBoosting, data.shape(1), BoostingHyperparameters(leaf_rows=20), seed=0)
    report = model.fit(source_of(model, data))
    batch = sample_of(data, model, 10**6)
    train = next(iter(source_of(model, data).train.batches(10**6)))
    constant = 100 * float(((train["target"].median() - batch["target"]).abs() / batch["target"]).mean())

    assert error(model, data) < 0.7 * constant
    assert report.detail["trees"] == int(model.trees.sum()) > 1
    assert "categorical" not in model.uses


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask": 1.0}, "mask must be from 0 to below 1"),
        ({"dropout": -0.1}, "dropout must be from 0 to below 1"),
        ({"heads": 3}, "heads must divide width"),
        ({"layers": 0}, "layers must be at least 1"),
        ({"site_penalty": -1.0}, "site_penalty must not be negative"),
    ],
)
def test_wrong_hyperparameters_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Hyperparameters(**given)


@pytest.mark.parametrize(
    "kind", [EnergyFingerprint, EnergyMLP, EnergyBoosting, EnergyPhysical, SiteMean, SiteLinear]
)
def test_tasks_without_cells_or_stations_are_refused(opened, kind):
    shape = replace(opened().shape(1), entity_features=(), entity_categories={}, sizes={}, categories={})

    with pytest.raises(InputError, match="task|needs"):
        build(kind, shape, kind.Hyperparameters(), seed=0)


def test_boosted_trees_and_power_model_refuse_wrong_settings():
    for kind, given in (
        (BoostingHyperparameters, {"rounds": 0}),
        (BoostingHyperparameters, {"leaves": 1}),
        (EnergyPhysical.Hyperparameters, {"ridge": 0.0}),
    ):
        with pytest.raises(ValueError, match="must be"):
            kind(**given)


def card_fit(name: str, data: PanelData, epochs: int, **chosen):
    """A fit with the settings of the card, for fewer epochs."""
    source = find_model(name)
    settings = source.card.settings_for(data.task.name)
    kind = source.load()
    model = build(
        kind, data.shape(1), fill(kind.Hyperparameters, {**settings.hyperparameters, **chosen}, name), 0
    )
    training = fill(TrainingSettings, {**settings.training, "epochs": epochs}, name)
    model.fit(TaskSource(data, 1, seed=0, settings=training, uses=model.uses))
    return model


@pytest.mark.slow
def test_knowing_the_station_halves_the_error(stores):  # energy_fingerprint, must show 1
    stores("base_station_energy")
    data = PanelData.open(registry.task("energy-hours"))
    floor = data.arrays.opened.attrs["mape_without_station_hours"]
    with_site = error(card_fit("energy_fingerprint", data, epochs=8), data)
    without = error(card_fit("energy_fingerprint", data, epochs=8, site=False), data)

    assert with_site < 0.5 * without
    # Nobody without the station is better than what the generator leaves, nor is one with it than the noise.
    assert without > 0.95 * floor
    assert with_site > data.arrays.opened.attrs["mape_of_noise_hours"]


@pytest.mark.slow
def test_hidden_stations_in_training_help_with_unseen_ones(stores):  # energy_fingerprint, must show 2
    stores("base_station_energy")
    data = PanelData.open(registry.task("energy-stations"))
    masked = error(card_fit("energy_fingerprint", data, epochs=8), data)
    untrained = error(card_fit("energy_fingerprint", data, epochs=8, mask=0.0, unseen="untrained"), data)
    without = error(card_fit("energy_fingerprint", data, epochs=8, site=False), data)

    assert masked < untrained
    assert masked < 1.05 * without
