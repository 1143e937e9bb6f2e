"""Checks of panels with histories: of the own place, without a gap, with the targets before."""

from collections.abc import Iterator

import numpy as np
import torch

from tsbench.data.panel.data import PanelData

from .subject import PARTS, Subject


def history_faults(data: PanelData, context: int) -> Iterator[str]:
    """A history is of the own place, its periods follow each other, and its targets are those before."""
    layout = data.arrays.layout
    if layout.place is None:
        return
    place, period = (data.arrays.coordinate(name) for name in (layout.place, layout.period))
    for part in PARTS:
        cases = data.windows(part, context)
        rows = cases.history[cases.rows].numpy()  # (case, period)
        if (rows < 0).any() or (place[rows] != place[rows[:, -1:]]).any():
            yield f"the {part} part holds a history of another place, or with a gap"
        elif (np.diff(period[rows].astype(np.int64), axis=1) != 1).any():
            yield f"the {part} part holds a history whose periods do not follow each other"
        if not layout.past_targets:
            continue
        batch = cases.using("past_covariates").gather(torch.arange(len(cases)))
        found = data.scale.target.to_units(batch["past_covariates"].double())[..., 0].numpy()
        before = rows[:, -found.shape[1] : -1]
        wanted = data.arrays.target.numpy()[np.hstack([before, rows[:, -2:-1]])]
        if not np.allclose(found, wanted, rtol=1e-4):
            yield f"past targets of the {part} part are not those of the periods before"


def unseen_faults(subject: Subject, data: PanelData) -> Iterator[str]:
    """What is held out is in no part, and no scenario is scored on what was trained on."""
    for part in PARTS:
        rows = data.windows(part, subject.context).rows.numpy()
        for name, values in data.arrays.layout.held_out.items():
            if np.isin(data.arrays.coordinate(name)[rows], np.array(values)).any():
                yield f"the {part} part holds samples of {name} {values[0]}, which is held out"
    trained = data.windows("train", subject.context).rows.numpy()
    for scenario in (one for one in subject.scenarios if one.dataset == data.name):
        found = data.test_cases(scenario, subject.context).rows.numpy()
        if np.isin(found, trained).any():
            yield f"scenario {scenario.key} is scored on samples that were trained on"
        for name, value in scenario.cell.items():
            if (data.arrays.coordinate(name)[found] != value).any():
                yield f"scenario {scenario.key} is scored on samples outside of its cell"
