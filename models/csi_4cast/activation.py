"""Activations by the names that the official configurations use."""

from typing import Literal

from torch import nn

Activation = Literal[
    "none", "identity", "relu", "sigmoid", "tanh", "leaky_relu", "elu", "selu", "gelu", "softplus"
]

_KINDS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
}


def activation(name: str) -> nn.Module:
    """The activation of that name, with torch's defaults."""
    return _KINDS[name]()
