"""Time-MoE as a forecaster: normalisation, channels, training on a task, zero-shot use, Hugging Face folders."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tsbench.contracts import InputError
from tsbench.models.time_moe import generation
from tsbench.models.time_moe.checkpoint import read_configuration, write_folder
from tsbench.models.time_moe.configuration import SIZES
from tsbench.models.time_moe.model import Hyperparameters, TimeMoE
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource


def model_of(
    shape_of, context=48, horizon=20, seed=0, size="tiny", zero_shot=False, window_norm=True, **shape
):
    torch.manual_seed(seed)
    hyperparameters = Hyperparameters(size=size, zero_shot=zero_shot, window_norm=window_norm)
    return TimeMoE(shape_of(context, horizon, **shape), hyperparameters)


def context_of(samples: int = 4, steps: int = 48, channels: int = 1) -> torch.Tensor:
    return torch.randn(samples, steps, channels, generator=torch.Generator().manual_seed(1))


class TestForecasts:
    @pytest.mark.parametrize("horizon", [1, 20, 96])
    def test_they_have_the_shape_of_the_target(self, shape_of, horizon):
        model = model_of(shape_of, horizon=horizon, channels=3, targets=(2, 0))

        assert model.predict({"context": context_of(channels=3)}).values.shape == (4, horizon, 2)

    def test_they_follow_shift_and_scale_of_the_window(self, shape_of):
        model, context = model_of(shape_of), context_of()

        moved = model({"context": 8 * context + 50})

        torch.testing.assert_close(moved, 8 * model({"context": context}) + 50, atol=1e-3, rtol=1e-5)

    def test_without_window_normalisation_they_do_not(self, shape_of):
        model, context = model_of(shape_of, window_norm=False), context_of()

        assert (model({"context": context + 50}) - model({"context": context}) - 50).abs().min() > 1

    @pytest.mark.parametrize("level", [0.0, 0.1, -1e6])
    def test_a_look_back_that_never_changes_is_only_centred(self, shape_of, level):
        model = model_of(shape_of)
        found = model({"context": torch.full((1, 48, 1), level)})

        torch.testing.assert_close(found - level, model({"context": torch.zeros(1, 48, 1)}), atol=0.2, rtol=0)
        assert found.isfinite().all()

    def test_channels_are_sequences_of_their_own(self, shape_of):
        model, context = model_of(shape_of, channels=3), context_of(channels=3)
        alone = model_of(shape_of)

        together = model({"context": context})

        for channel in range(3):
            torch.testing.assert_close(
                together[..., channel],
                alone({"context": context[..., channel, None]})[..., 0],
                atol=1e-5,
                rtol=0,
            )

    def test_a_large_batch_is_forecast_in_parts(self, shape_of, monkeypatch):
        model, context = model_of(shape_of), context_of(7)
        whole = model({"context": context})

        monkeypatch.setattr(generation, "CACHE_BYTES", 2 * 2 * 4 * 2 * 32 * 68)  # two sequences of 68 steps

        assert generation.sequences_at_once(SIZES["tiny"], 68) == 2
        torch.testing.assert_close(model({"context": context}), whole, atol=1e-6, rtol=0)

    def test_zero_shot_without_weights_is_refused(self, shape_of):
        model = model_of(shape_of, zero_shot=True)

        with pytest.raises(
            InputError, match="zero-shot with given weights only: add --weights, or drop zero_shot"
        ):
            model.predict({"context": context_of()})

    def test_look_back_and_horizon_must_fit_the_positions(self, shape_of):
        with pytest.raises(
            InputError, match="at most 4096 steps of context and horizon together, not 4000 \\+ 97"
        ):
            model_of(shape_of, context=4000, horizon=97)


class TestTraining:
    def test_zero_shot_asks_for_no_fit_and_fine_tuning_does(self, shape_of):
        assert model_of(shape_of, zero_shot=True).fits == "none"
        assert model_of(shape_of).fits == "task"
        assert TimeMoE.fits == "task"

    def test_missing_targets_and_look_backs_do_not_reach_the_loss(self, shape_of):
        model = model_of(shape_of)
        target = torch.randn(4, 20, 1)
        valid = torch.ones(4, 20, 1, dtype=torch.bool)
        valid[:, 5:] = False
        batch = {"context": context_of(), "target": target, "valid": valid}
        batch["observed"] = torch.ones(4, 48, 1, dtype=torch.bool)

        loss = model.loss(batch)

        # Causal and right of every valid value, so that only labels could change the Huber terms.
        changed = batch | {"target": torch.where(valid, target, 1e3)}
        model.configuration = replace(SIZES["tiny"], apply_aux_loss=False)
        assert model.loss(batch) < loss
        torch.testing.assert_close(model.loss(changed), model.loss(batch), atol=1e-6, rtol=0)

    def test_evaluation_is_scored_by_the_generated_forecast(self, shape_of):
        model = model_of(shape_of).eval()
        batch = {"context": context_of(), "target": torch.randn(4, 20, 1)}

        expected = (model(batch) - batch["target"]).square().mean()
        torch.testing.assert_close(model.loss(batch), expected)

    def test_a_fit_lowers_the_objective(self, open_waves):
        settings = TrainingSettings(learning_rate=1e-2, epochs=2, batch_size=8)
        source = TaskSource(open_waves(), 24, 0, settings)
        torch.manual_seed(0)
        model = TimeMoE(source.shape, Hyperparameters(size="tiny"))

        report = model.fit(source)

        first, second = (epoch["train_loss"] for epoch in report.detail["history"])
        assert second < 0.9 * first


class TestHuggingFaceFolders:
    @pytest.fixture
    def folder(self, shape_of, tmp_path):
        model = model_of(shape_of, seed=3)
        write_folder(tmp_path / "weights", SIZES["tiny"], model.state_dict())
        return tmp_path / "weights"

    def edit(self, folder, **changes) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        (folder / "SHA256SUMS").unlink(missing_ok=True)

    def in_parts(self, folder) -> None:
        tensors = load_file(folder / "model.safetensors")
        names = sorted(tensors)
        halves = {
            "model-00001-of-00002.safetensors": names[:20],
            "model-00002-of-00002.safetensors": names[20:],
        }
        for file, part in halves.items():
            save_file({name: tensors[name] for name in part}, folder / file)
        mapped = {name: file for file, part in halves.items() for name in part}
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": mapped})
        )
        (folder / "model.safetensors").unlink()

    @pytest.mark.parametrize("parts", [False, True])
    def test_weights_make_the_round_trip(self, shape_of, folder, parts):
        if parts:
            self.in_parts(folder)
        model = model_of(shape_of, zero_shot=True)

        model.load_folder(folder)

        expected = model_of(shape_of, seed=3)({"context": context_of()})
        torch.testing.assert_close(model.predict({"context": context_of()}).values, expected, atol=0, rtol=0)

    def test_half_precision_is_read_as_float32(self, shape_of, folder):
        path = folder / "model.safetensors"
        save_file({name: one.bfloat16() for name, one in load_file(path).items()}, path)
        self.edit(folder, torch_dtype="bfloat16")
        model = model_of(shape_of)

        model.load_folder(folder)

        assert {one.dtype for one in model.state_dict().values()} == {torch.float32}

    def test_a_further_head_is_taken_over(self, shape_of, folder):  # time_moe.md: a fifth head of 128
        path = folder / "model.safetensors"
        save_file(load_file(path) | {"lm_heads.4.out_layer.weight": torch.zeros(128, 32)}, path)
        self.edit(folder, horizon_lengths=[1, 8, 32, 64, 128])
        model = model_of(shape_of, horizon=128)

        model.load_folder(folder)

        found = model({"context": context_of()})
        torch.testing.assert_close(found, context_of().mean(dim=1, keepdim=True).expand(4, 128, 1))

    def test_loaded_weights_can_be_fine_tuned(self, shape_of, folder):
        model = model_of(shape_of)
        model.load_folder(folder)

        model.loss({"context": context_of(), "target": torch.randn(4, 20, 1)}).backward()

        assert all(one.grad is not None for one in model.lm_heads.parameters())

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"model_type": "llama"}, "model_type must be 'time_moe', not 'llama'"),
            ({"input_size": 2}, "input_size must be 1, not 2"),
            ({"hidden_act": "gelu"}, "hidden_act must be 'silu', not 'gelu'"),
            ({"num_key_value_heads": 2}, "num_key_value_heads must equal num_attention_heads, not 2"),
            ({"hidden_size": "32"}, "hidden_size cannot be '32'"),
            ({"hidden_size": True}, "hidden_size cannot be True"),
            ({"horizon_lengths": [1.5]}, r"horizon_lengths cannot be \[1.5\]"),
            ({"horizon_lengths": [8, 1]}, "horizon_lengths must be positive and ascending"),
            ({"num_experts": 0}, "num_experts must be positive, not 0"),
            ({"hidden_size": 64}, "hidden_size is 64, not 32 as in the size 'tiny'$"),
            (
                {"max_position_embeddings": 60},
                "max_position_embeddings 60 is less than context 48 \\+ horizon 20",
            ),
            ({"num_experts": 8}, "num_experts is 8, not 4 as in the size 'tiny'$"),
            (
                {"num_hidden_layers": 2, "use_dense": True},
                "use_dense is True, not False as in the size 'tiny'$",
            ),
            ({"horizon_lengths": [1, 8]}, r"unexpected \['lm_heads.2"),
        ],
    )
    def test_a_config_of_another_network_is_refused(self, shape_of, folder, changes, message):
        self.edit(folder, **changes)

        with pytest.raises(InputError, match=message):
            model_of(shape_of).load_folder(folder)

    def test_the_size_that_would_fit_is_named(self, shape_of, tmp_path):
        write_folder(tmp_path / "base", SIZES["base"], {})

        with pytest.raises(
            InputError, match="hidden_size is 384, not 32 as in the size 'tiny'; choose size=base"
        ):
            model_of(shape_of).load_folder(tmp_path / "base")

    def test_a_key_that_must_be_there_is_named(self, folder):
        path = folder / "config.json"
        path.write_text(json.dumps({"model_type": "time_moe", "hidden_size": 32}))

        with pytest.raises(InputError, match="intermediate_size, num_hidden_layers, .* must be given"):
            read_configuration(folder)

    @pytest.mark.parametrize(("text", "message"), [("{", "is not JSON"), ("[]", "must hold an object")])
    def test_a_damaged_config_is_refused(self, folder, text, message):
        (folder / "config.json").write_text(text)

        with pytest.raises(InputError, match=message):
            read_configuration(folder)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("config.json", "There is no file .*config.json"),
            ("model.safetensors", "holds neither model.safetensors nor model.safetensors.index.json"),
        ],
    )
    def test_a_missing_file_is_named(self, shape_of, folder, name, message):
        (folder / name).unlink()

        with pytest.raises(InputError, match=message):
            model_of(shape_of).load_folder(folder)

    def test_a_missing_part_is_named(self, shape_of, folder):
        self.in_parts(folder)
        (folder / "model-00002-of-00002.safetensors").unlink()

        with pytest.raises(InputError, match="There is no file .*model-00002-of-00002.safetensors"):
            model_of(shape_of).load_folder(folder)

    @pytest.mark.parametrize("name", ["../model.safetensors", "pytorch_model.bin", 3])
    def test_an_index_that_leaves_the_folder_is_refused(self, shape_of, folder, name):
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))

        with pytest.raises(InputError, match="is not a safetensors file of the folder"):
            model_of(shape_of).load_folder(folder)

    def test_an_index_that_its_parts_do_not_follow_is_refused(self, shape_of, folder):
        self.in_parts(folder)
        path = folder / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        index["weight_map"]["model.norm.weight"] = "model-00001-of-00002.safetensors"
        path.write_text(json.dumps(index))

        with pytest.raises(InputError, match=r"disagree on the tensors \['model.norm.weight'\]"):
            model_of(shape_of).load_folder(folder)

    def test_pickled_weights_are_refused_with_what_to_do(self, shape_of, folder):
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")

        with pytest.raises(
            InputError, match=r"a pickle \(pytorch_model.bin\).* not opened; fetch model.safetensors"
        ):
            model_of(shape_of).load_folder(folder)

    def test_a_file_that_differs_from_its_checksum_is_refused(self, shape_of, folder):
        path = folder / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

        with pytest.raises(InputError, match="model.safetensors differs from its checksum in SHA256SUMS"):
            model_of(shape_of).load_folder(folder)

    def test_a_truncated_file_is_refused(self, shape_of, folder):
        (folder / "SHA256SUMS").unlink()
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-100])

        with pytest.raises(InputError, match="is not a safetensors file, or is damaged"):
            model_of(shape_of).load_folder(folder)

    @pytest.mark.parametrize(
        ("name", "tensor", "message"),
        [
            ("model.norm.weight", torch.ones(31), r"'model.norm.weight' has the shape \[31\], not \[32\]"),
            ("model.norm.weight", torch.ones(32, dtype=torch.int64), "holds torch.int64, not floating-point"),
            ("further", torch.ones(1), r"missing none, unexpected \['further'\]"),
        ],
    )
    def test_tensors_that_do_not_fit_are_refused(self, shape_of, folder, name, tensor, message):
        (folder / "SHA256SUMS").unlink()
        path = folder / "model.safetensors"
        save_file(load_file(path) | {name: tensor}, path)
        model = model_of(shape_of)
        before = {name: one.clone() for name, one in model.state_dict().items()}

        with pytest.raises(InputError, match=message):
            model.load_folder(folder)
        assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
