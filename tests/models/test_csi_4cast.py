"""csi_4cast against the official implementation, and the "must show" lines of its sheet (csi_4cast.md)."""

import json
from dataclasses import fields

import pytest
import torch
from safetensors import safe_open
from torch import nn

from tsbench import registry
from tsbench.contracts import InputError
from tsbench.data.batch import Batch
from tsbench.evaluation.evaluate import Presenter
from tsbench.models.csi_4cast.correction import to_delay
from tsbench.models.csi_4cast.denoiser import Denoiser
from tsbench.models.csi_4cast.model import Csi4Cast, Hyperparameters
from tsbench.models.csi_4cast_small.model import Csi4CastSmall
from tsbench.models.csi_4cast_small.model import Hyperparameters as SmallHyperparameters
from tsbench.training.build import build
from tsbench.training.cost import count_flops
from tsbench.training.settings import TrainingSettings, fill
from tsbench.training.source import TaskSource
from tsbench.training.weights import count_parameters, load_weights, read_tensors

TINY = {
    "dim_model": 8,
    "denoiser_num_filters_2d": 2,
    "arl_temporal_proj_hidden_dim": 6,
    "arl_subcarrier_proj_hidden_dim": 6,
    "embedding_num_res_layers": 1,
    "embedding_res_dim": 4,
    "embedding_res_groups": 2,
    "embedding_mlp_hidden_dim": 6,
    "embedding_mobilenet_base_channels": 4,
    "transformer_num_layers": 1,
    "transformer_num_heads": 2,
    "transformer_hidden_dim": 12,
    "predictor_lstm_hidden_dim": 6,
    "predictor_mlp_hidden_dim": 6,
}
ABLATIONS = {
    "no denoiser": {"denoiser_num_filters_2d": 1},
    "no correction": {"arl": "none"},
    "layer normalisation in its place": {"arl": "layer_norm"},
    "batch normalisation in its place": {"arl": "batch_norm"},
    "correction along the channels": {"arl_is_U2D": True},
    "perceptron embedding": {"embedding": "mlp"},
    "MobileNet embedding": {"embedding": "mobilenet"},
    "no delay path": {"delay_path": False},
    "LSTM predictor": {"predictor": "lstm"},
    "perceptron predictor": {"predictor": "mlp"},
}
# csi_4cast.md, section Architecture: released parameters as a whole and by part.
PUBLISHED = {
    "tdd": (21_913_750, (774, 1_084_512, 1_448_084, 18_918_912, 461_468)),
    "fdd": (38_636_286, (12_510, 14_400_112, 1_706_260, 22_055_936, 461_468)),
}


def released(mode: str) -> Hyperparameters:
    settings = registry.model("csi_4cast").settings_for(registry.task(f"csi-rrg-{mode}"))
    return fill(Hyperparameters, settings.hyperparameters, "card")


def tiny(shape_of, channels: int = 6, **changes) -> Csi4Cast:
    torch.manual_seed(0)
    return Csi4Cast(shape_of(16, 4, channels=channels), Hyperparameters(**(TINY | changes))).eval()


def noise(*sizes: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["csi_4cast", "csi_4cast_fdd"])
def fixture(request, shared_fixtures):
    return shared_fixtures / f"{request.param}.safetensors"


