"""LLM4CP: a language model whose blocks stay frozen forecasts channel responses that were made its tokens.

Liu et al., "LLM4CP: Adapting Large Language Models for Channel Prediction", 2024 (arXiv 2406.14440), and its
port in CSI-4CAST (arXiv 2510.12996). Names of parameters are those of the port.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from tsbench.contracts import Forecast, InputError, TaskShape
from tsbench.training.module import NeuralForecaster
from tsbench.training.source import CorpusSource, FitReport, TaskSource

from .checkpoint import read_gpt2
from .gpt2 import SIZES, Decoder
from .network import PATCH, Network

PUBLISHED = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")
"""Backbones that are nothing without the weights that others have trained."""
BARE_WIDTH = 768
"""Of a token where there is no backbone."""
LEARNED = {"norms": ("ln", "wpe"), "norms_and_perceptrons": ("ln", "wpe", "mlp"), "all": ("",)}
"""Parts of the names of the backbone's parameters that are fitted."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of LLM4CP.

    Attributes:
        backbone: decoder on the tokens; `identity`: none, the tokens go on as they are.
        blocks: of the backbone that are kept, the first ones.
        learned: what is fitted of the backbone: normalisations and positions, the perceptrons too, or all.
        width: of a token, at most that of the backbone; None: as wide, and 768 without one.
        residual_width: maps of the convolutions.
        residual_blocks: blocks of convolutions in each of the two branches.
        dropout: of the tokens, in training.
        original: the form of the authors' code: no bias in the convolution to tokens, unbiased deviation.
            Otherwise that of its port in CSI-4CAST.
        compat: read the delays as both codes do, real parts of all before the imaginary ones, as pairs.
        pooled_loss: with the loss `nmse`, the squared error of a batch over its power, as the authors train;
            otherwise the mean over samples and steps, as its port does.
    """

    backbone: Literal["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "gpt2-tiny", "identity"] = "gpt2"
    blocks: int = 6
    learned: Literal["norms", "norms_and_perceptrons", "all"] = "norms"
    width: int | None = None
    residual_width: int = 64
    residual_blocks: int = 4
    dropout: float = 0.1
    original: bool = False
    compat: bool = True
    pooled_loss: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        if self.backbone != "identity":
            whole = SIZES[self.backbone]
            whole.truncated(self.blocks)
            if self.width is not None and not 1 <= self.width <= whole.width:
                raise ValueError(f"width must be 1 to {whole.width}, that of {self.backbone}")
        for name in ("residual_width", "residual_blocks", "width"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout}")


class Llm4Cp(NeuralForecaster):
    """Forecasts channel responses with the frozen blocks of GPT-2, whose weights must be given.

    Batches are normalised as a whole, so a call that is to be repeated holds one group.

    Raises:
        InputError: for an odd number of channels, which are pairs of real and imaginary part, and for a
            look-back that patches do not fill or that exceeds the positions of the backbone.
    """

    couples: ClassVar[bool] = True
    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen = hyperparameters or self.Hyperparameters()
        self.backbone, self.pooled_loss = chosen.backbone, chosen.pooled_loss
        whole = SIZES.get(chosen.backbone)
        _check(shape, whole.positions if whole else None)
        decoder = Decoder(whole.truncated(chosen.blocks)) if whole else None
        self.model = Network(
            channels=len(shape.channels),
            context=shape.context,
            horizon=shape.horizon,
            backbone=decoder,
            width=chosen.width or (whole.width if whole else BARE_WIDTH),
            residual_width=chosen.residual_width,
            residual_blocks=chosen.residual_blocks,
            dropout=chosen.dropout,
            original=chosen.original,
            compat=chosen.compat,
        )
        if decoder is not None:
            for name, parameter in decoder.named_parameters():
                parameter.requires_grad_(any(part in name for part in LEARNED[chosen.learned]))
        self.backbone_given = chosen.backbone not in PUBLISHED
        self.weights_given = self.backbone_given
        self.register_load_state_dict_post_hook(_note_weights)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        forecast = self.model(batch["context"])
        if self.shape.targets == self.shape.channels:
            return forecast
        return forecast[..., list(self.shape.target_index)]

    def predict(
        self, batch: Mapping[str, torch.Tensor], *, realizations: int | None = None, generator: Any = None
    ) -> Forecast:
        """Point forecast of a batch.

        Raises:
            InputError: where all that was given are the weights of the backbone, or nothing.
        """
        if not self.weights_given:
            raise InputError("llm4cp has learned nothing of channels yet: fit it first, with `run` or `fit`")
        return super().predict(batch, realizations=realizations, generator=generator)

    def fit(
        self, source: TaskSource | CorpusSource, init: Mapping[str, torch.Tensor] | None = None
    ) -> FitReport:
        """Train what is not frozen.

        Raises:
            InputError: where no weights of the backbone were given.
        """
        if init is None and not self.backbone_given:
            raise InputError(
                f"llm4cp is fitted around the published weights of {self.backbone}: add --weights FOLDER "
                f"(config.json and safetensors), or --weights openai-community/{self.backbone}. Without any: "
                "llm4cp_small, or --set backbone=identity"
            )
        return super().fit(source, init)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """Training loss, a scalar; with `pooled_loss` the ratio of two sums over the batch."""
        if not self.pooled_loss or self.settings.loss != "nmse":
            return super().loss(batch, reduction)
        error, power = (self(batch) - batch["target"]).square(), batch["target"].square()
        if "valid" in batch:
            error, power = (torch.where(batch["valid"], one, 0.0) for one in (error, power))
        ratio = error.sum() / power.sum().clamp_min(torch.finfo(power.dtype).tiny)
        # A sum counts a batch as often as it has samples and steps, so that the mean weighs them alike.
        return ratio * self.terms(batch) if reduction == "sum" else ratio

    def load_folder(self, folder: Path) -> None:
        """Load published weights of GPT-2 (config.json and safetensors) into the backbone, strictly.

        Raises:
            InputError: where the folder is damaged, holds a pickle or another network, or the model has no
                backbone.
        """
        decoder = self.model.gpt2
        if decoder is None:
            raise InputError(f"{folder} holds a backbone, and the backbone 'identity' is none")
        state = read_gpt2(folder, decoder.configuration, SIZES[self.backbone].blocks)
        decoder.load_state_dict(state, strict=True)
        self.backbone_given = True


def _check(shape: TaskShape, positions: int | None) -> None:
    if len(shape.channels) % 2:
        raise InputError(
            "llm4cp reads channels as pairs of real and imaginary part; "
            f"the task has {len(shape.channels)} context channels, and an even number is needed"
        )
    if shape.context % PATCH:
        raise InputError(f"llm4cp needs a context that is a multiple of {PATCH}, not {shape.context}")
    if positions is not None and shape.context > positions:
        raise InputError(f"llm4cp's backbone has {positions} positions; the context is {shape.context}")


def _note_weights(model: Any, _: Any) -> None:
    model.backbone_given = model.weights_given = True
