"""Foundation models of others: the adapters forecast what the packages do, from tiny random checkpoints made here."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import tsbench as tb
from tsbench.contracts import InputError
from tsbench.jobs.run import Conduct
from tsbench.models.chronos_2.model import Chronos2
from tsbench.models.chronos_2.model import Hyperparameters as Chronos2Hyperparameters
from tsbench.models.chronos_bolt.model import ChronosBolt
from tsbench.models.timesfm.model import Hyperparameters as TimesFMHyperparameters
from tsbench.models.timesfm.model import TimesFM
from tsbench.training.build import build
from tsbench.training.weights import count_parameters, load_weights, weights_hash

DECILES = [round(0.1 * number, 1) for number in range(1, 10)]
LEVELS = [0.01, 0.05, *DECILES, 0.95, 0.99]
# The factor makes attention tell on the forecast, and keeps it near its context.
T5 = {"d_model": 16, "d_kv": 4, "d_ff": 32, "num_layers": 2, "num_heads": 4, "initializer_factor": 0.3}
PATCHES = {"context_length": 64, "input_patch_size": 8, "input_patch_stride": 8, "use_reg_token": True}
MODELS = {"chronos_bolt": ChronosBolt, "chronos_2": Chronos2, "timesfm": TimesFM}


def write_chronos_bolt(folder: Path, quantiles=DECILES) -> None:
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    shape = {**PATCHES, "prediction_length": 16, "quantiles": quantiles}
    pipeline = {"chronos_pipeline_class": "ChronosBoltPipeline", "decoder_start_token_id": 0}
    config = T5Config(**T5, num_decoder_layers=2, vocab_size=2, chronos_config=shape, **pipeline)
    ChronosBoltModelForForecasting(config).save_pretrained(folder)


def write_chronos_2(folder: Path, quantiles=LEVELS) -> None:
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    shape = {**PATCHES, "output_patch_size": 8, "max_output_patches": 2, "use_arcsinh": True}
    shape["quantiles"] = quantiles
    config = Chronos2CoreConfig(**T5, chronos_config=shape, chronos_pipeline_class="Chronos2Pipeline")
    Chronos2Model(config).save_pretrained(folder)


def write_timesfm(folder: Path, quantiles=DECILES) -> None:
    from timesfm3.torch import (
        ResidualBlockConfig,
        StackedTransformersConfig,
        TimesFM3Torch,
        TransformerConfig,
    )

    transformer = TransformerConfig(
        model_dims=16, hidden_dims=16, num_heads=2, attention_norm="rms", feedforward_norm="rms",
        qk_norm="rms", use_bias=False, use_rope_seq=True, use_rope_var=False, ff_activation="relu",
        deterministic=True,
    )  # fmt: skip
    TimesFM3Torch(
        input_patch_len=8,
        output_patch_len=16,
        quantiles=quantiles,
        residual_block_config=ResidualBlockConfig(16, 16, use_bias=False, activation="relu"),
        transformer_config=StackedTransformersConfig(num_layers=2, transformer=transformer),
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Folder of a tiny random checkpoint of each package."""
    root = tmp_path_factory.mktemp("weights")
    with torch.random.fork_rng(devices=[]):
        for seed, (name, write) in enumerate(WRITERS.items()):
            torch.manual_seed(seed)
            write(root / name)
    return root


WRITERS = {"chronos_bolt": write_chronos_bolt, "chronos_2": write_chronos_2, "timesfm": write_timesfm}


@pytest.fixture
def loaded(weights, shape_of):
    """Makes a model with its tiny weights: `loaded("timesfm", context, horizon, **shape)`."""

    def make(name, context=48, horizon=12, hyperparameters=None, quantiles=tuple(DECILES), **shape):
        made = replace(shape_of(context, horizon, **shape), quantiles=quantiles)
        model = build(MODELS[name], made, hyperparameters, 0)
        load_weights(model, weights / name)
        return model

    return make


@pytest.fixture
def copied(weights, tmp_path):
    """Copies a tiny checkpoint to a folder that the test may spoil."""

    def copy(name):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("config.json", "model.safetensors"):
            (folder / file).write_bytes((weights / name / file).read_bytes())
        return folder

    return copy


def context_of(samples=5, steps=48, channels=2) -> torch.Tensor:
    time = torch.arange(steps)[:, None]
    noise = torch.randn(samples, steps, channels, generator=torch.Generator().manual_seed(1))
    return 3 + torch.sin(2 * torch.pi * time / 24 + torch.arange(channels)) + 0.3 * noise