class TestTheOfficialFixture:
    @pytest.fixture
    def tensors(self, fixture):
        return read_tensors(fixture)

    @pytest.fixture
    def model(self, fixture, shape_of):
        return official(fixture, shape_of)

    def test_its_output_is_reproduced(self, model, tensors):
        forecast = model({"context": tensors["input"]})

        torch.testing.assert_close(forecast, tensors["output"], atol=1e-5, rtol=0)

    def test_its_output_is_reproduced_by_the_fast_form(self, model, tensors):
        with torch.inference_mode():
            forecast = model({"context": tensors["input"]})

        torch.testing.assert_close(forecast, tensors["output"], atol=1e-5, rtol=0)

    def test_its_intermediates_are_reproduced(self, model, tensors):
        denoised = model.denoiser(tensors["input"])
        scaled, mean, deviation = model.standardise(denoised)
        delay, frequency = model.arl(scaled)
        embedded = model.embedding(delay, frequency)
        found = {
            "denoised": denoised,
            "norm_mean": mean,
            "norm_std": deviation,
            "arl_delay": delay,
            "arl_freq": frequency,
            "embedding": embedded,
            "transformer": model.transformer(embedded),
        }

        for name, one in found.items():
            torch.testing.assert_close(one, tensors[f"intermediate/{name}"], atol=1e-5, rtol=0, msg=name)

    def test_the_calendar_embedding_is_loaded_and_changes_nothing(self, model, tensors):  # quirk 1
        before = model({"context": tensors["input"]})
        weight = model.embedding.embedding.temporal_embedding["embed"].weight
        assert torch.equal(weight, tensors["state_dict/embedding.embedding.temporal_embedding.embed.weight"])
        nn.init.zeros_(weight)

        assert torch.equal(model({"context": tensors["input"]}), before)


def official(path, shape_of, **changes) -> Csi4Cast:
    """The model of a fixture, with its weights."""
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    if "embedding_ca_ratio" not in config:  # the FDD file, whose attention has no such argument
        config |= {"embedding_ca_ratio": 1, "embedding_attention": "average_and_maximum"}
    shape = shape_of(config["hist_len"], config["pred_len"], channels=config["dim_data"])
    known = {one.name for one in fields(Hyperparameters)}
    chosen = {name: value for name, value in config.items() if name in known}
    assert config.keys() - known == {"hist_len", "pred_len", "dim_data"}
    model = Csi4Cast(shape, fill(Hyperparameters, chosen | changes, "fixture"))
    load_weights(model, path)
    return model.eval()


@pytest.mark.parametrize("mode", ["tdd", "fdd"])
class TestTheReleasedSizes:
    @pytest.fixture
    def model(self, shape_of, mode):
        with torch.device("meta"):
            return Csi4Cast(shape_of(16, 4, channels=600), released(mode))

    def test_have_the_published_parameters(self, model, mode):
        parts = (model.denoiser, model.arl, model.embedding, model.transformer, model.mlp)

        assert (count_parameters(model), tuple(map(count_parameters, parts))) == PUBLISHED[mode]

    def test_have_the_flops_of_the_reference(self, model, mode):  # csi_4cast.md: torch's counter
        flops = count_flops(lambda: model.plain(torch.empty(32, 16, 600, device="meta")))

        assert flops == pytest.approx({"tdd": 70.84e9, "fdd": 99.12e9}[mode], rel=0.02)


@pytest.mark.parametrize("mode", ["tdd", "fdd"])
def test_the_card_has_the_published_training(mode):
    settings = registry.model("csi_4cast").settings_for(registry.task(f"csi-rrg-{mode}"))

    assert settings.tuning == "published"
    assert (settings.training["batch_size"], settings.training["epochs"]) == (16, 500)


@pytest.mark.parametrize("name", ["csi_4cast", "csi_4cast_small"])
@pytest.mark.parametrize("size", ["small", "tiny"])
def test_the_card_chooses_by_duplex_mode(name, size):
    chosen = {
        mode: registry.model(name).settings_for(registry.task(f"csi-rrg-{mode}-{size}")).hyperparameters
        for mode in ("tdd", "fdd")
    }

    assert chosen["fdd"]["arl_is_U2D"] is True
    assert chosen["fdd"]["embedding_attention"] == "average_and_maximum"
    assert not chosen["tdd"].get("arl_is_U2D", False)


