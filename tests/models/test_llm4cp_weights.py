"""Weights of GPT-2 into llm4cp: read as transformers writes them, strictly, and asked for where they lack."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tsbench.contracts import InputError
from tsbench.data.views import view_for
from tsbench.models.llm4cp.gpt2 import SIZES, Configuration, Decoder
from tsbench.models.llm4cp.model import Hyperparameters, Llm4Cp
from tsbench.models.llm4cp_small.model import Hyperparameters as SmallHyperparameters
from tsbench.models.llm4cp_small.model import Llm4CpSmall
from tsbench.training.settings import TrainingSettings
from tsbench.training.source import TaskSource
from tsbench.training.weights import load_weights, save_weights

SIZE = Configuration(width=16, heads=2, blocks=3, positions=32, vocabulary=11)
KEYS = {
    "n_embd": 16, "n_head": 2, "n_layer": 3, "n_positions": 32, "vocab_size": 11, "model_type": "gpt2",
    "layer_norm_epsilon": 1e-5,
}  # fmt: skip
CHOSEN = Hyperparameters(backbone="gpt2", blocks=2, residual_width=4, residual_blocks=1)


@pytest.fixture(autouse=True)
def tiny_gpt2(monkeypatch):
    """The size `gpt2` of these tests."""
    monkeypatch.setitem(SIZES, "gpt2", SIZE)


@pytest.fixture
def model(shape_of):
    chosen = replace(CHOSEN)
    return Llm4Cp(shape_of(16, 4, channels=10), chosen)


@pytest.fixture
def folder(tmp_path):
    """A folder as the hub has it: bare names, masks beside the weights."""
    torch.manual_seed(3)
    state = {name: torch.randn_like(one) for name, one in Decoder(SIZE).state_dict().items()}
    masks = {f"h.{number}.attn.bias": torch.ones(1, 1, 32, 32).tril() for number in range(3)}
    (tmp_path / "config.json").write_text(json.dumps(KEYS), encoding="utf-8")
    save_file(state | masks, tmp_path / "model.safetensors")
    return tmp_path


def rewrite(folder, change) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


def configure(folder, **changes) -> None:
    (folder / "config.json").write_text(json.dumps(KEYS | changes), encoding="utf-8")


@pytest.mark.parametrize("headed", [False, True])
def test_a_decoder_computes_what_transformers_computes(tmp_path, model, headed):
    import transformers

    config = transformers.GPT2Config(
        **{name: value for name, value in KEYS.items() if name != "model_type"}, attn_implementation="eager"
    )
    torch.manual_seed(0)
    kind = transformers.GPT2LMHeadModel if headed else transformers.GPT2Model
    reference = kind(config).eval()
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    reference.save_pretrained(tmp_path)

    load_weights(model, tmp_path)

    bare = reference.transformer if headed else reference
    bare.h = bare.h[:2]
    bare.config.n_layer = 2
    tokens = torch.randn(3, 9, 16)
    expected = bare(inputs_embeds=tokens).last_hidden_state
    torch.testing.assert_close(model.eval().model.gpt2(tokens), expected, atol=1e-5, rtol=1e-5)


def test_the_first_blocks_of_a_folder_are_kept_and_nothing_else_changes(folder, model):
    before = {name: one.clone() for name, one in model.state_dict().items()}
    given = load_file(folder / "model.safetensors")

    load_weights(model, folder)

    for name, one in model.state_dict().items():
        inner = name.removeprefix("model.gpt2.")
        assert torch.equal(one, before[name] if inner == name else given[inner]), name
    assert {name for name, one in model.model.gpt2.named_parameters() if one.requires_grad} == {
        name for name in given if ("ln" in name or "wpe" in name) and not name.startswith("h.2.")
    }


def test_a_backbone_without_a_table_of_tokens_leaves_that_of_a_folder_out(tmp_path, shape_of):
    size = SIZES["gpt2-tiny"]
    model = Llm4CpSmall(
        shape_of(16, 4, channels=10), SmallHyperparameters(residual_width=4, residual_blocks=1)
    )
    state = Decoder(replace(size, vocabulary=5)).state_dict()
    sizes = {"n_embd": 128, "n_head": 4, "n_layer": 2, "n_positions": 64, "vocab_size": 5}
    (tmp_path / "config.json").write_text(json.dumps(KEYS | sizes), encoding="utf-8")
    save_file(state, tmp_path / "model.safetensors")

    load_weights(model, tmp_path)

    assert torch.equal(model.model.gpt2.wpe.weight, state["wpe.weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_embd": 32}, "n_embd is 32, not 16 as in the chosen backbone; choose the one .*--set backbone"),
        ({"n_layer": 12}, "n_layer is 12, not 3"),
        ({"vocab_size": 5}, "vocab_size is 5, not 11"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06, not 1e-05"),
        ({"model_type": "llama"}, "model_type must be 'gpt2', not 'llama'"),
        ({"model_type": None}, "model_type must be 'gpt2', not None"),
        ({"activation_function": "relu"}, "activation_function must be 'gelu_new', not 'relu'"),
        (
            {"scale_attn_by_inverse_layer_idx": True},
            "scale_attn_by_inverse_layer_idx must be False, not True",
        ),
        ({"add_cross_attention": True}, "add_cross_attention must be False, not True"),
        ({"n_inner": 32}, "n_inner must be null or 64, not 32"),
    ],
)
def test_another_network_is_refused(folder, model, changes, message):
    configure(folder, **changes)

    with pytest.raises(InputError, match=f"config.json: {message}"):
        load_weights(model, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("h.1.ln_2.bias"), r"missing \['h.1.ln_2.bias'\]"),
        (lambda state: state.update(extra=torch.zeros(2)), r"unexpected \['extra'\]"),
        (lambda state: state.update({"h.3.ln_1.bias": torch.zeros(16)}), r"unexpected \['h.3.ln_1.bias'\]"),
        (
            lambda state: state.update({"ln_f.bias": torch.zeros(4)}),
            r"'ln_f.bias' has the shape \[4\], not \[16\]",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused_and_change_nothing(folder, model, change, message):
    before = {name: one.clone() for name, one in model.state_dict().items()}
    rewrite(folder, change)

    with pytest.raises(InputError, match=message):
        load_weights(model, folder)

    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_a_pickle_is_not_opened(folder, model):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"")

    with pytest.raises(InputError, match="as a pickle"):
        load_weights(model, folder)


def test_nothing_is_loaded_where_there_is_no_backbone(folder, shape_of):
    model = Llm4CpSmall(shape_of(16, 4, channels=10), SmallHyperparameters(backbone="identity"))

    with pytest.raises(InputError, match="the backbone 'identity' is none"):
        load_weights(model, folder)


class TestWithoutPublishedWeights:
    def test_it_is_not_fitted(self, model):
        with pytest.raises(InputError, match="--weights openai-community/gpt2. Without any: llm4cp_small"):
            model.fit(None)

    def test_it_forecasts_nothing_even_where_the_backbone_was_given(self, model, folder):
        load_weights(model, folder)

        with pytest.raises(InputError, match="has learned nothing of channels yet"):
            model.predict({"context": torch.zeros(2, 16, 10)})

    def test_it_forecasts_with_the_weights_of_a_fit(self, model, shape_of, tmp_path):
        save_weights(model, tmp_path / "weights.safetensors")
        fitted = Llm4Cp(shape_of(16, 4, channels=10), CHOSEN)
        load_weights(fitted, tmp_path / "weights.safetensors")

        forecast = fitted.eval().predict({"context": torch.randn(2, 16, 10)})

        assert forecast.values.shape == (2, 4, 10)

    def test_the_small_one_and_the_ablation_need_none(self, shape_of):
        shape, batch = shape_of(16, 4, channels=10), {"context": torch.randn(2, 16, 10)}
        bare = Llm4Cp(shape, replace(CHOSEN, backbone="identity", width=8))
        for model in (Llm4CpSmall(shape), bare):
            assert model.eval().predict(batch).values.shape == (2, 4, 10)


def test_a_fit_leaves_the_frozen_weights_of_the_folder_as_they_are(folder, open_responses):
    data = open_responses()
    view = view_for("csi", ("sequence",))
    model = Llm4Cp(view.shape(data.shape(4)), CHOSEN)
    load_weights(model, folder)
    given, settings = load_file(folder / "model.safetensors"), TrainingSettings(loss="nmse", epochs=1)

    report = model.fit(TaskSource(data, 4, 0, settings=settings, uses=model.uses, view=view))

    for name, one in model.model.gpt2.state_dict().items():
        learned = "ln" in name or "wpe" in name
        assert torch.equal(one, given[name]) == (not learned), name
    assert report.epochs == 1
    assert model.eval().predict({"context": torch.randn(2, 4, 10)}).values.shape == (2, 2, 10)
