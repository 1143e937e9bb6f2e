"""VECTOR's GRU against the official implementation, and what its sheet asks for."""

import time

import numpy as np
import pytest
import torch

from tsbench import registry
from tsbench.contracts import InputError, TaskShape
from tsbench.data.collection import of_dataset
from tsbench.data.collection_data import CollectionData
from tsbench.data.task_data import TaskData
from tsbench.models.constant_velocity.model import ConstantVelocity
from tsbench.models.vector_gru.model import Hyperparameters, VectorGRU
from tsbench.models.vector_gru.whitening import Moments, from_units, map_of, smoothing_matrix, to_units
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource
from tsbench.training.weights import count_parameters, load_weights, read_tensors

AXES = ("x", "y", "z")
SHAPE = TaskShape(21, 10, 1, AXES, AXES, step="PT0.1S")


def model_of(**chosen) -> VectorGRU:
    return build(VectorGRU, SHAPE, Hyperparameters(**chosen), seed=0).eval()


@pytest.fixture
def official(shared_fixtures):
    """Makes a model with the fixture's weights and whitening, and gives the fixture's tensors."""

    def make(**chosen):
        path = shared_fixtures / "vector_uav.safetensors"
        tensors = read_tensors(path)
        model = model_of(hidden=16, norm="white", **chosen)
        load_weights(model, path)
        model.input_mean.copy_(tensors["input/mean"])
        model.L_matrix.copy_(tensors["input/L"])
        return model, tensors

    return make


def test_the_network_is_the_official_one(official):  # fixtures, `vector_uav`
    model, tensors = official()

    torch.testing.assert_close(model.network(tensors["input/x"]), tensors["output/y"], atol=1e-5, rtol=0)


def test_velocities_are_those_of_the_official_code(official):
    model, tensors = official()
    positions = tensors["input/positions"].float()[None]

    velocity = model._inputs(positions)
    ahead = to_units(model._normalised(positions), model.input_mean, model.L_matrix)

    torch.testing.assert_close(velocity[0].double(), tensors["output/velocity"], atol=1e-4, rtol=0)
    torch.testing.assert_close(ahead[0].double(), tensors["output/predicted_velocity"], atol=1e-5, rtol=0)


def test_the_node_in_flight_reads_the_last_velocity_twice(official):
    """Its first row is the last known position."""
    model, tensors = official(repeat_last=True)
    wanted = tensors["output/predicted_positions_from_velocity"]

    forecast = model({"context": tensors["input/positions"].float()[None]})[0]

    torch.testing.assert_close(forecast.double(), wanted[1:], atol=1e-5, rtol=0)
    torch.testing.assert_close(wanted[0], tensors["input/positions"][-1])


def test_positions_from_positions_are_those_of_the_official_code(official):
    model, tensors = official(reads="position")

    forecast = model({"context": tensors["input/positions"].float()[None]})[0]

    wanted = tensors["output/predicted_positions_by_position_model"]
    torch.testing.assert_close(forecast.double(), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("hidden", "layers", "parameters"), [(64, 2, 88_323), (128, 3, 546_819)])
def test_sizes_are_the_published_ones(hidden, layers, parameters):  # vector_uav, Architecture
    model = model_of(hidden=hidden, layers=layers)

    assert count_parameters(model) == parameters
    assert model.gru1.weight_ih_l0.shape == (3 * hidden, 3)
    assert model.gru2.weight_ih_l0.shape == (3 * hidden, hidden)


def test_a_file_with_the_official_names_loads_strictly(tmp_path):
    from safetensors.torch import save_file

    other = build(VectorGRU, SHAPE, Hyperparameters(), seed=1)
    official = {name: one.contiguous() for name, one in other.named_parameters()}
    save_file(official, tmp_path / "5000_vel_max_norm_64.safetensors")
    save_file(official | {"fc2.bias": torch.zeros(3)}, tmp_path / "wrong.safetensors")
    model = model_of()

    load_weights(model, tmp_path / "5000_vel_max_norm_64.safetensors")

    assert all(torch.equal(one, official[name]) for name, one in model.named_parameters())
    with pytest.raises(InputError, match="unexpected \\['fc2.bias'\\]"):
        load_weights(model, tmp_path / "wrong.safetensors")


