"""The model of docs/how-to/use-gluonts.md runs as a reader would run it."""

import json
import re
from pathlib import Path

import numpy as np
import typer.main

from tsbench.cli.main import app

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "use-gluonts.md"


def test_the_estimator_of_the_how_to_runs_from_the_command_line(waves_at_hand, tmp_path, capsys):
    ((name, content),) = re.findall(
        r"```python (\S+)\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / name).write_text(content)

    typer.main.get_command(app).main(
        [
            "run", f"{tmp_path / name}:Patches", "waves-12", "--context", "48", "--set", "d_model=8",
            "--train", "epochs=1", "--train", "batch_size=128", "--no-track", "--json",
        ],
        standalone_mode=False,
    )  # fmt: skip

    (outcome,) = json.loads(capsys.readouterr().out)
    assert outcome["result"]["model"]["name"] == "patches"
    assert outcome["result"]["forecast_kind"] == "quantiles"
    assert np.isfinite(outcome["result"]["scores"]["mse"]["regular"])
