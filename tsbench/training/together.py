"""Fits several seeds of a small model at once: one loop for all, parameters stacked over the seeds.

A step of a small model is mostly overhead, so that a stack of them costs little more than one. Forward and
backward pass are those of the model, mapped over parameters and batches by `torch.func`; every seed has its
own initial weights, order of cases, noise, learning rate, early stopping, best weights and history, and ends
with the weights of a fit by itself up to rounding. `fit.py` owns the fit of one seed, whose rules these are.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.optim.adam import adam
from tqdm import tqdm

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.data.cases import Batches
from tsbench.data.datamodule import TaskDataModule

from .checkpoint import BEST_WEIGHTS, EpochCheckpoint, read_checkpoint
from .fit import data_module, flops_of, report_of
from .module import NeuralForecaster
from .settings import TrainingSettings
from .source import FitReport, TaskSource
from .weights import count_parameters

LARGEST = 1_000_000
"""Parameters of a model above which a stack gains nothing."""
LARGEST_STEP = 32e6
"""FLOPs of one model's training step on a processor above which arithmetic, not overhead, takes the time:
TPGN on seven channels (50 million) goes slower in a stack than seed by seed, DLinear (17 million) faster."""

Tensors = dict[str, torch.Tensor]


def pays(model: NeuralForecaster, source: TaskSource) -> bool:
    """Whether fitting several seeds of a model that `can_stack` together takes less time than one by one."""
    if torch.device(source.device).type != "cpu":
        return True
    model.settings = source.settings
    per_step, _ = flops_of(model, data_module(source))
    return per_step is not None and per_step <= LARGEST_STEP


def can_stack(model: Any) -> bool:
    """Whether several seeds of a model can be fitted together and come to the weights of fits one by one.

    The model must say so (`stackable`), be small, learn all of its parameters, and draw nothing at random;
    what training may change beside parameters (buffers) is not stacked.
    """
    return (
        isinstance(model, NeuralForecaster)
        and model.stackable
        and 0 < (count_parameters(model) or 0) <= LARGEST
        and all(one.requires_grad for one in model.parameters())
        and not any(True for _ in model.buffers())
        and not any(isinstance(one, nn.modules.dropout._DropoutNd) and one.p > 0 for one in model.modules())
    )


def fit_together(
    fits: Sequence[tuple[NeuralForecaster, TaskSource]],
    checkpoint: Path | None = None,
    on_epoch: Callable[[], None] = lambda: None,
) -> list[FitReport | None]:
    """Train models of one class on one task, each with the seed of its source.

    Args:
        fits: models that `can_stack`, with their sources, which differ in seed and folder alone. The best
            weights of each are kept in its source's folder.
        checkpoint: file that holds the state after the last whole epoch, or None to keep none. A fit that was
            interrupted goes on from there and ends with the same bits.
        on_epoch: called after each whole epoch.

    Returns:
        A report for each model, which then holds the weights with its lowest validation loss; None for one
        whose loss was never finite.

    Raises:
        InputError: where the checkpoint is damaged, or the last batch alone is asked to be dropped.
    """
    members = [_Member(model, source) for model, source in fits]
    first = members[0]
    flops = flops_of(first.model, first.data)
    stack = _take_up(members, checkpoint) or _Stack(members)
    while stack.running:
        stack.epoch()
        on_epoch()
        if checkpoint is not None:
            with atomic.new_file(checkpoint) as temporary, temporary.open("wb") as file:
                torch.save(stack.state(), file)
    return [one.report(flops, len(members)) for one in members]


class _Member:
    """One seed of the stack: its model, data and progress."""

    def __init__(self, model: NeuralForecaster, source: TaskSource) -> None:
        self.model, self.source, self.settings = model, source, source.settings
        model.settings = source.settings
        self.data = data_module(source)
        self.progress = EpochCheckpoint(source.folder, lambda: None)

    @property
    def losses(self) -> list[float]:
        """Validation loss of each epoch so far."""
        return [epoch["validation_loss"] for epoch in self.progress.history]

    @property
    def done(self) -> bool:
        return len(self.losses) >= self.settings.epochs or self.settings.stops(self.losses)

    def report(self, flops: tuple[float | None, float | None], together: int) -> FitReport | None:
        """What the fit gave; the model holds its best weights then."""
        if self.progress.best_loss is None:
            return None
        self.progress.restore_best(self.model)
        report = report_of(self.progress, len(self.data.train_dataloader()), flops)
        report.detail["together"] = together
        return report


class _Stack:
    """Parameters and Adam's state of the members that are still trained, the first dimension that of members.

    Members that have stopped leave the stack.
    """

    def __init__(self, members: Sequence[_Member]) -> None:
        self.members = members
        self.settings: TrainingSettings = members[0].settings
        self.device = torch.device(members[0].source.device)
        self.running = [one for one in members if not one.done]
        self.parameters = {
            name: torch.stack([dict(one.model.named_parameters())[name].detach() for one in self.running])
            for name, _ in (members[0].model.named_parameters() if self.running else ())
        }
        self.parameters = {name: one.to(self.device) for name, one in self.parameters.items()}
        self.means = {name: torch.zeros_like(one) for name, one in self.parameters.items()}
        self.squares = {name: torch.zeros_like(one) for name, one in self.parameters.items()}
        self.step = 0
        self.loss = _Loss(members[0].model)
        self.traced: dict[tuple[int, ...], Callable[..., tuple[Tensors, torch.Tensor]]] = {}

    def epoch(self) -> None:
        """Train and validate all running members for an epoch; those that are done then leave."""
        start, number = time.perf_counter(), len(self.running[0].losses)
        rates = [self.settings.learning_rate_at(number, one.losses) for one in self.running]
        steps = len(self.running[0].data.train_dataloader())
        train_losses, momentum = [], self.settings.momentum
        self.loss.train()
        batches = tqdm(
            _stacked_batches([one.data for one in self.running], number),
            total=steps,
            desc=f"epoch {number + 1}/{self.settings.epochs}, {len(self.running)} seeds",
            file=sys.stderr,
            leave=False,
            ncols=79,
            disable=not self.running[0].source.progress,
        )
        for batch in batches:
            gradients, losses = self._gradients({name: one.to(self.device) for name, one in batch.items()})
            if self.settings.by_step:
                rate, momentum = self.settings.at_step(self.step, self.settings.epochs * steps)
                rates = [rate] * len(self.running)
            self._update(gradients, rates, momentum)
            train_losses.append(losses)
        mean_losses = torch.stack([one.double() for one in train_losses]).mean(dim=0).float().tolist()
        validation_losses = self._validate().float().tolist()
        seconds = (time.perf_counter() - start) / len(self.running)
        for row, member in enumerate(self.running):
            self._copy_to(member.model, row)
            member.progress.note(
                {
                    "epoch": number + 1,
                    "learning_rate": rates[row],
                    "train_loss": mean_losses[row],
                    "validation_loss": validation_losses[row],
                    "seconds": seconds,
                },
                member.model,
            )
        self._keep([row for row, member in enumerate(self.running) if not member.done])

    def state(self) -> dict[str, Any]:
        """What a resume needs beside the best weights: tensors and numbers, so that no pickle is read."""
        return {
            "members": {one.source.seed: one.progress.state_dict() for one in self.members},
            "running": [one.source.seed for one in self.running],
            "step": self.step,
            "parameters": self.parameters,
            "means": self.means,
            "squares": self.squares,
        }

    def _gradients(self, batch: Tensors) -> tuple[Tensors, torch.Tensor]:
        """Gradients of all members, and their losses, shape (member,).

        The mapped and differentiated step is traced once for each shape: what remains are the operators
        themselves, without the bookkeeping of autograd and vmap, which costs as much as a small model.
        """
        shape = tuple(batch["target"].shape)
        if shape not in self.traced:
            mapped = vmap(grad_and_value(lambda one, batch: self._loss_of(one, batch, "mean")))
            step = make_fx(lambda parameters, batch: mapped(parameters, batch))(self.parameters, batch)
            step.graph.eliminate_dead_code()
            step.recompile()
            self.traced[shape] = step
        with torch.no_grad():
            return self.traced[shape](self.parameters, batch)

    def _loss_of(self, parameters: Tensors, batch: Tensors, reduction: str) -> torch.Tensor:
        named = {f"model.{name}": one for name, one in parameters.items()}
        return functional_call(self.loss, named, (batch, reduction))

    def _update(self, gradients: Tensors, rates: Sequence[float], momentum: float) -> None:
        """One step of Adam: of the whole stack, or member by member where their learning rates differ."""
        if self.settings.gradient_clip:
            _clip(gradients.values(), self.settings.gradient_clip)
        same = len(set(rates)) == 1
        for row, rate in enumerate(rates[:1] if same else rates):
            part = (lambda one: one) if same else (lambda one, row=row: one[row])
            names = list(self.parameters)
            adam(
                [part(self.parameters[name]) for name in names],
                [part(gradients[name]) for name in names],
                [part(self.means[name]) for name in names],
                [part(self.squares[name]) for name in names],
                [],
                [torch.full((), float(self.step), device=self.device) for _ in names],
                fused=True,
                decoupled_weight_decay=self.settings.optimiser == "adamw",
                amsgrad=False,
                beta1=momentum,
                beta2=self.settings.second_momentum,
                lr=rate,
                weight_decay=self.settings.weight_decay,
                eps=1e-8,
                maximize=False,
            )
        self.step += 1

    @torch.no_grad()
    def _validate(self) -> torch.Tensor:
        """Mean validation loss of each member, float64, shape (member,); all see the same batches."""
        self.loss.eval()
        total, terms = torch.zeros(len(self.running), dtype=torch.float64, device=self.device), 0
        loss = vmap(lambda parameters, batch: self._loss_of(parameters, batch, "sum"), in_dims=(0, None))
        for batch in self.running[0].data.val_dataloader():
            moved = dict(batch.to(self.device))
            total += loss(self.parameters, moved).double()
            terms += self.loss.model.terms(moved)
        return total / terms

    @torch.no_grad()
    def _copy_to(self, model: NeuralForecaster, row: int) -> None:
        for name, parameter in model.named_parameters():
            parameter.copy_(self.parameters[name][row])

    def _keep(self, rows: list[int]) -> None:
        if len(rows) == len(self.running):
            return
        self.running = [self.running[row] for row in rows]
        self.traced = {}
        for tensors in (self.parameters, self.means, self.squares):
            tensors.update({name: one[rows] for name, one in tensors.items()})


class _Loss(nn.Module):
    """The loss of a model as a module's forward, for `functional_call`."""

    def __init__(self, model: NeuralForecaster) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Mapping[str, torch.Tensor], reduction: str) -> torch.Tensor:
        return self.model.loss(batch, reduction)


