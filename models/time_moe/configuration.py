"""Sizes of a Time-MoE: a typed record with the names of the published config.json, and the named sizes."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Configuration:
    """Of the network and of its auxiliary loss; Time-MoE paper (arXiv 2409.16040), table 1.

    Attributes:
        hidden_size: width of a token.
        intermediate_size: inner width of the shared expert; of an expert, divided by `num_experts_per_tok`.
        num_hidden_layers: blocks of attention and experts.
        num_attention_heads: heads of the attention.
        num_experts: experts of a block, the shared one not counted.
        num_experts_per_tok: experts that a token goes to.
        horizon_lengths: steps that each head forecasts, ascending.
        max_position_embeddings: steps that context and forecast may take together.
        rope_theta: base of the rotary positions.
        rms_norm_eps: of every normalisation.
        initializer_range: standard deviation of initial weights.
        apply_aux_loss: whether training balances the load of the experts.
        router_aux_loss_factor: weight of that loss.
        use_dense: one feed-forward layer in place of the experts.
    """

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_experts: int = 8
    num_experts_per_tok: int = 2
    horizon_lengths: tuple[int, ...] = (1, 8, 32, 64)
    max_position_embeddings: int = 4096
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    initializer_range: float = 0.02
    apply_aux_loss: bool = True
    router_aux_loss_factor: float = 0.02
    use_dense: bool = False

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        for name in (
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_experts",
            "num_experts_per_tok", "max_position_embeddings",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("rope_theta", "rms_norm_eps", "initializer_range"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if not (math.isfinite(self.router_aux_loss_factor) and self.router_aux_loss_factor >= 0):
            raise ValueError(
                f"router_aux_loss_factor must not be negative, not {self.router_aux_loss_factor}"
            )
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size {self.hidden_size} must be a multiple of twice num_attention_heads "
                f"{self.num_attention_heads}"
            )
        if self.num_experts_per_tok > min(self.num_experts, self.intermediate_size):
            raise ValueError(
                f"num_experts_per_tok {self.num_experts_per_tok} must not exceed num_experts "
                f"{self.num_experts} or intermediate_size {self.intermediate_size}"
            )
        lengths = self.horizon_lengths
        if not lengths or min(lengths) < 1 or list(lengths) != sorted(set(lengths)):
            raise ValueError(f"horizon_lengths must be positive and ascending, not {list(lengths)}")

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def expert_width(self) -> int:
        """Inner width of one expert."""
        return self.intermediate_size // self.num_experts_per_tok

    @property
    def idle_parameters(self) -> int:
        """Parameters that a token does not meet: those of the experts that it is not sent to."""
        if self.use_dense:
            return 0
        idle = self.num_experts - self.num_experts_per_tok
        return self.num_hidden_layers * idle * 3 * self.hidden_size * self.expert_width


SIZES = {
    "tiny": Configuration(32, 64, 2, 4, num_experts=4),
    "small": Configuration(80, 192, 4, 4, initializer_range=0.08),
    "base": Configuration(384, 1536, 12, 12),
    "large": Configuration(768, 3072, 12, 12),
    "ultra": Configuration(1024, 4096, 36, 16),
}
"""`base`, `large` and `ultra` as published; `tiny` for tests and for training on a task on a CPU; `small`,
about a million parameters, for pretraining on one. Its initial weights are larger: a narrow network learns
slowly from weights of 0.02."""