def test_the_delay_domain_multiplies_where_the_frequency_domain_adds(shared_fixtures, shape_of):  # quirk 2
    path = shared_fixtures / "csi_4cast_fdd.safetensors"
    kept, mended = (official(path, shape_of, arl_delay_multiplies=value) for value in (True, False))
    series = read_tensors(path)["input"]
    (delay, frequency), (other_delay, other_frequency) = kept.arl(series), mended.arl(series)

    assert (kept.arl.subcarrier_proj_freq.operation, kept.arl.subcarrier_proj_delay.operation) == (
        "add",
        "multiply",
    )
    assert mended.arl.subcarrier_proj_delay.operation == "add"
    assert torch.equal(frequency, other_frequency)
    assert (delay - other_delay).abs().max() > 0.1


def test_the_correction_along_time_takes_the_place_of_its_input(shape_of):  # quirk 3
    layer = tiny(shape_of).arl.temporal_proj_freq
    nn.init.zeros_(layer.mlp.mlp[-2].weight)

    rows = layer(noise(2, 6, 16))

    assert torch.equal(rows, rows[:1, :1].expand_as(rows))


class TestTheDenoiser:
    @staticmethod
    def estimate(shape_of, **changes) -> torch.Tensor:
        series = noise(4, 16, 6)
        return series - tiny(shape_of, **changes).denoiser(series)

    def test_takes_away_noise_that_is_never_negative(self, shape_of):  # quirk 4
        estimate = self.estimate(shape_of)

        assert estimate.min() >= -1e-6
        assert estimate.max() > 0

    def test_may_be_told_to_let_noise_be_negative(self, shape_of):
        assert self.estimate(shape_of, denoiser_last_activation=False).min() < -0.01

    def test_says_the_series_where_it_is_no_residual(self, shape_of):
        series = noise(4, 16, 6)
        residual, direct = (tiny(shape_of, denoiser_is_residual=value) for value in (True, False))

        torch.testing.assert_close(series - residual.denoiser(series), direct.denoiser(series))

    def test_mixes_the_steps_of_neighbouring_channels_in_its_last_stage(self):
        """The stage of the untuned configuration: normalised convolution, written out."""
        torch.manual_seed(0)
        chosen = {"filters": 2, "kernel": 3, "post_kernel": 3, "activation_name": "tanh"}
        denoiser = Denoiser(16, **chosen, post=True, residual=False, last_activation=True).eval()
        denoiser.post_bn.running_mean.normal_()
        denoiser.post_bn.running_var.uniform_(0.5, 2)
        series = noise(2, 16, 6)
        plain = Denoiser(16, **chosen, post=False, residual=False, last_activation=True).eval()
        plain.load_state_dict(denoiser.state_dict(), strict=False)
        before = nn.functional.pad(plain(series), (1, 1))

        weight, norm = denoiser.post_processor.weight, denoiser.post_bn
        made = sum(
            torch.einsum("ol,blc->boc", weight[..., step], before[..., step : step + 6]) for step in range(3)
        )
        made = made + denoiser.post_processor.bias[:, None]
        scaled = (made - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()

        torch.testing.assert_close(denoiser(series), scaled, atol=1e-5, rtol=1e-5)
        assert denoiser.post_processor.weight.shape == (16, 16, 3)

    def test_starts_uniform_in_one_over_the_root_of_its_inputs(self, shape_of):
        layer = tiny(shape_of, denoiser_num_filters_2d=6).denoiser.encoder[4][0]  # 32 maps to 64

        assert float(layer.weight.detach().abs().max()) == pytest.approx(32**-0.5, rel=0.01)
        assert layer.bias.abs().max() == 0


def test_the_delay_domain_is_the_inverse_transform_over_subcarriers():
    delay = torch.complex(noise(2, 3, 5), noise(2, 3, 5, seed=2))
    response = torch.fft.fft(delay, dim=2)

    found = to_delay(torch.view_as_real(response).flatten(2))

    torch.testing.assert_close(found, torch.view_as_real(delay).flatten(2))


@pytest.mark.parametrize("statistics", ["batch", "sequence"])
@pytest.mark.parametrize("mode", [{}, {"arl_is_U2D": True, "embedding_attention": "average_and_maximum"}])
def test_without_denoiser_the_forecast_follows_shift_and_scale(shape_of, statistics, mode):
    model = tiny(shape_of, denoiser_num_filters_2d=1, statistics=statistics, **mode)
    context = noise(4, 16, 6)

    moved = model({"context": 3 * context + 5})

    torch.testing.assert_close(moved, 3 * model({"context": context}) + 5, atol=1e-4, rtol=1e-4)


class TestStatistics:
    def test_of_the_batch_couple_its_sequences(self, shape_of):  # quirk 5
        model, context = tiny(shape_of), noise(4, 16, 6) * torch.tensor([1.0, 2, 3, 4])[:, None, None]
        alone = torch.cat([model({"context": one[None]}) for one in context])

        assert model.couples
        assert (model({"context": context}) - alone).abs().max() > 0.01

    def test_of_each_sequence_do_not(self, shape_of):
        model, context = tiny(shape_of, statistics="sequence"), noise(4, 16, 6)
        alone = torch.cat([model({"context": one[None]}) for one in context])

        assert not model.couples
        torch.testing.assert_close(model({"context": context}), alone, atol=1e-5, rtol=1e-5)

    def test_of_a_constant_look_back_are_no_division_by_zero(self, shape_of):
        _, _, deviation = tiny(shape_of).standardise(torch.ones(2, 16, 6))

        assert deviation == pytest.approx(1e-6)

    def test_evaluation_gives_one_sample_a_call(self, shape_of, response_task):
        model = tiny(shape_of, channels=10)
        context = torch.complex(noise(5, 3, 16, 5), noise(5, 3, 16, 5, seed=2))
        dimensions = {"context": ("sample", "antenna", "time", "subcarrier")}
        presenter = Presenter(model, response_task(max_context=16))

        def forecast(rows: slice) -> torch.Tensor:
            batch = Batch(dimensions, context=context[rows], index=torch.arange(5)[rows])
            return presenter.predict(batch, 16)[0].values

        one_by_one = torch.cat([forecast(slice(row, row + 1)) for row in range(5)])
        torch.testing.assert_close(forecast(slice(0, 5)), one_by_one, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ABLATIONS)
class TestAnAblation:
    def test_learns_and_forecasts(self, shape_of, name):
        model = tiny(shape_of, **ABLATIONS[name]).train()
        context, target = noise(8, 16, 6), noise(8, 4, 6, seed=2)

        model.loss({"context": context, "target": target}).backward()

        silent = {name for name, one in model.named_parameters() if one.grad is None}
        assert silent == {"embedding.embedding.temporal_embedding.embed.weight"}
        assert model.eval()({"context": context}).shape == (8, 4, 6)

    def test_differs_from_the_whole_model_in_its_parameters(self, shape_of, name):
        whole, part = tiny(shape_of).state_dict(), tiny(shape_of, **ABLATIONS[name]).state_dict()

        assert whole.keys() != part.keys()


# AI4OPT/CSI-4CAST, models/ablation: names of the parts that take another's place.
@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"arl": "layer_norm"}, {"arl.norm_freq.weight", "arl.norm_delay.bias"}),
        ({"embedding": "mlp"}, {"embedding.delay_branch.0.weight", "embedding.freq_branch.6.bias"}),
        ({"embedding": "mobilenet"}, {"embedding.freq_branch.0.layers.0.weight"}),
        ({"predictor": "lstm"}, {"transformer.lstm.weight_ih_l1", "transformer.proj.weight"}),
        ({"predictor": "mlp"}, {"transformer.mlp.0.weight", "transformer.mlp.6.weight"}),
    ],
)
def test_replaced_parts_have_the_official_names(shape_of, change, names):
    assert names <= tiny(shape_of, **change).state_dict().keys()


