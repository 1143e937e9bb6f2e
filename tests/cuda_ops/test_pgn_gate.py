"""`pgn_gate` and `pgn_history`: all paths give the reference; the CUDA source is run on the processor."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import grad_and_value, vmap
from torch.utils.flop_counter import FlopCounterMode

from tsbench.contracts import InputError
from tsbench.cuda_ops import ops, pgn_gate, pgn_history
from tsbench.cuda_ops.pgn_gate import gate, kernels
from tsbench.cuda_ops.pgn_gate.gate import through_linear
from tsbench.cuda_ops.pgn_gate.op import _operator

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 6e-2, torch.float16: 4e-3}
SIZES = {
    "channels": st.integers(1, 3),
    "inputs": st.integers(0, 6),
    "width": st.integers(1, 9),
    "columns": st.integers(0, 70),
    "dtype": st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
    "strided": st.booleans(),
}


@pytest.fixture(autouse=True, scope="module")
def fused():
    """Small shapes are quick to test; the width from which the written-out gradient pays is set aside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "FUSED_FROM", 0)
        yield


def drawn(generator, dtype, strided, *shape):
    made = torch.randn(*reversed(shape), generator=generator).permute(*reversed(range(len(shape))))
    return (made if strided else made.contiguous()).to(dtype).requires_grad_()


