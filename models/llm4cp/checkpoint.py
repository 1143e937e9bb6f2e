"""Published weights of GPT-2, from a Hugging Face folder into the first blocks of a decoder."""

from pathlib import Path
from typing import Any

import torch

from tsbench.contracts import InputError
from tsbench.training.published_folder import CONFIG, read_object, read_shapes, read_state

from .gpt2 import Configuration, Decoder

PREFIX = "transformer."
"""Before every name of a folder that was saved with its head."""
HEAD = "lm_head.weight"
"""A copy of the table of tokens, in such a folder."""
MASKS = ("attn.bias", "attn.masked_bias")
"""Constants of a block that older folders hold beside its weights."""
FIXED = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
"""Keys of config.json → the values that this network computes; all may be absent but the first."""


def read_gpt2(folder: Path, configuration: Configuration, whole: int) -> dict[str, torch.Tensor]:
    """The state of a decoder, float32, from a folder whose further blocks are left out.

    Args:
        folder: config.json and safetensors, of the bare decoder or with its head.
        configuration: of the decoder.
        whole: blocks that the folder must hold.

    Raises:
        InputError: where the folder is damaged or holds a pickle, another network or other sizes.
    """
    _check(folder, configuration, whole)
    prefix = PREFIX if any(name.startswith(PREFIX) for name in read_shapes(folder)) else ""
    with torch.device("meta"):
        shapes = {name: one.shape for name, one in Decoder(configuration).state_dict().items()}
    block = [name.removeprefix("h.0.") for name in shapes if name.startswith("h.0.")]
    ignored = {
        f"{prefix}h.{number}.{name}" for number in range(configuration.blocks, whole) for name in block
    }
    ignored |= {f"{prefix}h.{number}.{name}" for number in range(whole) for name in MASKS}
    ignored |= {HEAD} if prefix else set()
    ignored |= set() if configuration.vocabulary else {f"{prefix}wte.weight"}
    state = read_state(folder, {prefix + name: one for name, one in shapes.items()}, ignored=ignored)
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}


def _check(folder: Path, configuration: Configuration, whole: int) -> None:
    path = folder / CONFIG
    given = read_object(path)
    for key, allowed in FIXED.items():
        found = given.get(key, None if key == "model_type" else allowed[0])
        if found not in allowed:
            raise InputError(f"{path}: {key} must be {allowed[0]!r}, not {found!r}")
    sizes: dict[str, Any] = {
        "n_embd": configuration.width,
        "n_head": configuration.heads,
        "n_layer": whole,
        "n_positions": configuration.positions,
        "layer_norm_epsilon": configuration.epsilon,
    }
    if configuration.vocabulary:
        sizes["vocab_size"] = configuration.vocabulary
    for key, wanted in sizes.items():
        if given.get(key) != wanted:
            raise InputError(
                f"{path}: {key} is {given.get(key)!r}, not {wanted} as in the chosen backbone; "
                "choose the one that the folder holds with --set backbone=NAME"
            )
    inner = given.get("n_inner")
    if inner not in (None, 4 * configuration.width):
        raise InputError(f"{path}: n_inner must be null or {4 * configuration.width}, not {inner!r}")
