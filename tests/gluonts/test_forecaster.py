"""The networks read what GluonTS would give them, forecast what GluonTS forecasts, and learn."""

import logging
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.torch import DLinearEstimator, TiDEEstimator, WaveNetEstimator
from gluonts.torch.model.predictor import PyTorchPredictor

from tsbench.contracts import InputError
from tsbench.evaluation.evaluate import evaluate
from tsbench.gluonts.forecaster import GluonTSForecaster
from tsbench.gluonts.sequences import sequences_of
from tsbench.models.deepar.model import DeepAR, Hyperparameters, lags
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource
from tsbench.training.weights import load_weights, save_weights

CONTEXT = 60


class Linear(GluonTSForecaster):
    """A user's own: the ten lines of the how-to."""

    def estimator(self):
        return DLinearEstimator(prediction_length=self.shape.horizon, context_length=self.shape.context)


class Dense(GluonTSForecaster):
    """An estimator that adds the calendar by itself."""

    def estimator(self):
        return TiDEEstimator(
            freq="h", prediction_length=self.shape.horizon, context_length=self.shape.context,
            num_feat_dynamic_real=len(self.known),
        )  # fmt: skip


class Wave(GluonTSForecaster):
    """An estimator whose inputs are more than copies, and which draws from bins."""

    def estimator(self):
        return WaveNetEstimator(
            freq="h", prediction_length=self.shape.horizon, num_bins=16, num_residual_channels=4,
            num_skip_channels=4, dilation_depth=3, num_stacks=1, embedding_dimension=2, num_parallel_samples=3,
            seasonality=24, time_features=[], num_feat_dynamic_real=len(self.known),
        )  # fmt: skip


def with_holes(waves):
    table = waves()
    values = table.values.copy()
    values[np.random.default_rng(1).random(values.shape) < 0.1] = np.nan
    return replace(table, values=values)


@pytest.mark.parametrize("holes", [False, True])
def test_what_the_network_reads_is_what_the_chain_of_gluonts_makes(
    open_waves, waves, zoo_model, test_batch, holes
):
    data = open_waves(with_holes(waves), missing="mask") if holes else open_waves()
    model = zoo_model(data.shape(CONTEXT))
    _, _, batch = test_batch(model.uses, data=data)

    sequences = sequences_of(batch, model.shape)
    fast, official = model.feed(sequences), model.feed.by_chain(sequences)

    assert model.feed.inputs is not None
    assert set(fast) == set(official)
    for name, tensor in official.items():
        torch.testing.assert_close(fast[name].to(tensor.dtype), tensor, atol=1e-6, rtol=0)


def test_forecasts_are_those_of_the_official_predictor(open_waves, zoo_model, test_batch, monkeypatch):
    data = open_waves()
    model = zoo_model(data.shape(CONTEXT))
    _, windows, batch = test_batch(model.uses)
    shape = model.shape
    entries = []
    for case in range(len(batch["index"])):
        start = int(windows.origins[case]) - CONTEXT
        rows = slice(start, start + CONTEXT + shape.horizon)
        for channel in range(len(shape.targets)):
            entries.append(
                {
                    "start": pd.Period(data.table.time[start], "h"),
                    "target": data.values[rows, channel][:CONTEXT].numpy(),
                    "feat_dynamic_real": data._calendar[rows].T.numpy(),
                }
            )
    model.predictor.batch_size = len(entries)
    if isinstance(model, DeepAR):  # then both draw from the global generator, in the same order
        monkeypatch.setattr("tsbench.gluonts.outputs.can_draw", lambda output: False)
        monkeypatch.setattr("tsbench.gluonts.outputs._each_case", lambda run, *_: run(slice(None)))

    torch.manual_seed(5)
    official = list(model.predictor.predict(entries))
    torch.manual_seed(5)
    ours = model.predict(batch)

    if ours.kind == "samples":
        wanted = np.stack([one.samples for one in official], axis=1)
    else:
        wanted = np.array([[one.quantile(level) for one in official] for level in shape.quantiles])
    wanted = wanted.reshape(len(wanted), -1, len(shape.targets), shape.horizon).swapaxes(2, 3)
    np.testing.assert_allclose(ours.values.detach().numpy(), wanted, atol=1e-5, rtol=1e-5)


