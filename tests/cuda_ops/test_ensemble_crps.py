"""CRPS, quantile losses and energy score of ensembles: the same on every path, and as others define them."""

import functools
import itertools
import math

import pytest
import scoringrules
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from tsbench.contracts import InputError
from tsbench.cuda_ops import energy_score, ensemble_crps, ensemble_scores, ops
from tsbench.cuda_ops.ensemble_crps import bytes_moved, device, eager, energy, op, reference
from tsbench.evaluation import metrics

TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
LEVELS = (0.05, 0.3, 0.5, 0.9)


@st.composite
def ensembles(draw, most=12, dtypes=tuple(TYPES), channels=None):
    """Members (member, case) or (member, case, channel), observations; often with ties."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    members, cases = draw(st.integers(1, most)), draw(st.integers(0, 20))
    shape = (members, cases) if channels is None else (members, cases, draw(st.integers(1, channels)))
    forecast = 3 * torch.randn(shape, generator=generator, dtype=torch.float64) + draw(
        st.sampled_from([0, 50])
    )
    observed = 3 * torch.randn(shape[1:], generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        forecast, observed = forecast.round(), observed.round()
    dtype = draw(st.sampled_from(dtypes))
    return forecast.to(dtype), observed.to(dtype)


def weights_of(forecast, kind, generator=None):
    """Weights of members for all cases, for each case, or none."""
    if kind == "none":
        return None
    shape = forecast.shape[:1] if kind == "shared" else forecast.shape[:2]
    return torch.rand(shape, generator=generator, dtype=torch.float64) + 0.1


def scaled(weights):
    return None if weights is None else (weights / weights.sum(0)).reshape(len(weights), -1)


@given(ensembles(dtypes=(torch.float64,)), st.booleans(), st.sampled_from(["none", "shared", "own"]))
def test_the_ordered_formula_equals_the_pairwise_one(pair, fair, kind):
    forecast, observed = pair
    weights = weights_of(forecast, kind)
    expected = reference.crps_by_pairs(forecast, observed, fair, scaled(weights))
    found = ensemble_crps(forecast, observed, fair=fair, weights=weights)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


@given(ensembles(), st.booleans(), st.sampled_from(["none", "shared", "own"]))
def test_torch_operations_equal_the_reference(pair, fair, kind):
    forecast, observed = pair
    weights = weights_of(forecast, kind)
    levels = () if kind != "none" else LEVELS
    with ops("reference"):
        expected = ensemble_scores(forecast, observed, levels, fair=fair, weights=weights)
    found = ensemble_scores(forecast, observed, levels, fair=fair, weights=weights)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == (torch.float64 if forecast.dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@given(ensembles(), st.booleans(), st.sampled_from(["none", "own"]))
def test_gradients_equal_those_of_the_reference(pair, fair, kind):
    forecast, observed = (one.double().requires_grad_() for one in pair)
    weights = weights_of(forecast, kind)
    levels = () if kind != "none" else LEVELS
    outer = torch.rand(1 + len(levels), *observed.shape, dtype=torch.float64)
    slopes = []
    for path in ("auto", "reference"):
        with ops(path):
            crps, losses = ensemble_scores(forecast, observed, levels, fair=fair, weights=weights)
            total = (crps * outer[0]).sum() + (losses * outer[1:]).sum()
            slopes.append(torch.autograd.grad(total, (forecast, observed)))
    torch.testing.assert_close(slopes[0][0], slopes[1][0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(slopes[0][1], slopes[1][1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("members", [1, 2, 7])
@pytest.mark.parametrize("fair", [False, True])
def test_gradients_pass_gradcheck_away_from_ties(members, fair):
    generator = torch.Generator().manual_seed(members)
    forecast = torch.randn(members, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    observed = torch.randn(2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, False, True]])
    score = functools.partial(ensemble_scores, levels=LEVELS, fair=fair, mask=mask)
    assert torch.autograd.gradcheck(lambda x, y: tuple(score(x, y)), (forecast, observed))
    weighted = functools.partial(ensemble_crps, fair=fair, weights=torch.arange(1.0, members + 1))
    assert torch.autograd.gradcheck(weighted, (forecast, observed))
    for weights in (None, torch.arange(1.0, members + 1)):
        vectors = functools.partial(energy_score, fair=fair, weights=weights)
        assert torch.autograd.gradcheck(vectors, (forecast, observed))


def test_at_ties_equal_members_keep_their_order_and_equal_observations_have_no_slope():
    forecast = torch.tensor([2.0, 1.0, 2.0, 5.0], requires_grad=True)
    ensemble_crps(forecast, torch.tensor(2.0)).backward()
    # Σ sign(x − y) / 4 − (2 i − 5) / 16 with the places 2, 1, 3, 4
    assert forecast.grad.tolist() == [1 / 16, -1 / 4 + 3 / 16, -1 / 16, 1 / 4 - 3 / 16]


@pytest.mark.parametrize("fair", [False, True])
@pytest.mark.parametrize("backend", ["numpy"])
def test_scoringrules_agrees(fair, backend):
    generator = torch.Generator().manual_seed(3)
    forecast = torch.randn(11, 40, generator=generator, dtype=torch.float64)
    observed = torch.randn(40, generator=generator, dtype=torch.float64)
    expected = scoringrules.crps_ensemble(
        observed.numpy(), forecast.numpy(), m_axis=0, estimator="fair" if fair else "nrg", backend=backend
    )
    torch.testing.assert_close(ensemble_crps(forecast, observed, fair=fair), torch.from_numpy(expected))
    vectors, truth = forecast.view(11, 8, 5), observed.view(8, 5)
    expected = scoringrules.es_ensemble(
        truth.numpy(),
        vectors.numpy(),
        m_axis=0,
        v_axis=-1,
        estimator="fair" if fair else "nrg",
        backend=backend,
    )
    torch.testing.assert_close(energy_score(vectors, truth, fair=fair), torch.from_numpy(expected))
    losses = ensemble_scores(forecast, observed, LEVELS).quantile_loss
    for level, loss in zip(LEVELS, losses, strict=True):
        quantile = torch.quantile(forecast, level, dim=0)
        expected = scoringrules.quantile_score(observed.numpy(), quantile.numpy(), level)
        torch.testing.assert_close(loss, torch.from_numpy(expected))


def test_the_metrics_of_the_bench_agree():
    forecast, observed = torch.randn(9, 4, 6, 3).double(), torch.randn(4, 6, 3).double()
    for name, fair in (("crps", False), ("crps_fair", True)):
        statistic, _ = metrics.metric(name).statistic(forecast, observed, torch.ones(1))
        torch.testing.assert_close(ensemble_crps(forecast, observed, fair=fair), statistic)
    statistic, _ = metrics.metric("energy_score").statistic(forecast, observed, torch.ones(1))
    torch.testing.assert_close(energy_score(forecast, observed), statistic[..., 0])


def test_weights_are_repeated_members():
    forecast, observed = torch.randn(4, 30).double(), torch.randn(30).double()
    times = torch.tensor([1, 3, 0, 2])
    repeated = forecast.repeat_interleave(times, dim=0)
    found = ensemble_crps(forecast, observed, weights=times)
    torch.testing.assert_close(found, ensemble_crps(repeated, observed))
    vectors, truth = forecast.view(4, 10, 3), observed.view(10, 3)
    found = energy_score(vectors, truth, weights=times)
    torch.testing.assert_close(found, energy_score(vectors.repeat_interleave(times, dim=0), truth))
    # A single member with weight has no spread to estimate.
    alone = ensemble_crps(forecast, observed, fair=True, weights=torch.tensor([0.0, 2.0, 0.0, 0.0]))
    torch.testing.assert_close(alone, (forecast[1] - observed).abs())


def test_a_hundred_quantile_losses_are_the_crps():
    """Laio and Tamea (2007), eq. 8: the CRPS is twice the mean quantile loss over all levels."""
    forecast, observed = torch.randn(2000, 5).double(), torch.randn(5).double()
    levels = [(one + 0.5) / 400 for one in range(400)]
    crps, losses = ensemble_scores(forecast, observed, levels)
    torch.testing.assert_close(2 * losses.mean(0), crps, rtol=5e-3, atol=0)


def test_a_large_offset_costs_no_precision():
    forecast, observed = torch.randint(0, 64, (50, 20)) / 64, torch.randint(0, 64, (20,)) / 64
    shifted = ensemble_crps(forecast + 4096, observed + 4096)
    assert torch.equal(shifted, ensemble_crps(forecast, observed))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("members", [1, 2, 5])
@pytest.mark.parametrize("place", ["member", "observation"])
@pytest.mark.parametrize("path", ["auto", "reference"])
def test_a_value_that_is_not_finite_makes_its_case_nan(wrong, members, place, path):
    forecast, observed = torch.randn(members, 3, 2), torch.randn(3, 2)
    (forecast[0] if place == "member" else observed)[1, 0] = wrong
    with ops(path):
        crps, losses = ensemble_scores(forecast, observed, LEVELS)
        bad = crps.isnan()
        assert bad.sum() == 1
        assert bad[1, 0]
        assert torch.equal(losses.isnan(), bad.expand(losses.shape))
        assert energy_score(forecast, observed).isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("path", ["auto", "reference"])
def test_a_case_that_does_not_count_scores_0_without_a_gradient_whatever_it_holds(path):
    forecast, observed = torch.randn(4, 3, 2), torch.randn(3, 2)
    forecast[0, 1], observed[2] = math.nan, math.inf
    forecast.requires_grad_()
    mask = torch.tensor([[True, True], [False, False], [False, False]])
    with ops(path):
        crps, losses = ensemble_scores(forecast, observed, LEVELS, mask=mask)
        vectors = energy_score(forecast, observed, mask=mask[:, 0])
        (crps.sum() + losses.sum() + vectors.sum()).backward()
    assert torch.equal(crps[1:], torch.zeros(2, 2))
    assert torch.equal(losses[:, 1:], torch.zeros(4, 2, 2))
    assert vectors[1:].tolist() == [0, 0]
    assert torch.equal(forecast.grad[:, 1:], torch.zeros(4, 2, 2))
    assert forecast.grad[:, 0].abs().min() > 0


def test_a_gradient_of_a_case_that_is_not_finite_is_nan():
    forecast = torch.tensor([[1.0, 1.0], [math.nan, 2.0]], requires_grad=True)
    ensemble_crps(forecast, torch.zeros(2)).sum().backward()
    assert forecast.grad.isnan().tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize("members", [1, 2, 3, 8, 33, 64, 65, 100, 128])
@pytest.mark.parametrize("dtype", TYPES)
def test_kernels_equal_the_reference_thread_by_thread(on_host, members, dtype, monkeypatch):
    monkeypatch.setattr(device, "THREADS", 32)
    monkeypatch.setattr(device, "SORTING_THREADS", 32)
    generator = torch.Generator().manual_seed(members)
    forecast = (4 * torch.randn(members, 35, generator=generator)).round().div(2).to(dtype)
    observed = torch.randn(35, generator=generator).to(dtype)
    for fair in (False, True):
        raised = forecast.to(eager.precision(forecast)), observed.to(eager.precision(forecast))
        expected = reference.scores(*raised, LEVELS, fair, None)
        found = device.scores(forecast, observed, LEVELS, fair, on_host(device.SOURCE).launch)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("members", [1, 2, 5, 16, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels_of_the_gradient_equal_torch_operations(on_host, members, dtype, monkeypatch):
    monkeypatch.setattr(device, "THREADS", 32)
    generator = torch.Generator().manual_seed(members)
    forecast = (4 * torch.randn(members, 40, generator=generator)).round().to(dtype)
    observed = torch.randn(40, generator=generator).round().to(dtype)
    outer = torch.rand(40, generator=generator).to(dtype)
    outer[3], forecast[0, 3], forecast[-1, 4] = 0, math.nan, math.inf
    for fair in (False, True):
        expected = eager.gradient(forecast, observed, outer, outer.new_empty(0, 40), (), fair, None)
        found = device.gradient(forecast, observed, outer, fair, on_host(device.SOURCE).launch)
        torch.testing.assert_close(found, expected, equal_nan=True)
        assert found.isnan().any(dim=0).nonzero().tolist() == [[4]]


@pytest.mark.parametrize(("members", "channels"), [(1, 3), (2, 1), (5, 4), (40, 2)])
@pytest.mark.parametrize("dtype", TYPES)
def test_kernels_of_the_energy_score_equal_the_reference(on_host, members, channels, dtype):
    generator = torch.Generator().manual_seed(members)
    forecast = torch.randn(members, 3, channels, generator=generator).to(dtype)
    observed = torch.randn(3, channels, generator=generator).to(dtype)
    for fair in (False, True):
        real = eager.precision(forecast)
        expected = reference.energy_by_pairs(forecast.to(real), observed.to(real), fair, None)
        found = device.energy(forecast, observed, fair, on_host(device.SOURCE).launch)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_kernels_make_cases_that_are_not_finite_nan(on_host, monkeypatch):
    monkeypatch.setattr(device, "SORTING_THREADS", 32)
    for members in (1, 3, 70):
        forecast, observed = torch.randn(members, 6), torch.randn(6)
        forecast[0, 1], forecast[-1, 2], observed[4] = math.nan, -math.inf, math.inf
        crps, losses = device.scores(forecast, observed, LEVELS, False, on_host(device.SOURCE).launch)
        assert crps.isnan().tolist() == [False, True, True, False, True, False]
        assert losses.isnan().tolist() == [crps.isnan().tolist()] * 4
        vectors = device.energy(forecast[..., None], observed[:, None], False, on_host(device.SOURCE).launch)
        assert vectors.isnan().tolist() == crps.isnan().tolist()


@given(ensembles(channels=4), st.booleans(), st.sampled_from(["none", "shared", "own"]))
def test_the_energy_score_in_blocks_equals_all_pairs(pair, fair, kind):
    forecast, observed = (one.double() for one in pair)
    weights = weights_of(forecast, kind)
    expected = reference.energy_by_pairs(forecast, observed, fair, scaled(weights))
    found = energy_score(forecast, observed, fair=fair, weights=weights)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)


def test_the_energy_score_of_one_channel_is_the_crps():
    forecast, observed = torch.randn(30, 50).double(), torch.randn(50).double()
    found = energy_score(forecast[..., None], observed[:, None], fair=True)
    torch.testing.assert_close(found, ensemble_crps(forecast, observed, fair=True))


@pytest.mark.parametrize("members", range(1, 12))
def test_the_network_orders_all_zeros_and_ones_and_so_everything(members):
    """The 0-1 principle of Knuth (The Art of Computer Programming 3, 5.3.4, theorem Z)."""
    bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=members))).t()
    assert torch.equal(eager._merged(bits.clone()), bits.sort(dim=0).values)


@pytest.mark.parametrize("members", [2, 15, 16, 17, 40])
def test_a_few_members_are_ordered_as_many_are(members, monkeypatch):
    forecast, observed = torch.randn(members, 300), torch.randn(300)
    found = ensemble_scores(forecast, observed, LEVELS)
    monkeypatch.setattr(eager, "IN_NETWORK", 0 if members <= eager.IN_NETWORK else 64)
    for one, other in zip(found, ensemble_scores(forecast, observed, LEVELS), strict=True):
        torch.testing.assert_close(one, other)


def test_scores_do_not_depend_on_blocks_layout_or_the_order_of_members(monkeypatch):
    forecast, observed = torch.randn(7, 8, 6), torch.randn(8, 6)
    whole = ensemble_scores(forecast, observed, LEVELS)
    swapped = ensemble_scores(forecast.transpose(1, 2), observed.t(), LEVELS)
    strided = ensemble_scores(torch.stack([forecast, forecast], -1)[..., 0], observed, LEVELS)
    vectors = energy_score(forecast, observed)
    monkeypatch.setattr(eager, "NUMBERS_AT_ONCE", 21)
    monkeypatch.setattr(energy, "PAIRS_AT_ONCE", 100)
    parts = ensemble_scores(forecast, observed, LEVELS)
    turned = ensemble_scores(forecast.flip(0), observed, LEVELS)
    for number in range(2):
        assert torch.equal(strided[number], whole[number])
        torch.testing.assert_close(swapped[number].transpose(-1, -2), whole[number])
        torch.testing.assert_close(parts[number], whole[number])
        torch.testing.assert_close(turned[number], whole[number])
    torch.testing.assert_close(energy_score(forecast, observed), vectors)


def test_two_calls_give_the_same_bits():
    forecast, observed = torch.randn(60, 900).round(), torch.randn(900)
    found = []
    for _ in range(2):
        leaf = forecast.clone().requires_grad_()
        crps, losses = ensemble_scores(leaf, observed, LEVELS)
        (crps.sum() + losses.sum()).backward()
        found.append(
            (crps, losses, leaf.grad, energy_score(forecast.view(60, 90, 10), observed.view(90, 10)))
        )
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_no_case_a_single_value_and_one_member():
    assert ensemble_crps(torch.zeros(3, 0), torch.zeros(0)).shape == (0,)
    assert ensemble_scores(torch.zeros(3, 0, 4), torch.zeros(0, 4), LEVELS).quantile_loss.shape == (4, 0, 4)
    assert energy_score(torch.zeros(3, 0, 4), torch.zeros(0, 4)).shape == (0,)
    assert ensemble_crps(torch.tensor([1.0, 3.0]), torch.tensor(0.0)).item() == 1.5
    for fair in (False, True):
        assert ensemble_crps(torch.tensor([4.0]), torch.tensor(1.0), fair=fair).item() == 3
        assert energy_score(torch.tensor([[3.0, 4.0]]), torch.zeros(2), fair=fair).item() == 5
    leaf = torch.zeros(3, 0, requires_grad=True)
    ensemble_crps(leaf, torch.zeros(0)).sum().backward()
    assert leaf.grad.shape == (3, 0)


def test_autocast_changes_nothing():
    forecast, observed = torch.randn(20, 50), torch.randn(50)
    with torch.autocast("cpu", torch.bfloat16):
        leaf = forecast.clone().requires_grad_()
        assert torch.equal(ensemble_crps(forecast, observed), ensemble_crps(leaf, observed).detach())
        within = (
            ensemble_crps(forecast, observed),
            energy_score(forecast.view(20, 5, 10), observed.view(5, 10)),
        )
    assert torch.equal(within[0], ensemble_crps(forecast, observed))
    assert torch.equal(within[1], energy_score(forecast.view(20, 5, 10), observed.view(5, 10)))


@pytest.mark.parametrize("levels", [[], [0.1, 0.9]])
def test_the_registered_operators_pass_the_checks_of_torch(levels):
    forecast, observed = torch.randn(5, 6, requires_grad=True), torch.randn(6, requires_grad=True)
    arguments = (forecast, observed, levels, True, None)
    torch.library.opcheck(torch.ops.tsbench.ensemble_crps.default, arguments)
    vectors = torch.randn(5, 3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    torch.library.opcheck(torch.ops.tsbench.energy_score.default, (*vectors, False, None))


def test_compiled_code_calls_the_operator_and_its_gradient():
    def total(forecast, observed):
        return ensemble_crps(forecast, observed, fair=True).sum()

    forecast, observed = torch.randn(5, 6, requires_grad=True), torch.randn(6)
    compiled = torch.compile(total, backend="aot_eager", fullgraph=True)
    (one,) = torch.autograd.grad(compiled(forecast, observed), forecast)
    (other,) = torch.autograd.grad(total(forecast, observed), forecast)
    assert torch.equal(one, other)


def test_it_trains_an_ensemble_towards_the_distribution():
    """The CRPS is proper: its minimum over ensembles of 20 members lies at the quantiles of the data."""
    generator = torch.Generator().manual_seed(0)
    observed = torch.randn(4000, generator=generator, dtype=torch.float64) * 2 + 1
    members = torch.linspace(-0.1, 0.1, 20, dtype=torch.float64).requires_grad_()
    optimiser = torch.optim.Adam([members], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        ensemble_crps(members[:, None].expand(20, 4000), observed).mean().backward()
        optimiser.step()
    levels = (torch.arange(20, dtype=torch.float64) + 0.5) / 20
    found, expected = members.detach().sort().values, torch.quantile(observed, levels)
    torch.testing.assert_close(found[1:-1], expected[1:-1], atol=0.1, rtol=0)


def test_it_counts_as_data_movement():
    assert bytes_moved(members=50, cases=100, size=4) == 52 * 100 * 4
    forecast = torch.randn(5, 6, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        ensemble_crps(forecast, torch.randn(6)).sum().backward()
        energy_score(forecast[..., None], torch.randn(6, 1)).sum().backward()
    assert counter.get_total_flops() == 0


def test_the_kernel_can_be_demanded_on_a_gpu_only():
    with ops("cuda"):
        for score in (ensemble_crps, energy_score):
            with pytest.raises(InputError, match=r"got tensors on cpu, but TSBENCH_OPS=cuda asks"):
                score(torch.zeros(2, 3), torch.zeros(3))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"forecast": torch.zeros(0, 3)}, r"it must be \(member, ...\) with a member or more"),
        ({"forecast": torch.tensor(1.0)}, r"forecast has shape \(\)"),
        ({"forecast": torch.zeros(4, 3, dtype=torch.int64)}, "members must be real floating-point numbers"),
        ({"observed": torch.zeros(4)}, r"observed has shape \(4,\); members have \(3,\)"),
        ({"mask": torch.ones(3)}, r"mask has shape \(3,\) of torch.float32; it must be \(3,\) of bool"),
        ({"weights": torch.ones(3)}, r"weights has shape \(3,\); it must be \(4,\) or \(4, 3\)"),
        ({"weights": torch.tensor([1.0, -1, 1, 1])}, "not negative"),
        ({"weights": torch.zeros(4)}, "above zero for a member of each case"),
        ({"weights": torch.full((4,), math.nan)}, "must be finite"),
        ({"levels": (0.5, 1.0)}, "the level 1 is no level of a quantile"),
        ({"levels": (0.5,), "weights": torch.ones(4)}, "leave out levels or weights"),
    ],
)
def test_a_wrong_argument_is_named(changed, message):
    arguments = {"forecast": torch.zeros(4, 3), "observed": torch.zeros(3), "levels": ()} | changed
    with pytest.raises(InputError, match=message):
        ensemble_scores(**arguments)


def test_vectors_need_a_channel_dimension():
    with pytest.raises(InputError, match=r"it must be \(member, ..., channel\)"):
        energy_score(torch.zeros(4), torch.zeros(()))


def test_ensembles_of_every_size_have_a_path(monkeypatch):
    """On a CUDA device: registers, a block, or torch operations; the launches are recorded in place of a GPU."""
    called = []
    monkeypatch.setattr(op.choice, "path", lambda *given: "cuda")
    monkeypatch.setattr(
        device.launch, "launch", lambda source, name, *given: called.append((name, *given[:2]))
    )
    for members in (1, 3, 64, 65, 1024, 1025):
        ensemble_crps(torch.zeros(members, 10), torch.zeros(10))
    ensemble_crps(torch.zeros(3, 10), torch.zeros(10), weights=torch.ones(3))
    energy_score(torch.zeros(40, 10, 3), torch.zeros(10, 3))
    energy_score(torch.zeros(4000, 1, 4), torch.zeros(1, 4))
    assert called == [
        ("registers_float32_1", (1,), 128),
        ("registers_float32_4", (1,), 128),
        ("registers_float32_64", (1,), 128),
        ("block_float32", (2,), 256),
        ("block_float32", (2,), 256),
        ("energy_float32", (10,), 64),
    ]


@pytest.mark.gpu
@settings(max_examples=60)
@given(pair=ensembles(most=200), fair=st.booleans())
def test_kernels_equal_the_reference_on_a_gpu(pair, fair):
    forecast, observed = pair
    found = device.scores(forecast.cuda(), observed.cuda(), LEVELS, fair)
    real = eager.precision(forecast)
    expected = reference.scores(forecast.to(real), observed.to(real), LEVELS, fair, None)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("members", [8, 64, 100, 1024, 1500])
def test_scores_and_gradients_on_a_gpu_are_those_of_the_processor(members):
    forecast, observed = torch.randn(members, 1000).round(decimals=2), torch.randn(1000)
    found = []
    for where in ("cpu", "cuda"):
        leaf = forecast.to(where).requires_grad_()
        crps = ensemble_crps(leaf, observed.to(where), fair=True)
        crps.sum().backward()
        found.append((crps.detach().cpu(), leaf.grad.cpu()))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-4, atol=1e-5)
