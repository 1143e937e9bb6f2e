"""A GluonTS user's trained predictor is evaluated as it is."""

import logging
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from gluonts.dataset.common import ListDataset
from gluonts.evaluation import make_evaluation_predictions
from gluonts.model.npts import NPTSPredictor
from gluonts.model.predictor import Predictor
from gluonts.model.seasonal_naive import SeasonalNaivePredictor
from gluonts.torch import DeepAREstimator, SimpleFeedForwardEstimator

import tsbench as tb
from tsbench.contracts import InputError
from tsbench.gluonts.predictor import gluonts_model

CONTEXT = 60


def trained(data, tmp_path, kind=SimpleFeedForwardEstimator, **chosen):
    """What a GluonTS user does, with the trainer of GluonTS."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    entries = [
        {
            "start": pd.Period(data.table.time[0], "h"),
            "target": data.values[: data.borders[0], channel].numpy(),
        }
        for channel in range(2)
    ]
    trainer = {
        "max_epochs": 1, "enable_progress_bar": False, "logger": False, "enable_model_summary": False,
        "default_root_dir": str(tmp_path), "accelerator": "cpu",
    }  # fmt: skip
    estimator = kind(
        prediction_length=12,
        context_length=CONTEXT,
        num_batches_per_epoch=3,
        trainer_kwargs=trainer,
        **chosen,
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.train(ListDataset(entries, freq="h"))


def test_forecasts_are_those_that_gluonts_makes_for_its_user(open_waves, tmp_path):
    data = open_waves()
    predictor = trained(data, tmp_path)
    model = gluonts_model(predictor)(data.shape(CONTEXT)).eval()
    windows = data.windows("test", CONTEXT).using("target", *model.uses)

    with torch.inference_mode():
        ours = model.predict(windows.gather(torch.tensor([0]))).values  # (quantile, 1, lead_time, channel)

    start = int(windows.origins[0]) - CONTEXT
    for channel in range(2):
        rows = data.values[start : start + CONTEXT + 12, channel].numpy()
        entry = {"start": pd.Period(data.table.time[start], "h"), "target": rows}
        forecasts, _ = make_evaluation_predictions(ListDataset([entry], freq="h"), predictor)
        official = next(iter(forecasts))
        for number, level in enumerate(model.shape.quantiles):
            np.testing.assert_allclose(
                ours[number, 0, :, channel], official.quantile(level), atol=1e-5, rtol=1e-5
            )


def test_a_predictor_runs_on_a_task_by_the_api(waves_at_hand, open_waves, tmp_path):
    model = gluonts_model(trained(open_waves(), tmp_path))

    result = tb.run(model, "waves-12", context=CONTEXT, conduct=_quiet())

    assert result.track.learning == "zero-shot"
    assert result.forecast_kind == "quantiles"
    assert result.model.name.startswith("gluon_ts_simple_feed_forward_model_")
    assert result.model.parameters > 0
    assert np.isfinite(result.scores["mse"]["regular"])


def test_another_training_makes_another_name(open_waves, tmp_path):
    predictor = trained(open_waves(), tmp_path)
    name = gluonts_model(predictor).__name__

    assert gluonts_model(predictor).__name__ == name
    with torch.no_grad():
        next(predictor.prediction_net.parameters()).add_(0.1)
    assert gluonts_model(predictor).__name__ != name
    assert gluonts_model(predictor, name="Mine").__name__ == "Mine"


def test_a_predictor_without_a_network_forecasts_series_by_series(open_waves):
    data = open_waves()
    model = gluonts_model(SeasonalNaivePredictor(prediction_length=12, season_length=24))(data.shape(CONTEXT))
    windows = data.windows("test", CONTEXT).using("target", *model.uses)
    batch = windows.gather(torch.arange(3))

    values = model.predict(batch).values

    assert values.shape == (9, 3, 12, 2)
    torch.testing.assert_close(values[4], batch["context"][:, CONTEXT - 24 : CONTEXT - 12])


def test_what_a_predictor_draws_belongs_to_the_case(open_waves):
    data = open_waves()
    model = gluonts_model(NPTSPredictor(prediction_length=12, context_length=CONTEXT))(data.shape(CONTEXT))
    windows = data.windows("test", CONTEXT).using("target", *model.uses)
    np.random.seed(3)
    before = np.random.get_state()[1].copy()

    both = model.predict(windows.gather(torch.tensor([4, 7]))).values
    alone = model.predict(windows.gather(torch.tensor([7]))).values

    assert torch.equal(both[:, 1:], alone)
    assert np.array_equal(np.random.get_state()[1], before)


def test_a_series_that_begins_within_the_look_back_is_given_without_padding(open_waves):
    data = open_waves()
    seen = []

    class Looks(SeasonalNaivePredictor):
        def predict(self, dataset, **kwargs):
            seen.extend(dataset)
            return super().predict(dataset, **kwargs)

    model = gluonts_model(Looks(prediction_length=12, season_length=24), "Looks")(data.shape(CONTEXT))
    windows = data.windows("test", CONTEXT).using("target", *model.uses)
    batch = windows.gather(torch.tensor([0]))
    observed = torch.ones_like(batch["context"], dtype=torch.bool)
    observed[:, :10, 0] = False

    model.predict(batch.replace(observed=observed))

    assert [len(entry["target"]) for entry in seen] == [50, 60]
    assert seen[0]["start"] == seen[1]["start"] + 10
    assert seen[1]["start"] == pd.Period(data.table.time[int(windows.origins[0]) - CONTEXT], "h")


def test_a_predictor_that_cannot_do_the_task_is_refused(open_waves):
    shape = open_waves().shape(CONTEXT)
    short = SeasonalNaivePredictor(prediction_length=6, season_length=24)
    late = SeasonalNaivePredictor(prediction_length=12, season_length=24)
    late.lead_time = 2

    with pytest.raises(InputError, match="forecasts 6 steps; the horizon is 12"):
        gluonts_model(short)(shape)
    with pytest.raises(InputError, match="leaves out 2 steps"):
        gluonts_model(late, "Late")(shape)


def test_a_predictor_that_cannot_be_written_down_needs_a_name():
    class Plain(Predictor):
        def predict(self, dataset, **kwargs):
            return iter([])

    with pytest.raises(InputError, match="give the model a name"):
        gluonts_model(Plain(12))
    assert gluonts_model(Plain(12), name="Plain").__name__ == "Plain"


def test_a_network_of_a_longer_look_back_is_refused(open_waves, tmp_path):
    data = open_waves()
    predictor = trained(data, tmp_path, DeepAREstimator, freq="h", hidden_size=4)

    with pytest.raises(InputError, match="reads 780 steps, more than the context 60"):
        gluonts_model(predictor)(data.shape(CONTEXT))


def _quiet():
    from tsbench.jobs.run import Conduct

    return Conduct(track=False)