@pytest.mark.parametrize("norm", ["max", "white"])
def test_normalisation_and_its_inverse_cancel(norm):  # vector_uav, must show 1
    random = torch.Generator().manual_seed(0)
    mixing = torch.tensor([[2.0, 0, 0], [1, 3, 0], [-1, 0.5, 0.2]], dtype=torch.float64)
    velocities = torch.randn(4, 500, 3, generator=random, dtype=torch.float64) @ mixing.T + 4
    moments = Moments(3)
    for batch in velocities:
        moments.add(batch)

    mean, matrix = map_of(moments, norm)
    normalised = from_units(velocities, mean, matrix)

    assert (to_units(normalised, mean, matrix) - velocities).abs().max() < 1e-6
    rows = normalised.flatten(0, 1).numpy()
    if norm == "white":
        np.testing.assert_allclose(np.cov(rows.T, bias=True), np.eye(3), atol=1e-6)
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-9)
    else:
        assert np.linalg.norm(rows, axis=1).max() == pytest.approx(1.0)


def test_positions_are_the_sums_of_velocities():  # vector_uav, must show 2
    model, context = model_of(), torch.randn(4, 21, 3).cumsum(dim=1)

    forecast = model({"context": context})

    ahead = to_units(model._normalised(context), model.input_mean, model.L_matrix)
    steps = torch.cat([context[:, -1:], forecast], dim=1).diff(dim=1) / 0.1
    torch.testing.assert_close(steps, ahead, atol=1e-3, rtol=0)


def test_a_forecast_from_velocities_follows_the_place_and_one_from_positions_does_not():
    context = torch.randn(4, 21, 3).cumsum(dim=1)
    away = torch.tensor([100.0, -100.0, 50.0])
    by_velocity, by_position = model_of(), model_of(reads="position")

    torch.testing.assert_close(
        by_velocity({"context": context + away}), by_velocity({"context": context}) + away, atol=1e-3, rtol=0
    )
    moved = by_position({"context": context + away}) - by_position({"context": context}) - away
    assert moved.abs().max() > 10


def tracks(values: np.ndarray, sizes: list[int], parts: list[str]) -> CollectionData:
    """The task of simulated flights on other flights."""
    import xarray as xr

    made = xr.Dataset(
        {"value": (("observation", "channel"), values), "row_size": ("series", sizes)},
        {"split": ("series", np.array(parts, object)), "channel": list(AXES)},
        {"step": "PT0.1S"},
    )
    task = registry.task("uav-tracks")
    return CollectionData.of(task, of_dataset(made, task.dataset, "made", "made"))


def straight(flights: int) -> tuple[np.ndarray, list[int]]:
    """Straight lines at constant velocity, up to 4 m/s along each axis, one window each."""
    velocity = np.random.default_rng(0).uniform(-4, 4, (flights, 1, 3))
    return (velocity * 0.1 * np.arange(31)[:, None]).reshape(-1, 3), [31] * flights


@pytest.mark.slow
def test_straight_flight_goes_straight_on():  # vector_uav, must show 2
    values, sizes = straight(4000)
    data = tracks(values, sizes, ["train"] * 3700 + ["validation"] * 100 + ["test"] * 200)
    model = build(VectorGRU, data.shape(21), Hyperparameters(dropout=0.0), seed=0)
    settings = TrainingSettings(learning_rate=0.005, schedule="cosine", batch_size=64, epochs=20, patience=20)
    model.fit(TaskSource(data, 21, 0, settings=settings, uses=model.uses))

    batch = data.windows("test", 21).gather(torch.arange(200))
    with torch.no_grad():
        forecast = model.eval()({"context": batch["context"]})

    velocity = (batch["context"][:, -1] - batch["context"][:, -2]) / 0.1
    flown = torch.cat([batch["context"][:, -1:], forecast], dim=1).diff(dim=1) / 0.1
    error = torch.linalg.vector_norm(flown.mean(dim=1) - velocity, dim=1)
    assert float((error / torch.linalg.vector_norm(velocity, dim=1)).median()) < 0.01


@pytest.mark.slow
def test_one_flight_is_forecast_a_hundred_times_a_second():  # vector_uav, must show 6
    model, context = model_of(), {"context": torch.randn(1, 21, 3)}
    passed = []
    with torch.no_grad():
        for _ in range(50):
            start = time.perf_counter()
            model(context)
            passed.append(time.perf_counter() - start)

    assert np.median(passed) < 0.01


