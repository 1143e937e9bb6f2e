"""Windows by start index: the same on every path, and what the loaders gather today."""

import dataclasses
import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from tsbench.contracts import InputError
from tsbench.cuda_ops import ops, window_gather
from tsbench.cuda_ops.window_gather import bytes_moved, device, eager, op, reference
from tsbench.cuda_ops.window_gather.windowed import Request
from tsbench.data.collection_cases import HeldSeries, RollingWindows
from tsbench.data.windows import Windows

COPIED = [torch.bool, torch.uint8, torch.int16, torch.bfloat16, torch.float32, torch.float64, torch.int64]
SCALED = [torch.uint8, torch.int16, torch.float16, torch.bfloat16, torch.float32, torch.float64]


def table(generator, rows, columns, dtype=torch.float32):
    numbers = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    if dtype == torch.bool:
        return numbers > 0
    return (40 * numbers + 100).abs().clamp_max(255).to(dtype) if dtype != torch.int64 else numbers.long()


@st.composite
def requests(draw, dtypes=tuple(SCALED)):
    """A table, starts, and a request that may be asked of them."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    context, horizon = draw(st.integers(1, 13)), draw(st.integers(0, 7))
    columns, windows = draw(st.integers(1, 9)), draw(st.integers(0, 6))
    named = {"normalise": draw(st.booleans())}
    if draw(st.booleans()):
        named["channels"] = torch.randint(0, columns, (draw(st.integers(1, 4)),), generator=generator)
    if draw(st.booleans()):
        named["scale"] = torch.rand(columns, generator=generator, dtype=torch.float64) + 0.1
        named["offset"] = torch.randn(columns, generator=generator, dtype=torch.float64)
    if not draw(st.booleans()):
        rows = context + horizon + draw(st.integers(0, 20))
        start = torch.randint(0, rows - context - horizon + 1, (windows,), generator=generator)
        series = table(generator, rows, columns, draw(st.sampled_from(dtypes)))
        return series, start, Request(context, horizon, **named)
    named["repeat"] = draw(st.booleans())
    sizes = torch.tensor(draw(st.lists(st.integers(1, 25), min_size=1, max_size=4)))
    if not named["repeat"]:
        sizes = sizes + horizon
    end = sizes.cumsum(0)
    named["bounds"] = torch.stack([end - sizes, end], dim=1)
    named["owner"] = torch.randint(0, len(sizes), (windows,), generator=generator)
    first, last = named["bounds"][named["owner"]].unbind(1)
    most = last - (0 if named["repeat"] else horizon)
    origin = first + (torch.rand(windows, generator=generator) * (most - first + 1)).long()
    series = table(generator, int(end[-1]), columns, draw(st.sampled_from(dtypes)))
    return series, origin - context, Request(context, horizon, **named)


def assert_same(found, expected, request):
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is None:
            continue
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        if request.normalise:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        else:
            assert torch.equal(one, other)


@given(requests())
def test_torch_operations_equal_the_reference(asked):
    series, start, request = asked
    assert_same(eager.gather(series, start, request), reference.gather(series, start, request), request)


@given(requests(dtypes=(torch.float64,)))
def test_in_double_precision_statistics_agree_to_rounding(asked):
    series, start, request = asked
    found, expected = (path.gather(series, start, request) for path in (eager, reference))
    if request.normalise:
        for one, other in zip(found[4:], expected[4:], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-9)


@pytest.mark.slow
@settings(max_examples=60)
@given(asked=requests())
def test_kernels_equal_the_reference_thread_by_thread(on_host, asked):
    series, start, request = asked
    found = device.gather(series, start, request, on_host(device.SOURCE).launch)
    assert_same(found, reference.gather(series, start, request), request)


@pytest.mark.parametrize("dtype", COPIED)
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 8, 16])
def test_kernels_copy_runs_of_every_width(on_host, dtype, columns):
    generator = torch.Generator().manual_seed(columns)
    series = table(generator, 40, columns, dtype)
    start = torch.tensor([0, 3, 28, 3])
    for request in (Request(8, 4), Request(8, 0), Request(8, 4, channels=torch.tensor([columns - 1, 0]))):
        found = device.gather(series, start, request, on_host(device.SOURCE).launch)
        assert_same(found, reference.gather(series, start, request), request)


def test_kernels_read_a_long_context_twice_where_it_does_not_fit(on_host, monkeypatch):
    series = table(torch.Generator().manual_seed(0), 60, 40)
    request = Request(24, 8, normalise=True)
    start = torch.tensor([0, 28])
    expected = reference.gather(series, start, request)
    names = []

    def run(name, grid, block, arguments, shared_bytes=0):
        names.append((grid, bool(arguments[-2])))
        on_host(device.SOURCE).launch(name, grid, block, arguments, shared_bytes)

    monkeypatch.setattr(device, "THREADS", 32)
    for shared, grid, held in ((48 * 1024, (2, 2), True), (2048, (2, 3), True), (128, (2, 5), False)):
        monkeypatch.setattr(device, "SHARED_BYTES", shared)
        assert_same(device.gather(series, start, request, run), expected, request)
        assert names[-1] == (grid, held)


def test_kernels_give_zeros_for_windows_with_a_wrong_start(on_host):
    series = torch.ones(10, 3)
    start = torch.tensor([-1, 0, 7, 6])
    for named in ({}, {"normalise": True}, {"channels": torch.tensor([1])}):
        found = device.gather(series, start, Request(3, 1, **named), on_host(device.SOURCE).launch)
        if not named.get("normalise"):
            assert found[0].mean(dim=(1, 2)).tolist() == [0, 1, 0, 1]
        else:
            assert found[4].flatten(1)[:, 0].tolist() == [0, 1, 0, 1]
    bounds, owner = torch.tensor([[0, 10], [0, 99]]), torch.tensor([0, 1, 2, -1])
    request = Request(3, 1, bounds=bounds, owner=owner)
    found = device.gather(series, torch.zeros(4, dtype=torch.int64), request, on_host(device.SOURCE).launch)
    assert found[3].flatten().tolist() == [True, False, False, False]


def test_a_window_of_an_integer_series_by_hand():
    series = torch.tensor([[0, 10], [2, 20], [4, 60], [10, 0]], dtype=torch.uint8)
    scale, offset = torch.tensor([0.5, 2.0]).double(), torch.tensor([1.0, 0.0]).double()
    found = window_gather(series, torch.tensor([1]), 2, 1, scale=scale, offset=offset)
    assert found.context.tolist() == [[[2.0, 40.0], [3.0, 120.0]]]
    assert found.target.tolist() == [[[6.0, 0.0]]]
    found = window_gather(
        series, torch.tensor([1]), 2, 1, scale=scale, offset=offset, normalise=True, epsilon=0.0
    )
    assert found.mean.flatten().tolist() == [2.5, 80.0]
    assert found.deviation.flatten().tolist() == [0.5, 40.0]
    assert found.target.tolist() == [[[7.0, -2.0]]]


def test_padding_and_repetition_by_hand():
    series = torch.arange(1.0, 8.0)[:, None]
    bounds = torch.tensor([[0, 4], [4, 7]])
    start, owner = torch.tensor([-1, 3]), torch.tensor([0, 1])
    found = window_gather(series, start, 3, 2, bounds=bounds, owner=owner, repeat=True)
    assert found.context[..., 0].tolist() == [[0, 1, 2], [0, 5, 6]]
    assert found.target[..., 0].tolist() == [[3, 4], [7, 7]]
    assert found.context_mask.tolist() == [[False, True, True], [False, True, True]]
    assert found.target_mask.tolist() == [[True, True], [True, False]]
    found = window_gather(
        series, start, 3, 2, bounds=bounds, owner=owner, repeat=True, normalise=True, epsilon=0.0
    )
    assert found.mean.flatten().tolist() == [1.5, 5.5]
    assert found.context[..., 0].tolist() == [[0, -1, 1], [0, -1, 1]]


def test_a_constant_context_and_one_that_had_not_begun_stay_finite():
    series = torch.full((6, 2), 7.0)
    bounds, owner = torch.tensor([[0, 6]]), torch.tensor([0, 0])
    found = window_gather(
        series, torch.tensor([-3, 0]), 3, 2, bounds=bounds, owner=owner, normalise=True, epsilon=1e-4
    )
    assert found.deviation.flatten().tolist() == pytest.approx([1e-2] * 4)
    assert torch.equal(found.context, torch.zeros(2, 3, 2))
    assert found.mean[:, 0, 0].tolist() == [0, 7]


@pytest.mark.parametrize("dtype", COPIED)
def test_the_loader_of_one_series_gathers_the_same_bits(dtype):
    series = table(torch.Generator().manual_seed(5), 90, 7, dtype)
    nothing = torch.zeros(90, 0)
    windows = Windows(series, series, None, nothing, nothing, torch.arange(24, 70), 24, 12, tuple(range(7)))
    cases = torch.tensor([3, 0, 40, 3])
    batch = windows.gather(cases)
    found = window_gather(series, windows.origins[cases] - 24, 24, 12)
    assert torch.equal(found.context, batch["context"])
    assert torch.equal(found.target, batch["target"])


def test_the_loader_of_many_series_gathers_the_same_bits():
    """Origins as M4's loader draws them: padded before the series, masked after the training part."""
    sizes = torch.tensor([9, 40, 14])
    end = sizes.cumsum(0)
    values = torch.randn(int(end[-1]), 3)
    fields = dict.fromkeys(one.name for one in dataclasses.fields(HeldSeries))
    held = HeldSeries(
        **fields | {"values": values, "first": end - sizes, "end": end, "target_index": (0, 1, 2)}
    )
    owner = torch.tensor([0, 1, 1, 1, 2, 2])
    origins = (end - sizes)[owner] + torch.tensor([3, 1, 20, 36, 10, 5])
    cases = RollingWindows(held, owner, origins, end - 2, context=12, horizon=6, cut_within=9, seed=0)
    index = torch.tensor([5, 0, 1, 2, 3, 4, 0])
    batch = cases.gather(index)
    found = window_gather(
        held.values,
        origins[index] - 12,
        12,
        6,
        bounds=torch.stack([held.first, cases.ends], dim=1),
        owner=owner[index],
        repeat=True,
    )
    assert torch.equal(found.context, batch["context"])
    assert torch.equal(found.target, batch["target"])
    assert torch.equal(found.context_mask[..., None].expand(found.context.shape), batch["observed"])
    assert torch.equal(found.target_mask[..., None].expand(found.target.shape), batch["valid"])
    assert not batch["observed"].all()
    assert not batch["valid"].all()