def test_some_targets_in_another_order_are_forecast_as_in_the_whole(shape_of):
    chosen = Hyperparameters(**TINY)
    part = Csi4Cast(shape_of(16, 4, channels=6, targets=(2, 0)), chosen).eval()
    whole = Csi4Cast(shape_of(16, 4, channels=6), chosen).eval()
    whole.load_state_dict(part.state_dict())
    context = noise(3, 16, 6)

    torch.testing.assert_close(part({"context": context}), whole({"context": context})[..., [2, 0]])


def test_the_small_one_differs_in_its_default_sizes_alone(shape_of):
    shape = shape_of(16, 4, channels=10)
    small = Csi4CastSmall(shape).eval()
    known = {one.name: getattr(SmallHyperparameters(), one.name) for one in fields(Hyperparameters)}
    same = Csi4Cast(shape, Hyperparameters(**known)).eval()
    same.load_state_dict(small.state_dict())
    context = noise(3, 16, 10)

    assert torch.equal(small({"context": context}), same({"context": context}))


class TestWrongSizes:
    def test_an_odd_number_of_channels_is_refused(self, shape_of):
        with pytest.raises(InputError, match="the task has 3 context channels, and an even number is needed"):
            Csi4Cast(shape_of(16, 4, channels=3))

    def test_heads_that_do_not_divide_the_width_are_refused(self, shape_of):
        with pytest.raises(
            InputError, match="transformer_num_heads must divide dim_model; 3 does not divide 8"
        ):
            tiny(shape_of, transformer_num_heads=3)

    @pytest.mark.parametrize("record", [Hyperparameters, SmallHyperparameters])
    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("dim_model", 7, "dim_model must be even, not 7"),
            ("transformer_num_layers", 0, "transformer_num_layers must be at least 1, not 0"),
            ("denoiser_filter_size_2d", 4, "denoiser_filter_size_2d must be odd, not 4"),
            ("embedding_res_groups", 3, "embedding_res_groups must divide embedding_res_dim; 3 does not"),
            ("embedding_dropout", 1.0, "embedding_dropout must be at least 0 and below 1, not 1.0"),
            ("arl", "full", "arl must be one of 'adaptive', 'layer_norm', 'batch_norm', 'none', not 'full'"),
        ],
    )
    def test_settings_that_no_layer_can_have_are_refused(self, record, name, value, message):
        with pytest.raises(InputError, match=f"card: {message}"):
            fill(record, {name: value}, "card")


