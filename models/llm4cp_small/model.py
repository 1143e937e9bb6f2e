"""The network of llm4cp around a small Transformer of our own, for few subcarriers on a processor."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..llm4cp.model import Hyperparameters as Llm4CpHyperparameters
from ..llm4cp.model import Llm4Cp


@dataclass(frozen=True)
class Hyperparameters(Llm4CpHyperparameters):
    """Of llm4cp_small: those of llm4cp with other defaults, and no backbone that needs published weights.

    Attributes:
        backbone: the small Transformer, with random weights; `identity`: none, the tokens go on as they are.
        blocks: of the small Transformer.
        learned: as of llm4cp.
        width: of a token; 128 by default, with and without a backbone.
        residual_width: as of llm4cp.
        residual_blocks: as of llm4cp.
        dropout: as of llm4cp.
        original: as of llm4cp.
        compat: as of llm4cp; false by default: real and imaginary part of each delay are a pair.
        pooled_loss: as of llm4cp.
    """

    backbone: Literal["gpt2-tiny", "identity"] = "gpt2-tiny"  # type: ignore[assignment]
    blocks: int = 2
    width: int | None = 128
    residual_width: int = 16
    residual_blocks: int = 2
    compat: bool = False


class Llm4CpSmall(Llm4Cp):
    """Llm4cp with a decoder of two blocks of width 128, whose weights begin at random."""

    Hyperparameters: ClassVar[type] = Hyperparameters
