"""What the tests of GluonTS share: small models of the zoo on waves."""

from typing import Any

import pytest
import torch

from tsbench.models.deepar.model import DeepAR
from tsbench.models.simple_feed_forward.model import SimpleFeedForward
from tsbench.models.temporal_fusion_transformer.model import TemporalFusionTransformer
from tsbench.training.build import build

ZOO: list[tuple[type, dict[str, Any]]] = [
    (SimpleFeedForward, {"width": 8}),
    (TemporalFusionTransformer, {"hidden_dim": 8, "variable_dim": 4, "num_heads": 2}),
    (DeepAR, {"hidden_size": 6, "samples": 7}),
]
CONTEXT = 60


@pytest.fixture(params=ZOO, ids=lambda one: one[0].__name__)
def zoo_model(request):
    """Makes each model of the zoo: `zoo_model(shape)`, in evaluation mode."""
    kind, chosen = request.param
    return lambda shape, seed=0: build(kind, shape, kind.Hyperparameters(**chosen), seed).eval()


@pytest.fixture
def test_batch(open_waves):
    """Data, windows and the batch of some test cases."""

    def make(model_uses, cases: int = 5, data: Any = None):
        data = data or open_waves()
        windows = data.windows("test", CONTEXT).using("target", *model_uses)
        return data, windows, windows.gather(torch.arange(cases))

    return make