def _stacked_batches(modules: Sequence[TaskDataModule], epoch: int) -> Iterator[Tensors]:
    """Training batches of an epoch, each seed with its own: name → tensor, shape (member, sample, …)."""
    loaders: list[Batches] = [module.train_dataloader() for module in modules]
    for one in loaders:
        one.set_epoch(epoch)
    if modules[0].train.seeded:
        for batches in zip(*loaders, strict=True):
            yield {name: torch.stack([batch[name] for batch in batches]) for name in batches[0]}
        return
    # Without noise or drawn origins the cases are the same for all, and one gather serves them.
    cases, first = modules[0].train, loaders[0]
    orders = torch.stack([one.order() for one in loaders])
    for start in range(0, len(first) * first.size, first.size):
        batch = cases.gather(orders[:, start : start + first.size].flatten())
        yield {name: tensor.unflatten(0, (len(loaders), -1)) for name, tensor in batch.items()}


def _clip(gradients: Any, largest: float) -> None:
    """Scale each member's gradients down to a norm, as torch's clip_grad_norm_ does; in place."""
    norms = torch.stack([one.flatten(1).norm(dim=1) for one in gradients]).norm(dim=0)  # (member,)
    scale = (largest / (norms + 1e-6)).clamp(max=1.0)
    for one in gradients:
        one.mul_(scale.reshape(-1, *[1] * (one.ndim - 1)))


def _take_up(members: Sequence[_Member], checkpoint: Path | None) -> _Stack | None:
    """The stack where an interrupted fit left it; None where there is none that holds these members whole."""
    if checkpoint is None or not checkpoint.is_file():
        return None
    saved = read_checkpoint(checkpoint, ("members", "running", "step", "parameters", "means", "squares"))
    known = saved["members"]
    for member in members:
        state, folder = known.get(member.source.seed), member.source.folder
        best = state is not None and state["best_loss"] is not None
        if state is None or (best and (folder is None or not (folder / BEST_WEIGHTS).is_file())):
            return None
    for member in members:
        member.progress.load_state_dict(known[member.source.seed])
    stack = _Stack(members)
    try:
        rows = [saved["running"].index(one.source.seed) for one in stack.running]
        for name in stack.parameters if rows else ():
            stack.parameters[name] = saved["parameters"][name][rows].to(stack.device)
            stack.means[name] = saved["means"][name][rows].to(stack.device)
            stack.squares[name] = saved["squares"][name][rows].to(stack.device)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"The checkpoint {checkpoint} is damaged ({type(error).__name__}); start over with --fresh"
        ) from error
    stack.step = saved["step"]
    return stack