def edit(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def close(found, expected, atol=1e-5):
    torch.testing.assert_close(found, torch.as_tensor(expected), atol=atol, rtol=1e-5)


class TestAgainstThePackages:
    @pytest.mark.parametrize("horizon", [12, 40])  # 40: beyond the 16 steps of the network
    def test_chronos_bolt_gives_the_quantiles_of_its_pipeline(self, loaded, weights, horizon):
        from chronos import BaseChronosPipeline

        context = context_of()
        pipeline = BaseChronosPipeline.from_pretrained(str(weights / "chronos_bolt"))

        found = loaded("chronos_bolt", horizon=horizon, channels=2).predict({"context": context})

        assert (found.kind, found.quantiles) == ("quantiles", tuple(DECILES))
        for sample in range(5):
            for channel in range(2):
                expected = pipeline.predict(context[sample, :, channel], prediction_length=horizon)[0]
                close(found.values[:, sample, :, channel], expected)

    @pytest.mark.parametrize("horizon", [12, 40])
    def test_chronos_2_reads_channels_and_covariates_as_its_pipeline_does(self, loaded, weights, horizon):
        from chronos import BaseChronosPipeline

        context, names = context_of(channels=3), ("calendar:hour", "rain", "price")
        past = torch.randn(5, 48, 3, generator=torch.Generator().manual_seed(2))
        future = torch.randn(5, horizon, 2, generator=torch.Generator().manual_seed(3))
        model = loaded("chronos_2", horizon=horizon, channels=3, targets=(2, 0))
        model.shape = replace(
            model.shape, past_covariates=names, future_covariates=("price", "calendar:hour")
        )
        model.__init__(model.shape)  # the covariates are chosen when the model is built
        load_weights(model, weights / "chronos_2")
        pipeline = BaseChronosPipeline.from_pretrained(str(weights / "chronos_2"))

        found = model.predict({"context": context, "past_covariates": past, "future_covariates": future})

        for sample in range(5):
            given = {
                "target": context[sample, :, [2, 0]].T.numpy(),
                "past_covariates": {
                    "a channel": context[sample, :, 1].numpy(),
                    "rain": past[sample, :, 1].numpy(),
                    "price": past[sample, :, 2].numpy(),
                },
                "future_covariates": {"price": future[sample, :, 0].numpy()},
            }
            (expected,), _ = pipeline.predict_quantiles([given], horizon, DECILES)
            close(found.values[:, sample], expected.permute(2, 1, 0))

    def test_timesfm_gives_the_quantiles_of_its_evaluator(self, loaded, weights):
        from timesfm3.torch import TimesFM3Evaluator

        context = context_of(channels=3)
        past = torch.randn(5, 48, 2, generator=torch.Generator().manual_seed(2))
        future = torch.randn(5, 40, 1, generator=torch.Generator().manual_seed(3))
        model = loaded("timesfm", horizon=40, channels=3, targets=(2, 0))
        model.__init__(replace(model.shape, past_covariates=("rain", "price"), future_covariates=("price",)))
        load_weights(model, weights / "timesfm")
        evaluator = TimesFM3Evaluator.from_pretrained(str(weights / "timesfm"), device="cpu")

        found = model.predict({"context": context, "past_covariates": past, "future_covariates": future})

        for sample in range(5):
            others = [context[sample, :, 1], past[sample, :, 0]]
            expected = evaluator.predict(
                context[sample, :, [2, 0]].T.numpy(),
                40,
                past_only_covariates=torch.stack(others).numpy(),
                past_future_covariates=torch.cat([past[sample, :, 1], future[sample, :, 0]]).numpy()[None],
                return_quantiles=True,
                use_symmetric_averaging=True,
            ).quantiles
            close(found.values[:, sample], torch.from_numpy(expected).permute(2, 1, 0))

    def test_chronos_2_alone_is_its_univariate_forecast(self, loaded, weights):
        from chronos import BaseChronosPipeline

        context = context_of()
        pipeline = BaseChronosPipeline.from_pretrained(str(weights / "chronos_2"))
        apart = Chronos2Hyperparameters(joint=False)

        found = loaded("chronos_2", channels=2, hyperparameters=apart).predict({"context": context}).values

        (expected,), _ = pipeline.predict_quantiles([context[3, :, 1]], 12, DECILES)
        close(found[:, 3, :, 1], expected[0].T)
        joint = loaded("chronos_2", channels=2).predict({"context": context}).values
        assert (joint - found).abs().max() > 1e-3

    def test_timesfm_alone_reads_no_other_channel(self, loaded):
        context = context_of()
        model = loaded("timesfm", channels=2, hyperparameters=TimesFMHyperparameters(joint=False))

        changed = torch.stack([context[..., 0], -context[..., 1]], dim=2)

        first, second = (model.predict({"context": one}).values for one in (context, changed))
        close(second[..., 0], first[..., 0])
        assert (second[..., 1] - first[..., 1]).abs().max() > 1

    def test_calendar_columns_are_read_where_they_are_asked_for(self, loaded):
        batch = {"context": context_of(channels=1), "past_covariates": torch.rand(5, 48, 4) - 0.5}
        batch["future_covariates"] = torch.rand(5, 12, 4) - 0.5
        plain, marked = (
            loaded("chronos_2", hyperparameters=Chronos2Hyperparameters(calendar=calendar))
            for calendar in (False, True)
        )

        assert (plain.known, len(marked.known)) == ([], 4)
        close(plain.predict(batch).values, plain.predict({"context": batch["context"]}).values)
        assert (marked.predict(batch).values - plain.predict(batch).values).abs().max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
class TestLaws:
    @pytest.mark.parametrize("horizon", [12, 40])
    def test_a_forecast_does_not_depend_on_the_rest_of_the_batch(self, loaded, name, horizon):
        model, context = loaded(name, horizon=horizon, channels=2), context_of(40)
        observed = torch.ones_like(context, dtype=torch.bool)
        observed[::3, :20] = False  # series of different length
        batch = {"context": context, "observed": observed}

        whole = model.predict(batch).values

        for case in (0, 1, 39):
            alone = model.predict({key: one[case, None] for key, one in batch.items()}).values
            close(whole[:, case], alone[:, 0])

    def test_values_that_were_not_observed_do_not_matter(self, loaded, name):
        model, context = loaded(name, channels=2), context_of()
        observed = torch.rand(context.shape, generator=torch.Generator().manual_seed(4)) > 0.2
        observed[0, :30] = False
        filled = context.masked_fill(~observed, 1e4)

        found = model.predict({"context": filled, "observed": observed}).values

        close(found, model.predict({"context": context, "observed": observed}).values)
        assert (found - model.predict({"context": context}).values).abs().max() > 1e-3

    def test_a_series_that_begins_late_is_forecast_as_one_that_is_short(self, loaded, name):
        long, short = loaded(name, context=48), loaded(name, context=21)
        context = context_of(channels=1)
        observed = torch.ones_like(context, dtype=torch.bool)
        observed[:, :27] = False

        found = long.predict({"context": context.masked_fill(~observed, 0), "observed": observed}).values

        close(found, short.predict({"context": context[:, 27:]}).values)

    def test_a_series_without_any_value_is_forecast_with_numbers(self, loaded, name):
        context = torch.zeros(2, 48, 1)
        observed = torch.tensor([False, True])[:, None, None].expand(2, 48, 1)

        assert loaded(name).predict({"context": context, "observed": observed}).values.isfinite().all()

    def test_more_context_than_the_network_was_trained_with_is_taken(self, loaded, name):
        values = loaded(name, context=100).predict({"context": context_of(steps=100, channels=1)}).values

        assert values.shape == (9, 5, 12, 1)
        assert values.isfinite().all()

    def test_parameters_and_hash_are_those_of_the_weights(self, loaded, weights, name, copied):
        model, tensors = loaded(name), load_file(weights / name / "model.safetensors")
        folder = copied(name)
        changed = {key: one + (key == min(tensors)) for key, one in tensors.items()}
        save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
        other = loaded(name)
        load_weights(other, folder)

        assert count_parameters(model) == sum(one.numel() for one in tensors.values())
        assert weights_hash(model) == weights_hash(loaded(name))
        assert weights_hash(model) != weights_hash(other)

    def test_half_precision_is_read_as_float32(self, loaded, name, copied):
        folder = copied(name)
        path = folder / "model.safetensors"
        halves = {key: one.bfloat16() for key, one in load_file(path).items()}
        save_file(halves, path, metadata={"format": "pt"})
        if name != "timesfm":
            edit(folder, dtype="bfloat16", torch_dtype="bfloat16")
        model = loaded(name)

        load_weights(model, folder)

        assert {one.dtype for one in model.parameters()} == {torch.float32}

    def test_only_some_levels_are_some_of_all(self, loaded, name):
        batch = {"context": context_of(channels=1)}

        some = loaded(name, quantiles=(0.2, 0.5)).predict(batch)

        assert some.quantiles == (0.2, 0.5)
        close(some.values, loaded(name).predict(batch).values[[1, 4]])


@pytest.mark.gpu
@pytest.mark.parametrize("name", MODELS)
def test_a_forecast_on_a_device_is_that_of_the_processor(loaded, name):
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    context = context_of()
    observed = torch.rand(context.shape, generator=torch.Generator().manual_seed(4)) > 0.2
    batch = {"context": context, "observed": observed}
    expected = loaded(name, channels=2, horizon=40).predict(batch).values

    model = loaded(name, channels=2, horizon=40).to("cuda")
    found = model.predict({key: one.cuda() for key, one in batch.items()}).values

    assert found.is_cuda
    close(found.cpu(), expected, atol=1e-3)


class TestLevels:
    def test_chronos_2_interpolates_linearly_between_levels(self, loaded):
        batch = {"context": context_of(channels=1)}

        between = loaded("chronos_2", quantiles=(0.25, 0.5)).predict(batch).values[0]

        all_of_them = loaded("chronos_2").predict(batch).values
        close(between, (all_of_them[1] + all_of_them[2]) / 2)

    def test_chronos_bolt_interpolates_as_its_pipeline_does(self, loaded, weights):
        from chronos import BaseChronosPipeline

        context = context_of(channels=1)
        pipeline = BaseChronosPipeline.from_pretrained(str(weights / "chronos_bolt"))

        found = loaded("chronos_bolt", quantiles=(0.25, 0.5)).predict({"context": context}).values

        expected, _ = pipeline.predict_quantiles(context[..., 0], 12, [0.25, 0.5])
        close(found[..., 0], expected.permute(2, 0, 1))

    @pytest.mark.parametrize(
        ("name", "level", "message"),
        [
            (
                "chronos_bolt",
                0.05,
                r"chronos_bolt cannot forecast the quantiles \[0.05\]: .* trained at \[0.1",
            ),
            ("chronos_2", 0.005, r"chronos_2 cannot forecast the quantiles \[0.005\]: .* trained at \[0.01"),
            ("timesfm", 0.05, r"timesfm cannot forecast the quantiles \[0.05\]: .* nothing is known beyond"),
            ("timesfm", 0.25, r"timesfm cannot forecast the quantiles \[0.25\]: .* no rule for others"),
        ],
    )
    def test_levels_that_the_network_does_not_give_are_refused(self, loaded, name, level, message):
        with pytest.raises(InputError, match=message):
            loaded(name, quantiles=(level, 0.5))

    def test_uneven_levels_are_not_interpolated(self, shape_of, tmp_path):
        write_chronos_bolt(tmp_path, quantiles=[0.1, 0.5, 0.6])
        model = build(ChronosBolt, replace(shape_of(48, 12), quantiles=(0.2, 0.5)), None, 0)

        with pytest.raises(InputError, match="between evenly spaced quantiles only"):
            load_weights(model, tmp_path)

    def test_weights_without_the_median_are_refused(self, shape_of, tmp_path):
        write_timesfm(tmp_path, quantiles=[0.1, 0.4, 0.9])
        model = build(TimesFM, replace(shape_of(48, 12), quantiles=(0.1,)), None, 0)

        with pytest.raises(InputError, match="lack the median 0.5"):
            load_weights(model, tmp_path)


@pytest.mark.parametrize("name", MODELS)
class TestRefusals:
    def test_without_weights_the_message_says_what_to_give(self, shape_of, name):
        model = build(MODELS[name], shape_of(48, 12), None, 0)

        with pytest.raises(InputError, match=f"{name} forecasts with given weights only: --weights FOLDER"):
            model.predict({"context": context_of(channels=1)})

    def test_a_missing_package_is_one_line(self, shape_of, monkeypatch, name):
        monkeypatch.setitem(sys.modules, MODELS[name].package, None)

        with pytest.raises(
            InputError, match=rf'{name} needs the package .*: pip install "tsbench\[foundation\]"'
        ):
            build(MODELS[name], shape_of(48, 12), None, 0)

    def test_a_pickle_is_refused(self, loaded, copied, name):
        folder = copied(name)
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

        with pytest.raises(InputError, match=r"a pickle \(pytorch_model.bin\).* not opened"):
            load_weights(loaded(name), folder)

    def test_a_file_instead_of_the_folder_is_refused(self, shape_of, weights, name):
        model = build(MODELS[name], shape_of(48, 12), None, 0)

        with pytest.raises(InputError, match="is no folder; .* takes one with config.json and safetensors"):
            load_weights(model, weights / name / "model.safetensors")

    def test_weights_of_another_model_are_refused(self, loaded, weights, name):
        other = "timesfm" if name != "timesfm" else "chronos_2"

        with pytest.raises(InputError, match="architectures must be|is not of TimesFM 3"):
            load_weights(loaded(name), weights / other)

    @pytest.mark.parametrize("change", ["missing", "superfluous", "shape"])
    def test_tensors_that_do_not_fit_are_refused(self, loaded, copied, name, change):
        path = copied(name) / "model.safetensors"
        tensors = load_file(path)
        # The packages would leave what is missing at random.
        first = next(key for key in sorted(tensors) if "patch_embedding" in key or "resblock" in key)
        if change == "missing":
            del tensors[first]
        elif change == "superfluous":
            tensors["further"] = torch.ones(1)
        else:
            tensors[first] = torch.ones(3)
        save_file(tensors, path, metadata={"format": "pt"})

        with pytest.raises(InputError, match="does not fit|cannot be read as"):
            load_weights(loaded(name), path.parent)

    def test_a_truncated_file_is_refused(self, loaded, copied, name):
        path = copied(name) / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-100])

        with pytest.raises(InputError, match="cannot be read as|is damaged"):
            load_weights(loaded(name), path.parent)

    def test_a_damaged_config_is_refused(self, loaded, copied, name):
        folder = copied(name)
        edit(folder, chronos_config={"context_length": 8}, transformer_config={"num_layers": 2})

        with pytest.raises(InputError, match="cannot be read as"):
            load_weights(loaded(name), folder)

    def test_another_checksum_is_refused(self, loaded, copied, name):
        folder = copied(name)
        (folder / "SHA256SUMS").write_text(f"{'0' * 64}  model.safetensors\n")

        with pytest.raises(InputError, match="differs from its checksum in SHA256SUMS"):
            load_weights(loaded(name), folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn_implementation": "someone/kernel"}, "attn_implementation = 'someone/kernel' is not read"),
        ({"quantization_config": {"load_in_4bit": True}}, "quantization_config = .* is not read"),
    ],
)
def test_a_config_that_asks_for_further_code_is_refused(loaded, copied, changes, message):
    folder = copied("chronos_2")
    edit(folder, **changes)

    with pytest.raises(InputError, match=message):
        load_weights(loaded("chronos_2"), folder)