def test_scores_do_not_depend_on_the_batch_size(open_waves, zoo_model):
    data = open_waves()
    model = zoo_model(data.shape(CONTEXT))

    scores = [
        evaluate(
            model, {"user-waves": data}, data.task, data.task.scenarios(), CONTEXT, batch_size=size
        ).scores()
        for size in (1, 32, 128)
    ]

    for name, averages in scores[0].items():
        for other in scores[1:]:
            assert other[name]["regular"] == pytest.approx(averages["regular"], rel=1e-6)


def test_samples_stay_the_same_whatever_was_drawn_before_and_leave_the_global_generator_alone(
    open_waves, test_batch
):
    model = build(DeepAR, open_waves().shape(CONTEXT), Hyperparameters(hidden_size=6, samples=5), 0).eval()
    _, _, batch = test_batch(model.uses)
    torch.manual_seed(1)
    first, state = model.predict(batch).values, torch.get_rng_state()
    torch.manual_seed(2)

    assert torch.equal(model.predict(batch).values, first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.predict(batch, realizations=9).values.shape[0] == 9
    # The evaluator's generator depends on the batch, so it is not used.
    assert torch.equal(model.predict(batch, generator=torch.Generator().manual_seed(3)).values, first)


def test_a_short_fit_lowers_the_loss_quietly_and_writes_nothing_beside_the_run(
    open_waves, zoo_model, tmp_path, monkeypatch, capsys, caplog
):
    monkeypatch.chdir(tmp_path)
    data = open_waves()
    model = zoo_model(data.shape(CONTEXT))
    settings = TrainingSettings(learning_rate=0.01, batch_size=32, epochs=3, gradient_clip=10.0)
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()

    with caplog.at_level(logging.WARNING):
        report = model.fit(TaskSource(data, CONTEXT, 0, settings=settings, uses=model.uses))

    losses = [epoch["validation_loss"] for epoch in report.detail["history"]]
    assert min(losses[1:]) < losses[0]
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"] or not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")
    assert not caplog.records
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_a_seed_gives_the_same_weights(open_waves, zoo_model):
    data = open_waves()
    settings = TrainingSettings(batch_size=64, epochs=1)
    states = []
    for seed in (0, 0, 1):
        model = zoo_model(data.shape(CONTEXT), seed)
        model.fit(TaskSource(data, CONTEXT, seed, settings=settings, uses=model.uses))
        states.append(torch.cat([one.flatten() for one in model.state_dict().values()]))

    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_weights_survive_as_safetensors(open_waves, zoo_model, test_batch, tmp_path):
    shape = open_waves().shape(CONTEXT)
    one, other = zoo_model(shape, 0), zoo_model(shape, 1)
    _, _, batch = test_batch(one.uses)

    save_weights(one, tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")

    assert torch.equal(one.predict(batch).values, other.predict(batch).values)


def test_missing_targets_do_not_enter_the_loss(open_waves, waves, zoo_model, test_batch):
    data = open_waves(with_holes(waves), missing="mask")
    model = zoo_model(data.shape(CONTEXT))
    _, _, batch = test_batch(model.uses, data=data)
    hidden = torch.where(batch["valid"], batch["target"], 1000.0)

    if isinstance(model, DeepAR):
        # DeepAR reads each target as the lag of the next ones; the last one is read by none.
        hidden = torch.where(torch.arange(12)[:, None] == 11, hidden, batch["target"])

    torch.testing.assert_close(model.loss(batch.replace(target=hidden)), model.loss(batch))


def test_an_estimator_of_the_users_own_is_fed_directly(open_waves, test_batch):
    data = open_waves()
    model = build(Linear, data.shape(CONTEXT), None, 0).eval()
    _, _, batch = test_batch(model.uses)

    assert model.feed.inputs is not None
    assert model.predict(batch).values.shape == (9, 5, 12, 2)
    settings = TrainingSettings(batch_size=64, epochs=2)
    losses = model.fit(TaskSource(data, CONTEXT, 0, settings=settings, uses=model.uses)).detail["history"]
    assert losses[1]["train_loss"] < losses[0]["train_loss"]


@pytest.mark.parametrize(("kind", "shape"), [(Dense, (9, 3, 12, 2)), (Wave, (3, 3, 12, 2))])
def test_an_estimator_whose_inputs_are_computed_goes_through_its_own_chain(
    open_waves, test_batch, kind, shape
):
    model = build(kind, open_waves().shape(CONTEXT), None, 0).eval()
    _, _, batch = test_batch(model.uses, cases=3)

    assert model.feed.inputs is None
    together = model.predict(batch).values
    alone = [model.predict(batch.take(torch.tensor([case]))).values for case in range(3)]
    assert together.shape == shape
    torch.testing.assert_close(together, torch.cat(alone, dim=1))
    model.train()
    model.loss(batch).backward()
    gradients = [one.grad for one in model.parameters() if one.grad is not None]
    assert all(bool(one.isfinite().all()) for one in gradients)
    assert max(float(one.abs().max()) for one in gradients) > 0


def test_the_chain_sees_the_true_stamps(open_waves, test_batch):
    data = open_waves()
    model = build(Dense, data.shape(CONTEXT), None, 0).eval()
    _, windows, batch = test_batch(model.uses, cases=2)

    made = model.feed(sequences_of(batch, model.shape))["past_time_feat"]  # (sequence, time, column)

    stamps = pd.DatetimeIndex(data.table.time[int(windows.origins[1]) - CONTEXT :][:CONTEXT])
    month = torch.tensor((stamps.month.to_numpy() - 1) / 11 - 0.5, dtype=torch.float32)
    torch.testing.assert_close(made[2, :, 5], month)  # the sequence of the second case, first channel


def test_targets_go_through_the_chain_as_well(open_waves, test_batch):
    """WaveNet learns the numbers of bins."""
    model = build(Wave, open_waves().shape(CONTEXT), None, 0)
    _, _, batch = test_batch(model.uses, cases=2)

    made = model._with_targets(batch, torch.ones_like(batch["target"], dtype=torch.bool))

    assert made["future_target"].shape == (4, 12)
    assert torch.equal(made["future_target"], made["future_target"].round())
    assert made["future_target"].max() < 16


def test_a_loss_that_is_not_the_estimators_is_refused(open_waves):
    with pytest.raises(InputError, match="Linear is trained with a loss of its own, not with 'quantile'"):
        build(Linear, open_waves().shape(CONTEXT), None, 0, loss="quantile")


def test_a_network_that_reads_further_back_than_the_look_back_is_refused(open_waves):
    class Far(GluonTSForecaster):
        def estimator(self):
            return DLinearEstimator(prediction_length=12, context_length=96)

    with pytest.raises(
        InputError, match="Far reads 96 steps, more than the context 60; choose a context of 96"
    ):
        Far(open_waves().shape(CONTEXT))


@pytest.mark.parametrize(("context", "length"), [(60, 12), (264, 96), (7, 3), (1, 1)])
def test_lags_and_steps_fit_in_the_look_back(open_waves, context, length):
    shape = replace(open_waves().shape(96), context=context)

    assert max(lags(shape, length)) - 1 + length <= context


def test_lags_of_hours_are_those_of_gluonts_up_to_a_week(open_waves):
    from gluonts.time_feature import get_lags_for_frequency

    shape = replace(open_waves().shape(96), context=400)

    assert lags(shape, 96) == [lag for lag in get_lags_for_frequency("h") if lag < 170]


def test_wrong_hyperparameters_are_told(open_waves):
    from tsbench.models.simple_feed_forward.model import Hyperparameters as Dense
    from tsbench.models.temporal_fusion_transformer.model import Hyperparameters as Fusion

    for make, text in (
        (lambda: Hyperparameters(dropout=1.0), r"dropout must be in \[0, 1\)"),
        (lambda: Hyperparameters(context_length=0), "context_length must be positive"),
        (lambda: Fusion(hidden_dim=10, num_heads=4), "num_heads must divide hidden_dim 10"),
        (lambda: Dense(layers=0), "layers must be positive"),
    ):
        with pytest.raises(ValueError, match=text):
            make()


def test_gluonts_is_imported_only_with_a_model_of_it():
    import subprocess

    code = "import sys, tsbench, tsbench.registry as r; r.models(); assert 'gluonts' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert issubclass(PyTorchPredictor, object)
