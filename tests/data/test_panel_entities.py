"""Noise on the parts of a sample: of the stated size, on one feature, drawn from the case alone."""

import pytest
import torch

from tsbench.contracts import Scenario
from tsbench.data.batch import Batch
from tsbench.data.disturbances import disturb
from tsbench.data.normalisation import fit_scale

SCALE = fit_scale(torch.zeros(5, 1).numpy(), "none")


def noise(level: float) -> Scenario:
    return Scenario(
        key=f"robustness/entity_noise/load={level:g}",
        condition="robustness",
        dataset="made",
        disturbance="entity_noise",
        level=level,
        options={"column": 1, "low": 0.0, "high": 1.0},
    )


def batch_of(cases: list[int]) -> Batch:
    entity = torch.full((len(cases), 3, 2), 0.5)
    mask = torch.tensor([[True, True, False]]).expand(len(cases), 3)
    return Batch(
        context=torch.zeros(len(cases), 1, 1),
        entity=torch.where(mask[..., None], entity, 0.0),
        entity_mask=mask,
        index=torch.tensor(cases),
    )


def test_one_feature_of_the_entities_that_are_there_is_noisy():
    clean = batch_of(list(range(4000)))

    noisy = disturb(clean, noise(0.1), "made@1", SCALE)["entity"]

    assert torch.equal(noisy[..., 0], clean["entity"][..., 0])
    assert not noisy[:, 2].any()
    added = noisy[:, :2, 1] - 0.5
    assert float(added.std()) == pytest.approx(0.1, rel=0.03)
    assert float(added.mean()) == pytest.approx(0, abs=0.005)
    assert abs(float((added[:, 0] * added[:, 1]).mean())) < 0.001


def test_it_stays_in_its_range():
    noisy = disturb(batch_of(list(range(500))), noise(2.0), "made@1", SCALE)["entity"][:, :2, 1]

    assert float(noisy.min()) == 0.0
    assert float(noisy.max()) == 1.0


def test_a_case_is_disturbed_alike_in_every_batch():
    whole = disturb(batch_of([0, 1, 2]), noise(0.1), "made@1", SCALE)["entity"]
    turned = disturb(batch_of([2, 0]), noise(0.1), "made@1", SCALE)["entity"]

    assert torch.equal(turned, whole[[2, 0]])
    assert not torch.equal(whole[0], whole[1])


def test_a_batch_without_entities_is_left_alone():
    batch = Batch(context=torch.ones(2, 1, 1), index=torch.arange(2))

    assert torch.equal(disturb(batch, noise(0.1), "made@1", SCALE)["context"], batch["context"])
