"""Energy fingerprint: the energy of a base station from its cells, and from which station it is.

After "Modelling the 5G Energy Consumption using Real-world Data: Energy Fingerprint is All You Need", arXiv
2406.16929: the station enters as a learned embedding, hidden at random in training, so that stations that
nobody has seen can be told too. What its abstract leaves open is ours; its
parameter names are not known to us.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from tsbench.contracts import InputError, TaskShape

from ..layers.stations import Loss, StationForecaster, known_or_refused

KINDS = ("RUType", "Mode")
MASK = 0
"""Code of a station that is hidden or unknown."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of the energy fingerprint.

    Attributes:
        attention: `encoder`: tokens of station, time and cells attend to each other; `gate`: one vector of
            all features, weighed by a softmax, and a perceptron.
        site: whether the model is told the station; false: the station is hidden throughout.
        mask: share of training samples whose station is hidden; 0: none, and no unseen station can be told.
        unseen: what to do with unseen stations where none was hidden in training: refuse them, or take their
            untrained embedding.
        cell_index: whether cells know their place in the station; without it their order means nothing.
        width, layers, heads, inner: of the encoder; `width` also of the station's embedding.
        kind_width: of the embeddings of radio unit and mode.
        dropout: in the encoder.
        loss: `relative` error, or `log_huber`.
        site_penalty: of the mean squared length of the embeddings of a batch's stations, in the loss.
    """

    attention: Literal["encoder", "gate"] = "encoder"
    site: bool = True
    mask: float = 0.15
    unseen: Literal["refuse", "untrained"] = "refuse"
    cell_index: bool = False
    width: int = 64
    layers: int = 2
    heads: int = 4
    inner: int = 128
    kind_width: int = 8
    dropout: float = 0.1
    loss: Loss = "relative"
    site_penalty: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        for name in ("width", "layers", "heads", "inner", "kind_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("mask", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be from 0 to below 1, not {getattr(self, name)}")
        if self.width % self.heads:
            raise ValueError(f"heads must divide width; {self.heads} does not divide {self.width}")
        if self.site_penalty < 0:
            raise ValueError(f"site_penalty must not be negative, not {self.site_penalty}")


class EnergyFingerprint(StationForecaster):
    """Tokens [station, time, cell, …] through a pre-norm encoder, then a perceptron of station and mean cell.

    Raises:
        InputError: where the cells of the task have no type of radio unit or no mode.
    """

    Hyperparameters: ClassVar[type] = Hyperparameters

    def __init__(self, shape: TaskShape, hyperparameters: Any = None) -> None:
        chosen = hyperparameters or Hyperparameters()
        super().__init__(shape, chosen.loss)
        self.chosen = chosen
        if lacking := [name for name in KINDS if name not in self.codes]:
            raise InputError(f"energy_fingerprint needs {' and '.join(lacking)} of each cell as codes")
        width, stations = chosen.width, len(self.trained)
        self.bs_embed = nn.Embedding(stations, width)
        self.ru_embed = nn.Embedding(shape.entity_categories["RUType"], chosen.kind_width)
        self.mode_embed = nn.Embedding(shape.entity_categories["Mode"], chosen.kind_width)
        nn.init.normal_(self.bs_embed.weight, std=0.02)
        of_cell = len(self.numbers) + 2 * chosen.kind_width
        if chosen.attention == "gate":
            size = width + len(shape.channels) + shape.sizes["entity"] * (of_cell + 1)
            self.gate = nn.Linear(size, size)
            self.head = nn.Sequential(
                nn.Linear(size, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 64),
                nn.ReLU(), nn.Linear(64, 1),
            )  # fmt: skip
            return
        self.cell_num = nn.Linear(of_cell, width)
        self.time_proj = nn.Linear(len(shape.channels), width)
        if chosen.cell_index:
            self.cell_embed = nn.Embedding(shape.sizes["entity"], width)
        layer = nn.TransformerEncoderLayer(
            width, chosen.heads, chosen.inner, chosen.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, chosen.layers, enable_nested_tensor=False)
        self.head = nn.Sequential(
            nn.Linear(2 * width, 128), nn.GELU(), nn.Linear(128, 64), nn.GELU(), nn.Linear(64, 1)
        )

    def positive(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Energy in units of the scale, before it is made positive, shape (sample,)."""
        cells = torch.cat(
            [
                self.features(batch),
                self.ru_embed(self.kind(batch, "RUType")),
                self.mode_embed(self.kind(batch, "Mode")),
            ],
            dim=-1,
        )  # (sample, cell, feature)
        site = self.bs_embed(self.stations(batch))  # (sample, width)
        of = self._gated if self.chosen.attention == "gate" else self._attended
        return of(site, batch["context"][:, -1], cells, batch["entity_mask"])

    def stations(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Codes of the stations as the model sees them, int64, shape (sample,).

        Raises:
            InputError: for a station that nobody has trained on, where none was hidden in training.
        """
        codes, chosen = batch["categorical"][:, 0], self.chosen
        if not chosen.site:
            return torch.full_like(codes, MASK)
        if chosen.mask == 0:
            if chosen.unseen == "untrained":
                return codes
            return known_or_refused(
                codes,
                self.trained,
                "energy_fingerprint without masking",
                "--set mask=0.15 hides some in training",
            )
        known = self.trained[codes.clamp_max(len(self.trained) - 1)] & (codes < len(self.trained))
        if self.training:
            known = known & (torch.rand(codes.shape, device=codes.device) >= chosen.mask)
        return torch.where(known, codes, MASK)

    def loss(self, batch: Mapping[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
        """The chosen error; in training with the penalty on the embeddings of the batch's stations."""
        error = super().loss(batch, reduction)
        if reduction == "sum" or not self.chosen.site:
            return error
        embedded = self.bs_embed(batch["categorical"][:, 0])
        return error + self.chosen.site_penalty * embedded.square().sum(dim=-1).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As all models, but that weights of embeddings do not decay."""
        optimiser = super().configure_optimizers()
        (group,) = optimiser.param_groups
        embeddings = {id(one.weight) for one in self.modules() if isinstance(one, nn.Embedding)}
        parameters = group["params"]
        group["params"] = [one for one in parameters if id(one) not in embeddings]
        apart = [one for one in parameters if id(one) in embeddings]
        optimiser.add_param_group({"params": apart, "weight_decay": 0.0})
        return optimiser

    def _attended(
        self, site: torch.Tensor, time: torch.Tensor, cells: torch.Tensor, there: torch.Tensor
    ) -> torch.Tensor:
        tokens = self.cell_num(cells)
        if self.chosen.cell_index:
            tokens = tokens + self.cell_embed.weight
        tokens = torch.cat([site[:, None], self.time_proj(time)[:, None], tokens], dim=1)
        empty = torch.cat([torch.zeros_like(there[:, :1]).expand(-1, 2), ~there], dim=1)
        tokens = self.encoder(tokens, src_key_padding_mask=empty)  # (sample, token, width)
        weight = there[..., None].to(tokens)
        mean = (tokens[:, 2:] * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
        return self.head(torch.cat([tokens[:, 0], mean], dim=-1))[:, 0]

    def _gated(
        self, site: torch.Tensor, time: torch.Tensor, cells: torch.Tensor, there: torch.Tensor
    ) -> torch.Tensor:
        weight = there[..., None].to(cells)
        flat = torch.cat([site, time, (cells * weight).flatten(1), there.to(cells)], dim=1)
        # Weights sum to the number of features, so that an even gate passes them on as they are.
        return self.head(flat * flat.shape[1] * self.gate(flat).softmax(dim=-1))[:, 0]