def test_a_series_that_is_not_contiguous_gives_the_same_windows():
    whole = torch.randn(3, 50)
    start = torch.tensor([0, 7])
    for series in (whole.t(), whole.t()[::2], whole.t()[:, ::2], whole[:, 5:].t()[1:]):
        expected = window_gather(series.contiguous(), start, 8, 4)
        assert torch.equal(window_gather(series, start, 8, 4).target, expected.target)


@pytest.mark.parametrize("normalise", [False, True])
def test_no_window_no_channel_and_no_horizon_give_empty_results(normalise):
    gather = functools.partial(window_gather, context=4, horizon=2, normalise=normalise)
    nothing = torch.zeros(0, dtype=torch.int64)
    assert gather(torch.zeros(9, 3), nothing).context.shape == (0, 4, 3)
    assert gather(torch.zeros(0, 3), nothing).target.shape == (0, 2, 3)
    assert gather(torch.zeros(9, 0), torch.tensor([1, 2])).context.shape == (2, 4, 0)
    assert gather(torch.zeros(9, 3), torch.tensor([1]), channels=nothing).target.shape == (1, 2, 0)
    assert gather(torch.zeros(9, 3), torch.tensor([5]), horizon=0).target.shape == (1, 0, 3)


def test_two_calls_give_the_same_bits():
    series, start = torch.randn(500, 7), torch.randint(0, 300, (64,))
    one, two = (window_gather(series, start, 96, 24, normalise=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True) if a is not None)


