"""Time-MoE with probabilistic heads, and with look-backs of which steps are missing."""

from dataclasses import replace

import pytest
import torch

from tsbench.contracts import InputError
from tsbench.models.time_moe.checkpoint import write_folder
from tsbench.models.time_moe.configuration import SIZES
from tsbench.models.time_moe.generation import generate
from tsbench.models.time_moe.model import Hyperparameters, TimeMoE
from tsbench.training.build import build
from tsbench.training.heads import HEADS
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource
from tsbench.training.weights import load_weights, save_weights

LEVELS = (0.1, 0.4, 0.8)


def built(shape, loss="mse", seed=0, **hyperparameters):
    shape = replace(shape, quantiles=LEVELS)
    model = build(TimeMoE, shape, Hyperparameters(size="tiny", **hyperparameters), seed, loss)
    model.settings = TrainingSettings(loss=loss)
    return model


def context_of(samples: int = 3, steps: int = 48, channels: int = 1) -> torch.Tensor:
    return torch.randn(samples, steps, channels, generator=torch.Generator().manual_seed(1))


class TestHeads:
    @pytest.mark.parametrize("loss", HEADS)
    def test_quantiles_ascend_and_follow_shift_and_scale_of_the_window(self, shape_of, loss):
        model = built(shape_of(48, 45, channels=3, targets=(2, 0)), loss).eval()
        context = context_of(channels=3)

        found = model.predict({"context": context})
        moved = model.predict({"context": 8 * context}).values

        assert (found.kind, found.quantiles, found.values.shape) == ("quantiles", LEVELS, (3, 3, 45, 2))
        assert (found.values.diff(dim=0) >= 0).all()
        torch.testing.assert_close(moved, 8 * found.values, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("loss", HEADS)
    def test_a_fit_lowers_the_objective_and_scores_the_generated_forecast(self, open_waves, loss):
        settings = TrainingSettings(learning_rate=1e-2, epochs=2, batch_size=8, loss=loss)
        source = TaskSource(open_waves(), 24, 0, settings)
        model = build(TimeMoE, source.shape, Hyperparameters(size="tiny"), 0, loss)

        report = model.fit(source)

        first, second = report.detail["history"]
        assert second["train_loss"] < first["train_loss"]
        assert report.validation_loss == min(one["validation_loss"] for one in (first, second))
        model.eval()
        batch = dict(source.validation.gather(torch.arange(5)))
        numbers, spread = model._numbers(model.probabilistic_head, batch)
        expected = model.probabilistic_head.loss(numbers, batch["target"], spread).mean()
        torch.testing.assert_close(model.loss(batch), expected)

    def test_the_objective_is_that_of_a_point_forecast_where_the_median_alone_is_asked_for(self, shape_of):
        shape = replace(shape_of(48, 20), quantiles=(0.5,))
        model = build(TimeMoE, shape, Hyperparameters(size="tiny"), 0, "quantile")
        model.configuration = replace(SIZES["tiny"], apply_aux_loss=False)
        batch = {"context": 0.1 * context_of(), "target": 0.1 * torch.randn(3, 20, 1)}

        # Every label below zero's Huber corner in both: |e| against e²/2, so that only the places must agree.
        series, mean, spread = model._sequences(batch, None)
        whole = torch.cat([series, (batch["target"][..., 0] - mean) / spread], dim=1)
        hidden = model.model(whole[:, :-1]).hidden
        expected = []
        for head, length in zip(model.lm_heads, (1, 8, 32, 64), strict=True):
            errors = [
                (head(hidden[:, step, :])[:, ahead] - whole[:, 1 + step + ahead]).abs()
                for step in range(67)
                for ahead in range(min(length, 67 - step))
            ]
            expected.append(torch.stack(errors).mean())
        torch.testing.assert_close(model.loss(batch), torch.stack(expected).mean())

    @pytest.mark.parametrize("loss", HEADS)
    def test_the_point_that_is_fed_back_costs_no_cache(self, shape_of, loss):
        model = built(shape_of(48, 70), loss).eval()
        series, unit = context_of()[..., 0], torch.ones(3, 1)
        held = torch.rand(3, 48, generator=torch.Generator().manual_seed(2)) < 0.8
        chosen = {"attended": held, "outputs": model.outputs, "point": model._point(unit)}

        cached = generate(model.model, model.lm_heads, series, 70, **chosen)

        plain = generate(model.model, model.lm_heads, series, 70, cached=False, **chosen)
        torch.testing.assert_close(cached, plain, atol=1e-5, rtol=0)

    def test_a_point_forecasters_weights_start_every_number(self, shape_of, tmp_path):
        shape = shape_of(48, 70)
        point = built(shape, seed=3).eval()
        write_folder(tmp_path / "published", SIZES["tiny"], point.state_dict())
        save_weights(point, tmp_path / "own.safetensors")
        expected = point({"context": context_of()}).expand(3, 3, 70, 1)
        folder, file = built(shape, "quantile").eval(), built(shape, "quantile").eval()

        folder.load_folder(tmp_path / "published")
        load_weights(file, tmp_path / "own.safetensors")

        for model in (folder, file):
            torch.testing.assert_close(model.predict({"context": context_of()}).values, expected)

    def test_zero_shot_they_have_no_spread_and_are_refused(self, shape_of, tmp_path):
        shape = shape_of(48, 70)
        save_weights(built(shape), tmp_path / "own.safetensors")

        with pytest.raises(InputError, match="lm_heads.0.out_layer.weight"):
            load_weights(built(shape, "quantile", zero_shot=True), tmp_path / "own.safetensors")


class TestMissingSteps:
    def batch_of(self, start: int) -> dict[str, torch.Tensor]:
        """A look-back whose first steps are padding."""
        context, observed = 3 + 2 * context_of(channels=2), torch.ones(3, 48, 2, dtype=torch.bool)
        observed[:, :start] = False
        return {"context": context.where(observed, 0.0), "observed": observed}

    @pytest.mark.parametrize("loss", ["mse", "student_t"])
    def test_padding_leaves_the_forecast_of_a_shorter_look_back(self, shape_of, loss):
        batch = self.batch_of(17)
        padded, short = (built(shape_of(steps, 70, channels=2), loss).eval() for steps in (48, 31))

        found = padded.predict(batch).values

        alone = short.predict({"context": batch["context"][:, 17:]}).values
        torch.testing.assert_close(found, alone, atol=2e-5, rtol=0)

    def test_what_a_missing_step_holds_does_not_matter(self, shape_of):
        model = built(shape_of(48, 70, channels=2)).eval()
        batch = self.batch_of(0)
        batch["observed"][0, 20:30, 1] = False
        other = batch | {"context": batch["context"].where(batch["observed"], 99.0)}

        torch.testing.assert_close(model(other), model(batch))

    def test_nor_in_training(self, shape_of):
        model = built(shape_of(48, 20, channels=2))
        batch = self.batch_of(17) | {"target": torch.randn(3, 20, 2)}
        other = batch | {"context": batch["context"].where(batch["observed"], 99.0)}
        batch["valid"] = torch.ones(3, 20, 2, dtype=torch.bool)
        batch["valid"][:, 3:5] = False
        other |= {"valid": batch["valid"], "target": batch["target"].where(batch["valid"], torch.nan)}
        model.configuration = replace(SIZES["tiny"], apply_aux_loss=False)

        found = model.loss(other)

        torch.testing.assert_close(found, model.loss(batch))
        found.backward()
        assert all(one.grad is None or one.grad.isfinite().all() for one in model.parameters())

    def test_a_look_back_without_any_value_gives_a_number(self, shape_of):
        model = built(shape_of(48, 20, channels=2)).eval()

        assert model(self.batch_of(48)).isfinite().all()
