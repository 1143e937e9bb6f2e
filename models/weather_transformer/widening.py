"""Full fine-tuning, the other way to new variables: the whole model reads and forecasts them as well."""

import torch

from .model import WeatherTransformer


def widen(model: WeatherTransformer, tensors: dict[str, torch.Tensor], known: tuple[str, ...]) -> None:
    """Load the weights of a model of fewer channels; what reads new ones starts at zero.

    Args:
        model: of all channels; the known ones come first.
        tensors: weights of a model of the known channels.
        known: their names.

    Raises:
        ValueError: where the known channels are not the first ones.
    """
    shape, few = model.shape, len(known)
    if shape.channels[:few] != known:
        raise ValueError(f"the first channels must be {known}, not {shape.channels[:few]}")
    state, many = model.state_dict(), len(shape.channels)
    for name, one in tensors.items():
        if name == "backbone.embed.weight":
            state[name] = _read_more(one, state[name], shape.context, few, many)
        elif name == "spread":
            state[name][:few] = one
        elif name.startswith("head.layers.1."):
            # Points of a token follow each other channel by channel.
            state[name][: len(one)] = one
        else:
            state[name] = one
    model.load_state_dict(state, strict=True)


def _read_more(weight: torch.Tensor, wider: torch.Tensor, context: int, few: int, many: int) -> torch.Tensor:
    """Weights of the first layer (width, channel, row, column), steps × channels and then static fields."""
    wider = torch.zeros_like(wider)
    for step in range(context):
        wider[:, step * many : step * many + few] = weight[:, step * few : (step + 1) * few]
    wider[:, context * many :] = weight[:, context * few :]
    return wider