def test_the_reference_runs_where_it_is_chosen(monkeypatch):
    called, plain = [], reference.gather
    monkeypatch.setattr(op.reference, "gather", lambda *given: called.append(1) or plain(*given))
    series, start = torch.randn(20, 2), torch.tensor([1])
    with ops("reference"):
        one = window_gather(series, start, 4, 2)
    assert called == [1]
    assert torch.equal(one.context, window_gather(series, start, 4, 2).context)
    assert called == [1]
    with ops("cuda"), pytest.raises(InputError, match="window_gather got tensors on cpu"):
        window_gather(series, start, 4, 2)


def test_no_gradient_flows_into_the_series():
    series = torch.randn(20, 2, requires_grad=True)
    assert not window_gather(series, torch.tensor([1]), 4, 2, normalise=True).context.requires_grad


def test_autocast_changes_nothing():
    series, start = torch.randn(200, 7), torch.tensor([1, 50])
    plain = window_gather(series, start, 24, 12, normalise=True)
    with torch.autocast("cpu", torch.bfloat16):
        within = window_gather(series, start, 24, 12, normalise=True)
    assert within.context.dtype == torch.float32
    assert torch.equal(within.context, plain.context)


@pytest.mark.parametrize("named", [{}, {"normalise": True}, {"bounds": True}, {"channels": True}])
def test_the_registered_operator_passes_the_checks_of_torch(named):
    arguments = dict.fromkeys(("channels", "bounds", "owner", "scale", "offset"))
    arguments |= {"normalise": False, "epsilon": 1e-5, "repeat": False} | named
    if arguments["bounds"]:
        arguments |= {"bounds": torch.tensor([[0, 30]]), "owner": torch.tensor([0, 0])}
    if arguments["channels"]:
        arguments["channels"] = torch.tensor([2, 0])
    series, start = torch.randn(30, 3), torch.tensor([2, 5])
    torch.library.opcheck(torch.ops.tsbench.window_gather.default, (series, start, 8, 4), arguments)