def arguments(channels, inputs, width, columns, dtype=torch.float64, strided=False, seed=0):
    """Present, history, weight, bias."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (
        (channels, inputs, columns),
        (channels, width, columns),
        (channels, 2 * width, inputs + width),
        (channels, 2 * width),
    )
    return tuple(drawn(generator, dtype, strided, *shape) for shape in shapes)


def results(function, given_):
    out = function(*given_)
    gradients = torch.autograd.grad(out.float().square().sum(), given_, materialize_grads=True)
    return [out.detach(), *gradients]


def by_reference(*given_):
    with ops("reference"):
        return pgn_gate(*given_)


def near(found, expected, dtype):
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        scale = max(1.0, other.abs().max().item()) if other.numel() else 1.0
        torch.testing.assert_close(one / scale, other / scale, atol=TOLERANCE[dtype], rtol=0)


@settings(max_examples=60)
@given(**SIZES)
def test_torch_operations_equal_the_reference(channels, inputs, width, columns, dtype, strided):
    given_ = arguments(channels, inputs, width, columns, dtype, strided)
    expected = results(by_reference, given_)
    near(results(pgn_gate, given_), expected, dtype)
    near(results(_operator, given_), expected, dtype)


@settings(max_examples=30)
@given(**SIZES)
def test_small_widths_are_a_chain_of_operations_that_equals_the_reference(
    channels, inputs, width, columns, dtype, strided
):
    given_ = arguments(channels, inputs, width, columns, dtype, strided)
    expected = results(by_reference, given_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "FUSED_FROM", width + 1)
        found = results(pgn_gate, given_)
        chain = results(gate.differentiable, given_)
    near(found, expected, dtype)
    assert all(torch.equal(one, other) for one, other in zip(found, chain, strict=True))


def test_a_small_history_is_a_chain_of_operations_with_the_same_numbers():
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 3, 4, 10), (2, 5, 3, 3), (2, 5)]
    given_ = [drawn(generator, torch.float64, False, *shape) for shape in shapes]
    expected = results(pgn_history, given_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "FUSED_FROM", 6)
        near(results(pgn_history, given_), expected, torch.float64)


def test_the_reference_is_the_formula():
    present, history, weight, bias = (one.detach() for one in arguments(1, 2, 3, 1))
    both = weight[0] @ torch.cat([present[0], history[0]]) + bias[0][:, None]
    share, fresh = 1 / (1 + torch.exp(-both[:3])), torch.tanh(both[3:])
    torch.testing.assert_close(
        by_reference(present, history, weight, bias)[0], share * history[0] + (1 - share) * fresh
    )


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(pgn_gate, arguments(2, 3, 2, 4))


@pytest.mark.parametrize("learned", [(0, 1, 2, 3), (1, 2, 3), (2,)])
def test_the_operator_keeps_the_rules_of_torch(learned):
    given_ = [one.detach() for one in arguments(2, 3, 4, 9, torch.float32)]
    for place in learned:
        given_[place].requires_grad_()
    assert set(torch.library.opcheck(_operator, tuple(given_)).values()) == {"SUCCESS"}


@pytest.mark.parametrize("function", [pgn_gate, _operator, by_reference])
def test_the_same_input_gives_the_same_bits(function):
    given_ = arguments(3, 5, 16, 500, torch.float32)
    for one, other in zip(results(function, given_), results(function, given_), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("present_is_learned", [True, False])
def test_a_stack_of_gates_is_one_gate_each(present_is_learned):
    stacks = [
        torch.stack(pair).detach()
        for pair in zip(arguments(2, 3, 4, 9), arguments(2, 3, 4, 9, seed=1), strict=True)
    ]
    learned = (0, 1, 2, 3) if present_is_learned else (1, 2, 3)

    def loss(*one):
        return pgn_gate(*one).square().sum()

    gradients, values = vmap(grad_and_value(loss, argnums=learned))(*stacks)
    for number in range(2):
        alone = [one[number].clone().requires_grad_() for one in stacks]
        value = loss(*alone)
        torch.testing.assert_close(values[number], value.detach())
        expected = torch.autograd.grad(value, [alone[place] for place in learned])
        for found, one in zip(gradients, expected, strict=True):
            torch.testing.assert_close(found[number], one)


def test_under_a_stack_of_weights_the_input_is_shared():
    present, history, weight, bias = (one.detach() for one in arguments(2, 3, 4, 9))
    weights = torch.stack([weight, 2 * weight])
    found = vmap(pgn_gate, in_dims=(None, None, 0, None))(present, history, weights, bias)
    torch.testing.assert_close(found[1], pgn_gate(present, history, 2 * weight, bias))


def test_there_is_no_second_derivative_and_it_says_so():
    given_ = arguments(1, 2, 3, 4)
    (first,) = torch.autograd.grad(pgn_gate(*given_).sum(), given_[2], create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        first.sum().backward()


def test_under_autocast_everything_runs_in_its_dtype():
    given_ = arguments(2, 3, 4, 9, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = pgn_gate(*given_)
    assert torch.equal(found, pgn_gate(*(one.bfloat16() for one in given_)))
    found.float().sum().backward()
    assert given_[2].grad.dtype == torch.float32


def test_flops_are_those_of_the_products():
    given_ = arguments(2, 3, 4, 9, torch.float32)
    product = 2 * 2 * 8 * (3 + 4) * 9
    for function, factor in ((pgn_gate, 2), (by_reference, 2), (_operator, 3)):
        with FlopCounterMode(display=False) as counter:
            out = function(*given_)
        assert counter.get_total_flops() == product
        with FlopCounterMode(display=False) as counter:
            out.sum().backward()
        assert counter.get_total_flops() == factor * product  # the operator computes the gates again


def test_shapes_are_known_without_data():
    assert pgn_gate(*(one.detach().to("meta") for one in arguments(2, 3, 4, 9))).shape == (2, 4, 9)


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_compiled_graph_gives_the_same(backend):
    given_ = arguments(2, 3, 4, 9, torch.float32)
    whole = torch.compile(lambda *a: pgn_gate(*a) * 2, backend=backend, fullgraph=True)
    near(results(whole, given_), results(lambda *a: by_reference(*a) * 2, given_), torch.float32)


@pytest.mark.parametrize("dtype", kernels.DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1, 5, 2, 7), (2, 3, 35, 70), (1, 0, 1, 1), (2, 40, 8, 65), (1, 5, 4, 0)])
def test_the_cuda_source_equals_the_reference_on_the_processor(on_host, dtype, shape):
    present, history, weight, bias = (one.detach() for one in arguments(*shape, dtype))
    gradient = torch.randn(history.shape, generator=torch.Generator().manual_seed(9)).to(dtype)

    def run(source, name, grid, block, given_):
        on_host(source).launch(name, grid, block, given_)

    found = kernels.forward(present, history, weight, bias, run)
    of_linear, direct = kernels.backward(gradient, present, history, weight, bias, run)
    gradients = through_linear(of_linear, direct, present, history, weight, True)

    exact = [one.double().requires_grad_() for one in (present, history, weight, bias)]
    out = by_reference(*exact)
    expected = [out, *torch.autograd.grad(out, exact, gradient.double(), materialize_grads=True)]
    near([one.double() for one in (found, *gradients)], [one.detach() for one in expected], dtype)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", kernels.DTYPES, ids=str)
def test_the_kernels_equal_the_reference_on_a_device(dtype):
    given_ = [one.detach().cuda().requires_grad_() for one in arguments(3, 5, 70, 1000, dtype)]
    with ops("cuda"):
        found, again = results(pgn_gate, given_), results(pgn_gate, given_)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))
    near(found, results(by_reference, given_), dtype)


def test_a_kernel_that_cannot_be_built_leaves_torch_operations_and_one_warning(monkeypatch):
    """As on a CUDA device without NVRTC; the tensors lie on the processor, where the same operations run."""
    from tsbench.cuda_ops import choice
    from tsbench.cuda_ops.pgn_gate import op

    class AsOnADevice:
        type = "cuda"

    monkeypatch.setattr(kernels, "not_built", lambda source, device: "NVRTC is not found")
    monkeypatch.setattr(
        op,
        "_path",
        lambda one: choice.path(
            "pgn_gate", AsOnADevice(), lambda device: kernels.obstacle(device, one.dtype)
        ),
    )
    given_ = arguments(2, 3, 4, 9, torch.float32)
    with pytest.warns(
        RuntimeWarning, match="pgn_gate runs in torch operations.*NVRTC is not found"
    ) as warned:
        found = [pgn_gate(*given_), _operator(*given_)]
    assert len(warned) == 1
    with (
        ops("cuda"),
        pytest.raises(InputError, match="CUDA kernel of pgn_gate cannot run: NVRTC is not found"),
    ):
        pgn_gate(*given_)
    near(found, [by_reference(*given_)] * 2, torch.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: torch.zeros(2, 9)}, r"present is \(2, 9\) and history \(2, 4, 9\), not"),
        ({0: torch.zeros(2, 3, 8)}, r"present is \(2, 3, 8\), not \(2, input, 9\) as history is"),
        ({2: torch.zeros(2, 8, 6)}, r"weight is \(2, 8, 6\), not \(2, 8, 7\)"),
        ({3: torch.zeros(2, 4)}, r"bias is \(2, 4\), not \(2, 8\)"),
        (
            {3: torch.zeros(2, 8).half()},
            "history is torch.float32, other arguments torch.float16; need one dtype",
        ),
    ],
)
def test_wrong_input_is_one_line(change, message):
    given_ = [one.detach() for one in arguments(2, 3, 4, 9, torch.float32)]
    for place, value in change.items():
        given_[place] = value
    with pytest.raises(InputError, match=message):
        pgn_gate(*given_)


class TestHistory:
    def arguments(self, channels, inputs, width, rows, columns, dtype=torch.float64, strided=False):
        """Grid, weight, bias."""
        generator = torch.Generator().manual_seed(0)
        shapes = ((channels, inputs, rows, columns), (channels, width, inputs, rows - 1), (channels, width))
        return tuple(drawn(generator, dtype, strided, *shape) for shape in shapes)

    def by_reference(self, *given_):
        with ops("reference"):
            return pgn_history(*given_)

    @settings(max_examples=40)
    @given(rows=st.integers(2, 8), **(SIZES | {"inputs": st.integers(1, 6), "columns": st.integers(1, 70)}))
    def test_one_product_equals_the_convolution_behind_zeros(
        self, channels, inputs, width, rows, columns, dtype, strided
    ):
        given_ = self.arguments(channels, inputs, width, rows, columns, dtype, strided)
        near(results(pgn_history, given_), results(self.by_reference, given_), dtype)

    def test_gradients_are_those_of_finite_differences(self):
        assert torch.autograd.gradcheck(pgn_history, self.arguments(2, 2, 3, 4, 3))

    def test_a_stack_is_one_history_each(self):
        stacks = [torch.stack([one, one + 1]).detach() for one in self.arguments(2, 3, 4, 5, 6)]

        def loss(*one):
            return pgn_history(*one).square().sum()

        gradients, values = vmap(grad_and_value(loss, argnums=(1, 2)))(*stacks)
        alone = [one[1].clone().requires_grad_() for one in stacks]
        torch.testing.assert_close(values[1], loss(*alone).detach())
        for found, one in zip(gradients, torch.autograd.grad(loss(*alone), alone[1:]), strict=True):
            torch.testing.assert_close(found[1], one)

    def test_a_compiled_graph_gives_the_same(self):
        given_ = self.arguments(2, 3, 4, 5, 6)
        whole = torch.compile(pgn_history, backend="aot_eager", fullgraph=True)
        near(results(whole, given_), results(self.by_reference, given_), torch.float64)

    def test_a_row_sees_earlier_rows_only_and_the_first_is_the_bias(self):
        grid, weight, bias = (one.detach() for one in self.arguments(2, 3, 4, 5, 6))
        found = pgn_history(grid, weight, bias)
        changed = grid.clone()
        changed[:, :, 3:] += 1
        torch.testing.assert_close(pgn_history(changed, weight, bias)[:, :, :4], found[:, :, :4])
        torch.testing.assert_close(found[:, :, 0], bias[..., None].expand(-1, -1, 6))

    def test_no_row_of_zeros_is_made(self):
        """The reference copies the grid, with W rows more; the product takes it as it lies."""
        grid, weight, bias = (one.detach() for one in self.arguments(1, 3, 2, 5, 1000))
        seen = []

        class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                out = func(*args, **(kwargs or {}))
                if isinstance(out, torch.Tensor) and out.untyped_storage() is not grid.untyped_storage():
                    seen.append(out.untyped_storage().nbytes() if out.data_ptr() != grid.data_ptr() else 0)
                return out

        with Sizes():
            found = pgn_history(grid, weight, bias)
        assert max(seen) == found.nbytes

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({0: torch.zeros(1, 3, 1, 4)}, r"grid is \(1, 3, 1, 4\), not .* with two rows or more"),
            ({1: torch.zeros(1, 2, 3, 5)}, r"weight is \(1, 2, 3, 5\), not \(1, width, 3, 4\)"),
            ({2: torch.zeros(1, 3)}, r"bias is \(1, 3\), not \(1, 2\)"),
        ],
    )
    def test_wrong_input_is_one_line(self, change, message):
        given_ = [one.detach() for one in self.arguments(1, 3, 2, 5, 6, torch.float32)]
        for place, value in change.items():
            given_[place] = value
        with pytest.raises(InputError, match=message):
            pgn_history(*given_)
