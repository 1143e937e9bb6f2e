"""`moe_ffn` at Time-MoE's sizes against the loop over experts: forward, a training step, and bfloat16.

On a CUDA device torch's own grouped product is a peer, and the share of the matrix rate measured in the same
run is given.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch.nn import functional

from tsbench.cuda_ops import moe_ffn, ops

from .measure import Row, compare, unmeasured

SIZES = {"base": (384, 768), "large": (768, 1536), "ultra": (1024, 2048)}
"""Width and inner width of an expert."""
EXPERTS, CHOICES = 8, 2
TOKENS = {"cpu": (1, 8, 64, 512, 4096), "cuda": (64, 4096, 65536)}
BFLOAT16_TOKENS = (64, 512, 4096)
FAR = {torch.float32: 1e-5, torch.bfloat16: 3e-2}


def rows(device: str, repeats: int) -> Iterator[Row]:
    """Base size on a processor; all sizes on a CUDA device, in bfloat16."""
    plans = list(_plans(device))
    if device == "cuda" and not torch.cuda.is_available():
        yield from unmeasured("moe_ffn", [words for words, _ in plans], device)
        return
    rate = _matrix_rate() if device == "cuda" else None
    for words, plan in plans:
        ways, flops = plan()
        yield compare(
            "moe_ffn", words, device, ways, repeats,
            lambda seconds, flops=flops: {"GFLOP/s": flops / seconds / 1e9}
            | ({} if rate is None else {"of matrix rate": flops / seconds / rate}),
        )  # fmt: skip


def _plans(device: str) -> Iterator[tuple[str, Callable]]:
    sizes = list(SIZES) if device == "cuda" else ["base"]
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    for size in sizes:
        for tokens in TOKENS[device]:
            for trained in (False, True):
                what = "forward + backward" if trained else "forward"
                words = f"{size}, {tokens} tokens, {str(dtype)[6:]}, {what}"
                yield words, partial(against_loop, size, tokens, dtype, device, trained)
    if device == "cpu":
        for tokens in BFLOAT16_TOKENS:
            yield f"base, {tokens} tokens, bfloat16, forward", partial(against_float32, tokens)


def against_loop(
    size: str, tokens: int, dtype: torch.dtype, device: str, trained: bool
) -> tuple[dict, float]:
    """Ours, the loop, and on a CUDA device torch's grouped product (forward)."""
    given = made(size, tokens, dtype, device)

    def ours() -> list[torch.Tensor]:
        return _run(moe_ffn, given, trained)

    def loop() -> list[torch.Tensor]:
        with ops("reference"):
            return _run(moe_ffn, given, trained)

    ways = {"ours": ours, "loop": loop}
    if device == "cuda":
        ways["torch grouped"] = lambda: _run(torch_grouped, given, trained)
    _agree(ways, dtype, f"{size}, {tokens} tokens")
    return ways, _flops(size, tokens) * (3 if trained else 1)


def against_float32(tokens: int) -> tuple[dict, float]:
    """Ours in bfloat16 and in float32."""
    half, whole = (made("base", tokens, dtype, "cpu") for dtype in (torch.bfloat16, torch.float32))
    ways = {
        "ours": lambda: _run(moe_ffn, half, False),
        "ours in float32": lambda: _run(moe_ffn, whole, False),
    }
    return ways, _flops("base", tokens)


def made(size: str, tokens: int, dtype: torch.dtype, device: str) -> tuple:
    """Arguments of `moe_ffn`, with the loads that a softmax over random logits gives."""
    width, inner = SIZES[size]
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        scale = 0.02 if len(shape) == 3 else 1.0
        return (torch.randn(shape, generator=generator) * scale).to(device, dtype)

    matrices = [
        [one.clone().requires_grad_() for one in drawn(EXPERTS, *shape).unbind(0)]
        for shape in ((inner, width), (inner, width), (width, inner))
    ]
    x = drawn(tokens, width).requires_grad_()
    weight, chosen = torch.randn(tokens, EXPERTS, generator=generator).softmax(dim=1).topk(CHOICES, dim=1)
    return x, *matrices, chosen.to(device), weight.to(device, dtype)


def torch_grouped(x, gate, up, down, chosen, weight):
    """The same through `torch._grouped_mm`: sort, two grouped products, unsort, weighted sum."""
    number, order = chosen.flatten().sort(stable=True)
    offset = torch.searchsorted(number, torch.arange(1, len(gate) + 1, device=x.device)).int()
    gathered = x[order // chosen.shape[1]]
    both = torch._grouped_mm(
        gathered, torch.stack([torch.cat(p) for p in zip(gate, up, strict=True)]).mT, offset
    )
    one, other = both.chunk(2, dim=1)
    done = torch._grouped_mm(functional.silu(one) * other, torch.stack(down).mT, offset)
    unsorted = torch.empty_like(done).index_copy(0, order, done).view(*chosen.shape, -1)
    return (unsorted * weight[..., None]).sum(dim=1)


def _run(function: Callable, given: tuple, trained: bool) -> list[torch.Tensor]:
    if not trained:
        with torch.no_grad():
            return [function(*given)]
    out = function(*given)
    learned = [given[0], *given[1], *given[2], *given[3]]
    return [out.detach(), *torch.autograd.grad(out, learned, torch.ones_like(out), materialize_grads=True)]


def _agree(ways: dict[str, Callable], dtype: torch.dtype, name: str) -> None:
    first, *others = (way() for way in ways.values())
    for other in others:
        for one, two in zip(first, other, strict=True):
            if (one - two).abs().max() > FAR[dtype] * two.abs().max().clamp_min(1):
                raise SystemExit(f"moe_ffn, {name}: the ways differ by {(one - two).abs().max()}")


def _flops(size: str, tokens: int) -> float:
    width, inner = SIZES[size]
    return 3 * 2.0 * tokens * CHOICES * width * inner


def _matrix_rate() -> float:
    """FLOP/s of one large bfloat16 product, the roof."""
    square = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    row = compare("", "", "cuda", {"product": lambda: square @ square}, 5)
    return 2 * 8192**3 / row.ways["product"]