def test_the_loss_is_of_normalised_velocities_and_leaves_missing_targets_out():
    model = model_of(norm="white")
    model.L_matrix.copy_(torch.diag(torch.tensor([2.0, 2.0, 2.0])))
    context, target = torch.randn(4, 21, 3), torch.randn(4, 10, 3)
    track = torch.cat([context[:, -1:], target], dim=1).diff(dim=1) / 0.1
    error = (model._normalised(context) - 2 * track).square()
    whole = {"context": context, "target": target}
    valid = torch.ones(4, 10, 3, dtype=torch.bool)
    valid[:, 6, 1] = False

    torch.testing.assert_close(model.loss(whole), error.mean())
    torch.testing.assert_close(model.loss(whole, reduction="sum") / model.terms(whole), error.mean())
    # Without position 6 there is no velocity before and after it.
    kept = [0, 1, 2, 3, 4, 5, 8, 9]
    torch.testing.assert_close(model.loss(whole | {"valid": valid}), error[:, kept].mean())
    assert int(model.terms(whole | {"valid": valid})) == 4 * len(kept) * 3


def test_smoothing_keeps_parabolas_and_quietens_noise():
    matrix = smoothing_matrix(21, 9).double()
    time = torch.arange(21, dtype=torch.float64)
    parabola = 3 + 2 * time - 0.5 * time.square()
    noise = torch.randn(21, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    torch.testing.assert_close(matrix @ parabola, parabola, atol=1e-4, rtol=0)
    assert (matrix @ noise).diff(dim=0).std() < 0.4 * noise.diff(dim=0).std()
    assert noise.diff(dim=0).std() / 0.1 == pytest.approx(2**0.5 / 0.1, rel=0.02)  # vector_uav, quirk 4


def test_smoothing_is_part_of_the_forecast():
    plain, smooth = model_of(), model_of(smoothing=9)
    smooth.load_state_dict(plain.state_dict())
    context = torch.randn(2, 21, 3)

    torch.testing.assert_close(
        smooth({"context": context}), plain({"context": smoothing_matrix(21, 9) @ context})
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden": 0}, "hidden must be at least 1, not 0"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1, not 1.0"),
        ({"smoothing": 6}, "smoothing must be 0, or odd and at least 5, not 6"),
        ({"reads": "acceleration"}, "reads"),
    ],
)
def test_wrong_hyperparameters_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        fill(Hyperparameters, given, "card")


def test_fewer_targets_than_channels_are_refused():
    with pytest.raises(InputError, match="forecasts every channel that it reads"):
        VectorGRU(TaskShape(21, 10, 1, AXES, AXES[:2]))


def test_a_look_back_shorter_than_the_smoothing_is_refused():
    with pytest.raises(InputError, match="needs a context of at least 9, not 5"):
        VectorGRU(TaskShape(5, 10, 1, AXES, AXES), Hyperparameters(smoothing=9))


@pytest.mark.slow
def test_velocities_beat_constant_velocity_and_positions_break_elsewhere(stores):  # vector_uav, must show 5
    """Distance to the true position after one second, on flights that nobody trained on, here and 100 m away."""
    for name in ("uav_tracks", "uav_tracks-shifted"):
        stores(name)
    task = registry.task("uav-tracks")
    here, away = TaskData.open(task), TaskData.open(task, "uav_tracks-shifted")
    settings = registry.models()["vector_gru"].settings_for(task.name)
    training = fill(TrainingSettings, {**settings.training, "epochs": 5}, "vector_gru")

    def last_distance(model, data) -> float:
        cases = data.windows("test", 21).using("target", *model.uses)
        with torch.inference_mode():
            distances = [
                (model.predict(batch).values[:, -1] - batch["target"][:, -1]).norm(dim=-1)
                for batch in cases.batches(2048)
            ]
        return float(torch.cat(distances).mean())

    fitted = {}
    for reads in ("velocity", "position"):
        model = build(VectorGRU, here.shape(21), Hyperparameters(dropout=0.0, reads=reads), seed=0)
        model.fit(TaskSource(here, 21, seed=0, settings=training, uses=model.uses))
        fitted[reads] = model.eval()
    constant = last_distance(ConstantVelocity(here.shape(21)), here)
    velocity = last_distance(fitted["velocity"], here)

    assert velocity <= 0.6 * constant
    assert last_distance(fitted["velocity"], away) <= 1.5 * velocity
    assert last_distance(fitted["position"], away) > 20 * last_distance(fitted["velocity"], away)