@pytest.mark.slow
def test_a_tiny_model_beats_the_last_value_on_responses(stores):  # csi_4cast.md, "must show" 6
    from tsbench.data.task_data import TaskData
    from tsbench.data.views import view_for
    from tsbench.evaluation.evaluate import evaluate
    from tsbench.models.last_value.model import LastValue

    stores("csi_rrg-tiny")
    task = registry.task("csi-rrg-tdd-tiny")
    data = TaskData.open(task)
    view = view_for(task.view, ("sequence",))
    settings = TrainingSettings(loss="nmse", learning_rate=0.003, batch_size=8, epochs=12, patience=0)
    chosen = SmallHyperparameters(dim_model=32, transformer_hidden_dim=64)
    shape = view.shape(data.shape(16))
    model = build(Csi4CastSmall, shape, chosen, 0)
    model.fit(TaskSource(data, 16, 0, settings=settings, uses=model.uses, view=view))
    scenarios = [one for one in task.scenarios() if one.condition == "regular"]

    errors = {
        name: evaluate(one, {task.dataset: data}, task, scenarios, 16).scores()["nmse"]["regular"]
        for name, one in {"ours": model, "last value": LastValue(shape)}.items()
    }

    assert errors["ours"] < 0.9  # that of a forecast of zeros is 1
    assert errors["ours"] < 0.5 * errors["last value"]
