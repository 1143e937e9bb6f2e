"""A small csi_4cast for few antennas and subcarriers on a processor."""

from dataclasses import dataclass
from typing import ClassVar

from ..csi_4cast.hyperparameters import Hyperparameters as PublishedHyperparameters
from ..csi_4cast.model import Csi4Cast


@dataclass(frozen=True)
class Hyperparameters(PublishedHyperparameters):
    """Those of csi_4cast with smaller defaults; the replacements of its ablations shrink with it."""

    dim_model: int = 128
    denoiser_num_filters_2d: int = 2
    arl_temporal_proj_num_layers: int = 2
    embedding_num_res_layers: int = 1
    embedding_res_dim: int = 8
    embedding_res_groups: int = 2
    embedding_ca_ratio: int = 2
    embedding_mlp_hidden_dim: int = 128
    embedding_mobilenet_base_channels: int = 8
    transformer_num_layers: int = 2
    transformer_num_heads: int = 4
    transformer_hidden_dim: int = 256
    predictor_lstm_hidden_dim: int = 128
    predictor_mlp_hidden_dim: int = 256


class Csi4CastSmall(Csi4Cast):
    """csi_4cast with one shuffle block of 8 maps and two encoder layers of width 128."""

    Hyperparameters: ClassVar[type] = Hyperparameters
