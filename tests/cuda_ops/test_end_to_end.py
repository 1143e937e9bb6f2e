"""Fits and evaluations with the operators on and off: losses of 50 steps to 1e-4, scores to 1e-5.

Models as the zoo builds them, on small data in memory: time series, channel responses, a probabilistic task.
"""

from itertools import count, islice

import pytest
import torch

from tsbench.cuda_ops import ops, recorded
from tsbench.data.cases import Batches
from tsbench.evaluation.evaluate import evaluate, view_of
from tsbench.jobs.source import find_model
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource

STEPS, BATCH = 50, 16
SMALL_CSI = {"dim_model": 16, "transformer_hidden_dim": 32, "transformer_num_layers": 1}
DISTRIBUTION = {"metrics": ["crps", "crps_fair", "energy_score", "mql"], "primary": "crps"}
EXPECTED = {
    "dlinear": {"window_gather"},
    "tpgn": {"pgn_gate", "pgn_history", "window_gather"},
    "time_moe": {"moe_ffn", "window_gather"},
    "csi_4cast_small": set(),  # samples are no windows of a table
}
"""Model → operators that its fit and evaluation call."""
CASES = {
    "dlinear": ("waves", {}, {}),
    "tpgn": ("waves", {"d_model": 32}, {}),
    "time_moe": ("waves", {"size": "tiny"}, {}),
    "csi_4cast_small": ("responses", SMALL_CSI, {"loss": "nmse"}),
}


@pytest.fixture
def opened(open_waves, open_responses, waves):
    """Opens data by name, with changes of its task; test batches of waves are large enough to copy by runs."""

    def open_(name, **changes):
        if name == "responses":
            return open_responses(**changes)
        return open_waves(waves(rows=1200, channels=3), **changes)

    return open_


def made(data, name, hyperparameters, training):
    """A model of the zoo and its source."""
    kind = find_model(name).load()
    context = min(48, data.task.max_context)
    view = view_of(kind, data.task)
    settings = TrainingSettings(batch_size=BATCH, learning_rate=1e-3, **training)
    record = kind.Hyperparameters(**hyperparameters)
    model = build(kind, view.shape(data.shape(context)), record, 0, settings.loss)
    model.settings = settings
    return model, TaskSource(data, context, 0, settings=settings, uses=model.uses, view=view)


def trained(model, source):
    """Losses of the first steps, each of a shuffled batch."""
    epochs = (Batches(source.train, BATCH, seed=epoch, drop_last=True) for epoch in count())
    optimiser = model.configure_optimizers()
    losses = []
    torch.manual_seed(0)  # dropout
    model.train()
    for batch in islice((batch for epoch in epochs for batch in epoch), STEPS):
        loss = model.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return torch.tensor(losses)


def scores(model, data, source):
    evaluation = evaluate(model, {data.task.dataset: data}, data.task, data.task.scenarios(), source.context)
    return {
        (metric, condition): value
        for metric, conditions in evaluation.scores().items()
        for condition, value in conditions.items()
        if value is not None
    }


@pytest.mark.parametrize("name", CASES)
def test_fifty_steps_and_the_scores_of_their_weights_are_the_same(opened, name):
    where, hyperparameters, training = CASES[name]
    data = opened(where)
    losses, models = {}, {}
    for choice in ("auto", "reference"):
        models[choice], source = made(data, name, hyperparameters, training)
        with ops(choice):
            losses[choice] = trained(models[choice], source)

    torch.testing.assert_close(losses["auto"], losses["reference"], atol=1e-4, rtol=0)
    assert losses["auto"][-5:].mean() < losses["auto"][:5].mean()
    found = {}
    for choice in losses:
        with ops(choice), recorded() as paths:
            found[choice] = scores(models["auto"], data, source)
        assert set(paths) == EXPECTED[name]
        assert all(taken == {"torch" if choice == "auto" else "reference"} for taken in paths.values())
    assert found["auto"] == pytest.approx(found["reference"], abs=1e-5, rel=0)


class Ensemble:
    """Members drawn from a fitted distribution."""

    fits, uses = "none", frozenset({"context"})

    def __init__(self, model):
        self.model = model

    def predict(self, batch, *, realizations=None, generator=None):
        numbers, spread = self.model._numbers(self.model.probabilistic_head, batch)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(batch["index"][0]))
            return self.model.probabilistic_head.forecast(numbers, spread, 30, generator)


@pytest.mark.parametrize("loss", ["student_t", "quantile"])
def test_a_probabilistic_model_trains_and_scores_the_same(opened, loss):
    data = opened(
        "waves", **(DISTRIBUTION if loss == "student_t" else {"metrics": ["crps", "mql"], "primary": "crps"})
    )
    losses, models = {}, {}
    for choice in ("auto", "reference"):
        models[choice], source = made(data, "dlinear", {}, {"loss": loss})
        with ops(choice):
            losses[choice] = trained(models[choice], source)
    torch.testing.assert_close(losses["auto"], losses["reference"], atol=1e-4, rtol=0)

    found, called = {}, {}
    for choice in losses:
        with ops(choice), recorded() as paths, torch.no_grad():
            model = models["auto"].eval()
            found[choice] = scores(Ensemble(model) if loss == "student_t" else model, data, source)
        called[choice] = set(paths)
    assert found["auto"] == pytest.approx(found["reference"], abs=1e-5, rel=0)
    if loss == "student_t":
        assert {"ensemble_crps", "energy_score", "ordered_members"} <= called["auto"]