def test_compiled_code_calls_the_operator():
    series, start = torch.randn(30, 3), torch.tensor([2, 5])
    call = functools.partial(window_gather, context=8, horizon=4, normalise=True)
    compiled = torch.compile(call, backend="aot_eager", fullgraph=True)
    for one, other in zip(compiled(series, start), call(series, start), strict=True):
        assert one is other is None or torch.equal(one, other)


def test_it_counts_as_data_movement():
    assert bytes_moved(32, 96, 96, 7, 4, 4) == 2 * 32 * 192 * 7 * 4
    assert bytes_moved(1, 3, 1, 1, 2, 4) == 4 * 6
    with FlopCounterMode(display=False) as counter:
        torch.ops.tsbench.window_gather(
            torch.randn(30, 3), torch.tensor([2]), 8, 4, *[None] * 5, True, 1e-5, False
        )
    assert counter.get_total_flops() == 0


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([3, -1], "window 1 starts at row -1 and needs 6 rows; the series has 20 rows"),
        ([15], "window 0 starts at row 15 and needs 6 rows; the series has 20 rows"),
    ],
)
def test_a_wrong_start_is_named(start, message):
    with pytest.raises(InputError, match=message):
        window_gather(torch.zeros(20, 2), torch.tensor(start), 4, 2)


@pytest.mark.parametrize(
    ("start", "owner", "repeat", "message"),
    [
        (-5, 0, False, "window 0 starts at row -5 and needs 6 rows; its series has the rows 0 to 9"),
        (5, 0, False, "window 0 starts at row 5 .* only a context may reach before them"),
        (7, 0, True, "window 0 starts at row 7"),
        (0, 2, False, "window 0 is of series 2; there are 2"),
        (15, 1, True, r"bounds of series 1 are \[10, 21\]; there are 20 rows"),
    ],
)
def test_a_window_outside_its_series_is_named(start, owner, repeat, message):
    bounds = torch.tensor([[0, 10], [10, 21 if owner == 1 else 20]])
    with pytest.raises(InputError, match=message):
        window_gather(
            torch.zeros(20, 2),
            torch.tensor([start]),
            4,
            2,
            bounds=bounds,
            owner=torch.tensor([owner]),
            repeat=repeat,
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"series": torch.zeros(20)}, r"series has shape \(20,\); it must be \(row, channel\)"),
        ({"start": torch.tensor([1.0])}, "torch.float32; it must be .window,. of int64"),
        ({"start": torch.tensor([[1]])}, r"start has shape \(1, 1\)"),
        ({"context": 0}, "a context has at least one step"),
        ({"horizon": -1}, "horizon -1"),
        ({"series": torch.zeros(20, 2, dtype=torch.int64), "normalise": True}, "can be copied, not scaled"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"scale": torch.ones(2).double()}, "scale and offset go together"),
        ({"scale": torch.ones(2), "offset": torch.ones(2)}, "scale has shape .* of torch.float32"),
        ({"bounds": torch.tensor([[0, 20]])}, "bounds and owner go together"),
        ({"bounds": torch.tensor([0, 20]), "owner": torch.tensor([0])}, r"bounds has shape \(2,\)"),
        ({"bounds": torch.tensor([[0, 20]]), "owner": torch.tensor([0, 0])}, "that of start"),
        ({"repeat": True}, "repeat is for series with bounds"),
        ({"channels": torch.tensor([2])}, "channel 2 is not in the series, which has the channels 0 to 1"),
        ({"channels": torch.tensor([0.0])}, "channels has shape"),
    ],
)
def test_a_wrong_argument_is_named(changed, message):
    arguments = {
        "series": torch.zeros(20, 2),
        "start": torch.tensor([1]),
        "context": 4,
        "horizon": 2,
    } | changed
    with pytest.raises(InputError, match=message):
        window_gather(**arguments)


@pytest.mark.gpu
@settings(max_examples=100)
@given(asked=requests())
def test_kernels_equal_the_reference_on_a_gpu(asked):
    series, start, request = asked
    found = device.gather(series.cuda(), start.cuda(), request.on(torch.device("cuda", 0)))
    on_cpu = [None if one is None else one.cpu() for one in found]
    assert_same(on_cpu, reference.gather(series, start, request), request)


@pytest.mark.gpu
def test_more_than_two_to_the_31_elements_on_a_gpu():
    rows = 2**31 // 8 + 1000
    series = torch.zeros(rows, 8, dtype=torch.uint8, device="cuda")
    series[-12:] = torch.arange(96, dtype=torch.uint8, device="cuda").view(12, 8)
    found = window_gather(series, torch.tensor([rows - 12], device="cuda"), 8, 4)
    assert torch.equal(found.target.flatten().cpu(), torch.arange(64, 96, dtype=torch.uint8))
