"""Weights: saved whole, loaded strictly, hashed by value."""

import pytest
import torch
from safetensors.torch import save_file

from tsbench.contracts import InputError
from tsbench.training.weights import count_parameters, load_weights, save_weights, weights_hash


class Network(torch.nn.Module):
    """A map and a computed buffer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.map = torch.nn.Linear(3, 2)
        self.register_buffer("positions", torch.arange(4.0))


def test_saved_weights_come_back_to_the_bit(tmp_path):
    one, other = Network(0), Network(1)

    save_weights(one, tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")

    assert weights_hash(other) == weights_hash(one)


def test_computed_buffers_are_filled_in_where_the_file_lacks_them(tmp_path):
    network = Network()
    save_file({"map.weight": torch.ones(2, 3), "map.bias": torch.zeros(2)}, tmp_path / "w.safetensors")

    load_weights(network, tmp_path / "w.safetensors")

    assert network.map.weight.eq(1).all()
    assert network.positions.tolist() == [0, 1, 2, 3]


def test_names_of_the_fixtures_are_taken_as_well(tmp_path):
    network = Network()
    tensors = {
        "state_dict/map.weight": torch.ones(2, 3),
        "state_dict/map.bias": torch.zeros(2),
        "output": torch.ones(1),
    }
    save_file(tensors, tmp_path / "w.safetensors")

    load_weights(network, tmp_path / "w.safetensors")

    assert network.map.weight.eq(1).all()


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"map.weight": torch.ones(2, 3)}, r"does not fit: missing \['map.bias'\], unexpected none"),
        (
            {"map.weight": torch.ones(2, 3), "map.bias": torch.ones(2), "extra": torch.ones(1)},
            r"does not fit: missing none, unexpected \['extra'\]",
        ),
        (
            {"map.weight": torch.ones(3, 2), "map.bias": torch.ones(2)},
            r"'map.weight' has the shape \[3, 2\], not \[2, 3\]",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_change_nothing(tmp_path, tensors, message):
    network = Network()
    before = weights_hash(network)
    save_file(tensors, tmp_path / "w.safetensors")

    with pytest.raises(InputError, match=message):
        load_weights(network, tmp_path / "w.safetensors")
    assert weights_hash(network) == before


def test_a_missing_or_damaged_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        load_weights(Network(), tmp_path / "none.safetensors")
    save_weights(Network(), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:50])

    with pytest.raises(InputError, match="is not a safetensors file, or is damaged"):
        load_weights(Network(), tmp_path / "w.safetensors")


def test_the_hash_sees_a_change_of_one_bit_and_of_a_name():
    network = Network()
    before = weights_hash(network)
    with torch.no_grad():
        network.map.bias[0] = torch.nextafter(network.map.bias[0], torch.tensor(10.0))

    assert weights_hash(network) != before
    assert weights_hash(torch.nn.Sequential(Network().map)) != weights_hash(
        torch.nn.ModuleList([Network().map, Network().map])
    )
    assert weights_hash(object()) is None


def test_parameters_are_counted_without_buffers():
    assert count_parameters(Network()) == 8
    assert count_parameters(object()) == 0


def test_a_folder_is_read_by_a_model_that_can_and_refused_by_one_that_cannot(tmp_path):
    class Reader(torch.nn.Module):
        def load_folder(self, folder):
            self.read = folder

    reader = Reader()
    load_weights(reader, tmp_path)

    assert reader.read == tmp_path
    with pytest.raises(InputError, match="is a folder; Linear takes a safetensors file"):
        load_weights(torch.nn.Linear(1, 1), tmp_path)


def test_a_module_whose_sizes_its_weights_decide_is_told_them_first(tmp_path):
    class Growing(torch.nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.resize({"values": torch.Size([size])})

        def resize(self, sizes):
            self.values = torch.nn.Parameter(torch.zeros(sizes["values"]))

    large, small = Growing(5), Growing(1)
    torch.nn.init.ones_(large.values)
    save_weights(large, tmp_path / "w.safetensors")

    load_weights(small, tmp_path / "w.safetensors")

    assert small.values.tolist() == [1] * 5
