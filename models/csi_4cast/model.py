"""CSI-4CAST: denoiser, adaptive correction, shuffle embedding and Transformer, for each antenna.

Cheng et al., "CSI-4CAST: A Hybrid Deep Learning Model for CSI Prediction with Comprehensive Robustness and
Generalization Testing", arXiv 2510.12996. Hyper-parameters and parameters have the official names. The parts
are in the files beside this one, which joins them; `inference.py` makes the same forecast faster.

The look-back of a whole batch is scaled by one mean and one deviation, so that a forecast depends on who
shares the batch: the model says that it couples, and evaluation gives it the antennas of one sample a call.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape
from tsbench.training.module import NeuralForecaster

from .correction import AdaptiveCorrection, NormalisedDomains, Perceptron, Projection
from .denoiser import Denoiser
from .embedding import Embedding, shuffle_branch
from .hyperparameters import Hyperparameters
from .inference import fast_forecast
from .predictor import Head, Predictor
from .replacements import RecurrentPredictor, mobile_branch, perceptron_branch

SMALLEST_DEVIATION = 1e-6


class Csi4Cast(NeuralForecaster):
    """The model for time-division and frequency-division duplex, which differ in hyper-parameters alone.

    In evaluation without gradients, on a processor, a folded form of the same weights makes the forecast,
    which agrees to 1e-5; `fast_inference=False` switches it off.

    Raises:
        InputError: for an odd number of channels, which are pairs of real and imaginary part, or for heads
            that do not divide the width of a token.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        super().__init__(shape)
        chosen: Hyperparameters = hyperparameters or self.Hyperparameters()
        channels = len(shape.channels)
        if channels % 2:
            raise InputError(
                "csi_4cast reads channels as pairs of real and imaginary part; "
                f"the task has {channels} context channels, and an even number is needed"
            )
        self.chosen = chosen
        self.couples = chosen.statistics == "batch"
        self.denoiser = _denoiser(chosen, shape.context)
        self.arl = _correction(chosen, shape.context, channels)
        self.embedding = _embedding(chosen, shape.context, channels)
        self.transformer = _predictor(chosen)
        self.mlp = Head(chosen.dim_model, channels, shape.context, shape.horizon)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Forecast, shape (sample, lead_time, target)."""
        forecast = self.forecast(batch["context"])
        if self.shape.targets == self.shape.channels:
            return forecast
        return forecast[..., list(self.shape.target_index)]

    def forecast(self, series: torch.Tensor) -> torch.Tensor:
        """Every channel's forecast, (sample, lead_time, channel), of a series (sample, time, channel)."""
        evaluating = not self.training and not torch.is_grad_enabled()
        if self.chosen.fast_inference and evaluating and series.device.type == "cpu":
            return fast_forecast(self, series)
        return self.plain(series)

    def plain(self, series: torch.Tensor) -> torch.Tensor:
        """The forecast, layer by layer: in training, and what the fast form is held against."""
        scaled, mean, deviation = self.standardise(self.denoiser(series))
        tokens = self.transformer(self.embedding(*self.arl(scaled)))
        return self.mlp(tokens) * deviation + mean

    def standardise(self, series: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The series less its mean over its deviation, and both; over the whole batch or over each sequence.

        Args:
            series: shape (sample, time, channel).

        Returns:
            The same shape; mean and population deviation, no less than 1e-6, scalars or (sample, 1, 1).
        """
        if self.chosen.statistics == "batch":
            mean, deviation = series.mean(), series.std(correction=0)
        else:
            mean = series.mean(dim=(1, 2), keepdim=True)
            deviation = series.std(dim=(1, 2), correction=0, keepdim=True)
        deviation = deviation.clamp_min(SMALLEST_DEVIATION)
        return (series - mean) / deviation, mean, deviation


def _denoiser(chosen: Hyperparameters, context: int) -> nn.Module:
    if chosen.denoiser_num_filters_2d <= 1:
        return nn.Identity()
    return Denoiser(
        context,
        filters=chosen.denoiser_num_filters_2d,
        kernel=chosen.denoiser_filter_size_2d,
        post_kernel=chosen.denoiser_filter_size_1d,
        activation_name=chosen.denoiser_activation,
        post=chosen.denoiser_is_post_processor,
        residual=chosen.denoiser_is_residual,
        last_activation=chosen.denoiser_last_activation,
    )


def _correction(chosen: Hyperparameters, context: int, channels: int) -> nn.Module:
    if chosen.arl != "adaptive":
        return NormalisedDomains(context, chosen.arl, chosen.delay_path)
    temporal = Projection(
        chosen.arl_temporal_proj_num_layers,
        chosen.arl_temporal_proj_hidden_dim,
        chosen.arl_temporal_proj_is_arl,
        chosen.arl_temporal_proj_output_activation_name,
        chosen.arl_temporal_proj_arl_operation,
    )
    subcarrier = Projection(
        chosen.arl_subcarrier_proj_num_layers,
        chosen.arl_subcarrier_proj_hidden_dim,
        chosen.arl_subcarrier_proj_is_arl,
        chosen.arl_subcarrier_proj_output_activation_name,
        chosen.arl_subcarrier_proj_arl_operation,
    )
    return AdaptiveCorrection(
        context,
        channels,
        temporal,
        subcarrier if chosen.arl_is_U2D else None,
        chosen.delay_path,
        chosen.arl_delay_multiplies,
    )


def _embedding(chosen: Hyperparameters, context: int, channels: int) -> Embedding:
    def branch() -> nn.Module:
        if chosen.embedding == "mlp":
            return perceptron_branch(channels, chosen.embedding_mlp_hidden_dim, chosen.embedding_mlp_dropout)
        blocks = chosen.embedding_num_res_layers
        if chosen.embedding == "mobilenet":
            return mobile_branch(chosen.embedding_mobilenet_base_channels, blocks)
        attention, ratio = chosen.embedding_attention, chosen.embedding_ca_ratio
        return shuffle_branch(chosen.embedding_res_dim, blocks, chosen.embedding_res_groups, attention, ratio)

    shuffled = chosen.embedding == "shuffle"
    return Embedding(
        context,
        channels,
        chosen.dim_model,
        branch,
        names=("RB_delay", "RB_freq") if shuffled else ("delay_branch", "freq_branch"),
        as_image=chosen.embedding != "mlp",
        delay=chosen.delay_path,
        freq=chosen.embedding_freq,
        dropout=chosen.embedding_dropout,
    )


def _predictor(chosen: Hyperparameters) -> nn.Module:
    width = chosen.dim_model
    if chosen.predictor == "lstm":
        return RecurrentPredictor(
            width,
            chosen.predictor_lstm_num_layers,
            chosen.predictor_lstm_hidden_dim,
            chosen.predictor_lstm_dropout,
        )
    if chosen.predictor == "mlp":
        layers, hidden = chosen.predictor_mlp_num_layers, chosen.predictor_mlp_hidden_dim
        return Perceptron(width, width, layers, hidden, nn.Identity())
    return Predictor(
        width,
        chosen.transformer_num_layers,
        chosen.transformer_num_heads,
        chosen.transformer_hidden_dim,
        chosen.transformer_dropout_prob,
    )
