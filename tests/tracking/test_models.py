"""Models in MLflow: weights and card as artifacts, and the registry, which chooses on validation."""

import json
from pathlib import Path

import pytest

from tsbench.contracts import InputError
from tsbench.tracking import log_result, session, tracking_uri
from tsbench.tracking.models import ALIAS, register


@pytest.fixture
def fitted(make_result, runs):
    """Writes a Result with a fit beside it: `fitted(seed, loss)`."""

    def make(seed: int, loss: float | None, **changes) -> Path:
        folder = make_result(seed=seed, **changes)
        (folder.parent / "fit.json").write_text(json.dumps({"validation_loss": loss, "history": []}))
        (folder.parent / "weights.safetensors").write_bytes(bytes([seed]) * 64)
        return folder

    return make


def test_a_run_has_the_weights_and_the_card_of_its_model(fitted):
    logged = log_result(fitted(3, 0.5), "quick")
    run = session.open_session(tracking_uri()).client.get_run(logged.run_id)
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))

    assert (artifacts / "model" / "weights.safetensors").read_bytes() == bytes([3]) * 64
    assert (artifacts / "model" / "card.yaml").read_text().startswith("name: dlinear")
    assert run.data.metrics["system/predict/peak_memory_megabytes"] == 1.048576
    assert run.data.metrics["system/fit/seconds"] == 12.5
    assert run.data.metrics["system/threads"] == 2


def test_the_fit_with_the_lowest_validation_loss_is_registered_whatever_its_test_scores(fitted):
    fitted(0, 0.4, scores={"mse": {"regular": 0.1}})
    chosen = fitted(1, 0.3, scores={"mse": {"regular": 0.9}})
    fitted(2, 0.5, scores={"mse": {"regular": 0.01}})

    found = register("dlinear", "etth1-96")

    assert (found.folder, found.seed, found.validation_loss, found.fits) == (chosen, 1, 0.3, 3)
    client = session.open_session(tracking_uri()).client
    version = client.get_model_version_by_alias("dlinear-on-etth1-96", ALIAS)
    assert int(version.version) == found.version
    assert version.tags["tsbench.validation_loss"] == "0.3"
    assert client.get_run(version.run_id).data.params["seed"] == "1"
    stored = Path(version.source.removeprefix("file://")) / "weights.safetensors"
    assert stored.read_bytes() == bytes([1]) * 64


def test_the_same_fit_is_the_same_version_and_a_better_one_the_next(fitted):
    fitted(0, 0.4)
    first = register("dlinear", "etth1-96")
    assert register("dlinear", "etth1-96").version == first.version
    fitted(1, 0.3)
    second = register("dlinear", "etth1-96", name=None)

    assert second.version == first.version + 1
    client = session.open_session(tracking_uri()).client
    assert int(client.get_model_version_by_alias("dlinear-on-etth1-96", ALIAS).version) == second.version


def test_without_a_fit_or_with_losses_of_different_kind_nothing_is_registered(fitted, make_result):
    with pytest.raises(InputError, match="There is no fit of dlinear on etth1-96"):
        register("dlinear", "etth1-96")
    make_result(seed=5)
    with pytest.raises(InputError, match="There is no fit of dlinear on etth1-96"):
        register("dlinear", "etth1-96")
    fitted(0, 0.4, model={"training": {"loss": "mse"}})
    fitted(1, 0.3, model={"training": {"loss": "mae"}})
    with pytest.raises(InputError, match="trained with mae, mse: their validation losses cannot be compared"):
        register("dlinear", "etth1-96")


def test_a_store_that_cannot_be_used_is_an_error_here(fitted):
    fitted(0, 0.4)
    with pytest.raises(InputError, match="Nothing was registered: connection refused"):
        register("dlinear", "etth1-96", uri="http://127.0.0.1:9")
