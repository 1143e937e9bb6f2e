"""Chronos-Bolt: an encoder-decoder over patches that forecasts nine quantiles of a series at once.

Ansari et al., "Chronos: Learning the Language of Time Series", TMLR 2024 (arXiv 2403.07815), and the package
chronos-forecasting, whose network and rules are used as they are.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tsbench.contracts import InputError

from ..layers.chronos import read_network
from ..layers.pretrained import Pretrained, with_gaps

SEQUENCES = 128
"""Sequences in one call. Beyond the horizon of the network each is continued once a level."""
EVEN = 1e-6


class ChronosBolt(Pretrained):
    """Each target is forecast by itself, from at most the steps that the network was trained with.

    A horizon beyond the network's is reached by the package's rule: each quantile is appended to the context,
    and the quantiles of the continuations are reduced to the trained levels. Levels between the trained ones
    are interpolated linearly, as in the package, which takes these to be evenly spaced.
    """

    name = "chronos_bolt"
    package = "chronos.chronos_bolt"
    example = "amazon/chronos-bolt-base"

    def read(self, folder: Path, config: dict[str, Any]) -> torch.nn.Module:
        """The network of a folder, in the package's pipeline."""
        from chronos.chronos_bolt import ChronosBoltModelForForecasting, ChronosBoltPipeline

        network = read_network(ChronosBoltModelForForecasting, folder, config)
        self.pipeline = ChronosBoltPipeline(network)
        self._check_spacing(folder)
        return network

    @property
    def levels(self) -> Sequence[float]:
        """Levels of the checkpoint, deciles in the published ones."""
        return self.pipeline.quantiles

    def forecast(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Quantiles, shape (sample, lead_time, target, quantile)."""
        context = with_gaps(batch)[..., list(self.shape.target_index)]
        sequences = context.transpose(1, 2).flatten(0, 1)  # (sample × target, time)
        made = torch.cat([self._quantiles(part) for part in sequences.split(SEQUENCES)])
        return made.unflatten(0, (len(context), -1)).transpose(1, 2)

    def _quantiles(self, sequences: torch.Tensor) -> torch.Tensor:
        """Shape (sequence, lead_time, quantile)."""
        with warnings.catch_warnings():
            # That horizons beyond the network's may be worse is for the card to say, not for each batch.
            warnings.filterwarnings("ignore", message="We recommend keeping prediction length")
            quantiles, _ = self.pipeline.predict_quantiles(
                sequences, prediction_length=self.shape.horizon, quantile_levels=list(self.shape.quantiles)
            )
        return quantiles

    def _check_spacing(self, folder: Path) -> None:
        steps = torch.tensor(self.levels, dtype=torch.float64).diff()
        even = bool((steps - steps.mean()).abs().max() < EVEN) if len(steps) else False
        if not even and not set(self.shape.quantiles) <= set(self.levels):
            raise InputError(
                f"chronos_bolt interpolates between evenly spaced quantiles only; {folder.name} was trained "
                f"at {list(self.levels)}, and {list(self.shape.quantiles)} are asked for"
            )
