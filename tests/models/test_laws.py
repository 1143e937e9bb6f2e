"""Laws that several neural models share, each stated once: what mixes, what moves with the data, what is learned."""

import pytest
import torch

from tsbench.models.csi_cnn.model import CsiCnn
from tsbench.models.csi_rnn_small.model import CsiRnnSmall
from tsbench.models.dlinear.model import DLinear
from tsbench.models.itransformer.model import ITransformer
from tsbench.models.llm4cp_small.model import Llm4CpSmall
from tsbench.models.patchtst.model import PatchTST
from tsbench.models.residual_mlp.model import ResidualMLP
from tsbench.models.stemgnn_small.model import StemGnnSmall
from tsbench.models.timemixer.model import TimeMixer
from tsbench.models.tpgn.model import TPGN
from tsbench.training.build import build
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource

ATTENTION = {"d_model": 16, "d_ff": 32, "n_heads": 4}
BLOCKS = {"stacks": 2, "blocks": 2, "layers": 2, "width": 16}
INDEPENDENT = [(PatchTST, ATTENTION), (ResidualMLP, BLOCKS), (DLinear, {})]
"""Models that forecast each channel by itself."""
WINDOW_NORMALISED = INDEPENDENT[:2]
JOINT = [(CsiCnn, {"filters": 2}), (CsiRnnSmall, {"hidden": 8, "layers": 2})]
"""Models that forecast all channels together, from their context alone."""
CHANNELS = [(StemGnnSmall, {}), (Llm4CpSmall, {"backbone": "identity", "width": 32, "residual_width": 4})]
"""Models that read channels as pairs of real and imaginary part, and normalise a batch as a whole."""


def model_of(kind, chosen, shape):
    return build(kind, shape, kind.Hyperparameters(**chosen), seed=0).eval()


def context_of(channels: int = 4, samples: int = 4) -> torch.Tensor:
    return torch.randn(samples, 48, channels, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("kind", "chosen"), INDEPENDENT)
def test_channels_never_mix(shape_of, kind, chosen):
    model, context = model_of(kind, chosen, shape_of(48, 24, channels=4)), context_of().requires_grad_()

    for channel in range(4):
        (gradient,) = torch.autograd.grad(model({"context": context})[..., channel].sum(), context)
        assert gradient[..., [other for other in range(4) if other != channel]].abs().max() == 0
        assert gradient[..., channel].abs().max() > 0


@pytest.mark.parametrize(("kind", "chosen"), [*INDEPENDENT, *JOINT])
def test_some_targets_in_another_order_are_forecast_as_in_the_whole(shape_of, kind, chosen):
    part = model_of(kind, chosen, shape_of(48, 24, channels=4, targets=(2, 0)))
    whole = model_of(kind, chosen, shape_of(48, 24, channels=4))
    whole.load_state_dict(part.state_dict())

    torch.testing.assert_close(part({"context": context_of()}), whole({"context": context_of()})[..., [2, 0]])


@pytest.mark.parametrize(("kind", "chosen"), [*INDEPENDENT, *JOINT])
def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(shape_of, kind, chosen):
    model, context = model_of(kind, chosen, shape_of(48, 24, channels=4)), context_of()

    alone = torch.cat([model({"context": one[None]}) for one in context])

    torch.testing.assert_close(model({"context": context}), alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("kind", "chosen"), WINDOW_NORMALISED)
def test_window_normalisation_makes_the_forecast_follow_shift_and_scale(shape_of, kind, chosen):
    shape, context = shape_of(48, 24, channels=4), context_of()
    normed, plain = (model_of(kind, chosen | {"norm": norm}, shape) for norm in (True, False))

    moved = normed({"context": 4 * context + 30})

    torch.testing.assert_close(moved, 4 * normed({"context": context}) + 30, atol=1e-3, rtol=1e-4)
    assert (plain({"context": context + 30}) - plain({"context": context}) - 30).abs().max() > 1


@pytest.mark.parametrize(("kind", "chosen"), [*WINDOW_NORMALISED, (ITransformer, ATTENTION)])
def test_a_short_fit_lowers_the_loss(open_waves, kind, chosen):
    data = open_waves()
    model = build(kind, data.shape(48), kind.Hyperparameters(**chosen), 0)
    settings = TrainingSettings(learning_rate=0.005, batch_size=32, epochs=4)

    report = model.fit(TaskSource(data, 48, 0, settings=settings, uses=model.uses))

    losses = [epoch["validation_loss"] for epoch in report.detail["history"]]
    assert min(losses) < 0.8 * losses[0]


@pytest.mark.parametrize("loss", ["quantile", "student_t", "gaussian_mixture"])
@pytest.mark.parametrize(
    ("kind", "chosen"),
    [
        *INDEPENDENT,
        *JOINT,
        *CHANNELS,
        (ITransformer, ATTENTION),
        (TimeMixer, {"d_model": 8}),
        (TPGN, {"d_model": 4}),
    ],
)
def test_one_option_makes_the_forecast_probabilistic(open_waves, kind, chosen, loss):
    data = open_waves()
    model = build(kind, data.shape(48), kind.Hyperparameters(**chosen), 0, loss)
    settings = TrainingSettings(loss=loss, learning_rate=0.005, batch_size=64, epochs=2)
    source = TaskSource(data, 48, 0, settings=settings, uses=model.uses)
    model.settings = settings
    before = float(model.eval().loss(source.validation.gather(torch.arange(40))))

    model.train().fit(source)

    batch = source.validation.gather(torch.arange(40))
    forecast = model.eval().predict(batch)
    assert float(model.loss(batch)) < before
    assert (forecast.kind, forecast.quantiles) == ("quantiles", data.task.quantiles)
    assert forecast.values.shape == (9, 40, data.task.horizon, len(data.targets))
    assert bool((forecast.values.diff(dim=0) >= 0).all())
