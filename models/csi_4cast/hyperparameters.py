"""Hyper-parameters of CSI-4CAST: the official names, and switches for its quirks and its ablations."""

from dataclasses import dataclass
from typing import Literal

from .activation import Activation
from .correction import Operation
from .embedding import Attention


@dataclass(frozen=True)
class Hyperparameters:
    """Of CSI-4CAST; the defaults are those of the released TDD model.

    The official constructor has the names with a prefix. Its two files differ in the channel attention too,
    which is `embedding_attention` here.

    Attributes:
        dim_model: width of a token.
        denoiser_num_filters_2d: widths 2, 4, 8, … of the denoiser; 1 or 0: there is none.
        denoiser_filter_size_2d: side of its convolutions, odd.
        denoiser_filter_size_1d: size of the convolution after them, odd.
        denoiser_activation: after each of its blocks.
        denoiser_is_post_processor: whether there is that convolution.
        denoiser_is_residual: whether the denoiser says the noise, not the series.
        denoiser_last_activation: whether its last block ends in the activation too; with ReLU, as released,
            the estimate of the noise is never negative.
        arl: the adaptive correction, or in its place a normalisation over the steps of a channel
            (`layer_norm`), of each step over samples and channels (`batch_norm`), or nothing.
        arl_is_U2D: whether the correction has layers along the channels.
        arl_temporal_proj_num_layers: of the perceptron along time.
        arl_temporal_proj_hidden_dim: its width.
        arl_temporal_proj_is_arl: whether it corrects its input and does not replace it.
        arl_temporal_proj_output_activation_name: after it.
        arl_temporal_proj_arl_operation: how it corrects.
        arl_subcarrier_proj_num_layers: of the perceptron along the channels.
        arl_subcarrier_proj_hidden_dim: its width.
        arl_subcarrier_proj_is_arl: whether it corrects its input and does not replace it.
        arl_subcarrier_proj_output_activation_name: after it.
        arl_subcarrier_proj_arl_operation: how it corrects.
        arl_delay_multiplies: whether the delay domain's layer along the channels multiplies whatever
            `arl_subcarrier_proj_arl_operation` says, as the official code does.
        delay_path: whether the inverse Fourier transform over the subcarriers has a path of its own.
        embedding: shuffle blocks, or in their place the perceptrons or MobileNet blocks of the ablations.
        embedding_num_res_layers: blocks of a domain.
        embedding_res_dim: maps of a shuffle block.
        embedding_res_groups: groups of its pointwise convolutions.
        embedding_attention: what its channel attention pools: means (TDD) or means and maxima (FDD).
        embedding_ca_ratio: by which that is narrower inside; with maxima there is no narrowing.
        embedding_embed: kind of the calendar embedding, which is never called.
        embedding_freq: its step width, which fixes its number of parameters.
        embedding_dropout: share of the tokens dropped.
        embedding_mlp_hidden_dim: width of the perceptrons.
        embedding_mlp_dropout: share dropped in them.
        embedding_mobilenet_base_channels: maps of a MobileNet block.
        predictor: the Transformer, or what the ablations put in its place.
        transformer_num_layers: of the encoder.
        transformer_num_heads: of its attention.
        transformer_hidden_dim: width of its feed-forward part.
        transformer_dropout_prob: its dropout.
        predictor_lstm_num_layers: of the LSTM.
        predictor_lstm_hidden_dim: its width.
        predictor_lstm_dropout: share dropped between its layers.
        predictor_mlp_num_layers: of the perceptron.
        predictor_mlp_hidden_dim: its width.
        statistics: what the look-back is scaled by: mean and deviation of the whole batch, as published, or
            of each sequence, which makes forecasts independent of the batch.
        fast_inference: whether forecasts are made by the folded form of the weights.
    """

    dim_model: int = 768
    denoiser_num_filters_2d: int = 3
    denoiser_filter_size_2d: int = 3
    denoiser_filter_size_1d: int = 3
    denoiser_activation: Activation = "relu"
    denoiser_is_post_processor: bool = False
    denoiser_is_residual: bool = True
    denoiser_last_activation: bool = True
    arl: Literal["adaptive", "layer_norm", "batch_norm", "none"] = "adaptive"
    arl_is_U2D: bool = False  # noqa: N815  (the official name)
    arl_temporal_proj_num_layers: int = 4
    arl_temporal_proj_hidden_dim: int = 512
    arl_temporal_proj_is_arl: bool = False
    arl_temporal_proj_output_activation_name: Activation = "none"
    arl_temporal_proj_arl_operation: Operation = "multiply"
    arl_subcarrier_proj_num_layers: int = 2
    arl_subcarrier_proj_hidden_dim: int = 128
    arl_subcarrier_proj_is_arl: bool = True
    arl_subcarrier_proj_output_activation_name: Activation = "tanh"
    arl_subcarrier_proj_arl_operation: Operation = "multiply"
    arl_delay_multiplies: bool = True
    delay_path: bool = True
    embedding: Literal["shuffle", "mlp", "mobilenet"] = "shuffle"
    embedding_num_res_layers: int = 4
    embedding_res_dim: int = 64
    embedding_res_groups: int = 4
    embedding_attention: Attention = "average"
    embedding_ca_ratio: int = 2
    embedding_embed: Literal["timeF"] = "timeF"
    embedding_freq: Literal["h", "t", "s", "m", "a", "w", "d", "b"] = "h"
    embedding_dropout: float = 0.1
    embedding_mlp_hidden_dim: int = 512
    embedding_mlp_dropout: float = 0.1
    embedding_mobilenet_base_channels: int = 32
    predictor: Literal["transformer", "lstm", "mlp"] = "transformer"
    transformer_num_layers: int = 6
    transformer_num_heads: int = 8
    transformer_hidden_dim: int = 512
    transformer_dropout_prob: float = 0.1
    predictor_lstm_num_layers: int = 2
    predictor_lstm_hidden_dim: int = 512
    predictor_lstm_dropout: float = 0.1
    predictor_mlp_num_layers: int = 3
    predictor_mlp_hidden_dim: int = 1024
    statistics: Literal["batch", "sequence"] = "batch"
    fast_inference: bool = True

    def __post_init__(self) -> None:
        """Refuse sizes that no layer can have."""
        for name in COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("denoiser_filter_size_2d", "denoiser_filter_size_1d"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(f"{name} must be odd, not {getattr(self, name)}")
        for name in SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        for name in ("embedding_res_groups", "embedding_ca_ratio"):
            if self.embedding_res_dim % getattr(self, name):
                raise ValueError(
                    f"{name} must divide embedding_res_dim; {getattr(self, name)} does not divide "
                    f"{self.embedding_res_dim}"
                )
        if self.dim_model % 2:
            raise ValueError(f"dim_model must be even, not {self.dim_model}")


COUNTS = (
    "dim_model", "denoiser_filter_size_2d", "denoiser_filter_size_1d", "arl_temporal_proj_num_layers",
    "arl_temporal_proj_hidden_dim", "arl_subcarrier_proj_num_layers", "arl_subcarrier_proj_hidden_dim",
    "embedding_num_res_layers", "embedding_res_dim", "embedding_res_groups", "embedding_ca_ratio",
    "embedding_mlp_hidden_dim", "embedding_mobilenet_base_channels", "transformer_num_layers",
    "transformer_num_heads", "transformer_hidden_dim", "predictor_lstm_num_layers",
    "predictor_lstm_hidden_dim", "predictor_mlp_num_layers", "predictor_mlp_hidden_dim",
)  # fmt: skip
"""Sizes that must be at least 1."""

SHARES = (
    "embedding_dropout", "embedding_mlp_dropout", "transformer_dropout_prob", "predictor_lstm_dropout",
)  # fmt: skip
"""Shares that are dropped."""