def test_an_adapter_is_refused(loaded, copied):
    folder = copied("chronos_2")
    (folder / "adapter_config.json").write_text("{}")

    with pytest.raises(InputError, match="holds an adapter; merge it"):
        load_weights(loaded("chronos_2"), folder)


def test_code_beside_the_weights_is_not_run(loaded, copied, tmp_path):
    folder = copied("chronos_bolt")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass C: ...\n")
    edit(folder, auto_map={"AutoConfig": "own.C", "AutoModel": "own.C"})

    load_weights(loaded("chronos_bolt"), folder)

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", MODELS)
def test_a_run_with_given_weights_is_zero_shot(waves_at_hand, wave_task, weights, name):
    conduct = Conduct(track=False)

    result = tb.run(name, wave_task(), context=48, weights=weights / name, conduct=conduct, threads=1)

    tensors = load_file(weights / name / "model.safetensors")
    assert result.track.learning == "zero-shot"
    # Nothing is known of what the weights have seen, and the Result says so.
    assert [(one.dataset, one.start, one.end) for one in result.trained_on] == [(f"file:{name}", "0", "-1")]
    assert "fit" not in result.cost
    assert result.forecast_kind == "quantiles"
    assert result.model.parameters == sum(one.numel() for one in tensors.values())
    assert result.model.weights is not None
    assert np.isfinite(result.scores["mse"]["regular"])
    package = "timesfm" if name == "timesfm" else "chronos-forecasting"
    assert package in result.provenance.versions


def test_weights_of_a_model_that_would_be_fitted_say_nothing_of_how_they_learned(
    waves_at_hand, wave_task, tmp_path
):
    conduct, chosen = Conduct(track=False), {"context": 48, "training": {"epochs": 1}, "threads": 1}
    tb.fit("dlinear", wave_task(), conduct=conduct, **chosen)
    (file,) = waves_at_hand.rglob("weights.safetensors")
    copy = tmp_path / "given.safetensors"
    copy.write_bytes(file.read_bytes())

    result = tb.evaluate("dlinear", wave_task(), conduct=conduct, weights=copy, **chosen)

    assert result.track.learning == "unknown"
