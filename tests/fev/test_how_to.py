"""docs/how-to/use-fev.md does what it says: its task file and commands are used as a reader would."""

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer.main

from tsbench.cli.main import app

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "use-fev.md"


def test_the_task_file_and_the_commands_of_the_how_to_run(own_fev, tmp_path, monkeypatch, capsys):
    text = HOW_TO.read_text(encoding="utf-8")
    ((name, content),) = re.findall(r"```yaml (\S+)\n(.*?)```", text, re.DOTALL)
    (tmp_path / name).write_text(content)
    (tmp_path / "data").mkdir()
    random = np.random.default_rng(0)
    pd.concat(
        pd.DataFrame(
            {
                "id": f"shop{number}",
                "timestamp": pd.date_range("2023-01-01", periods=150, freq="D"),
                "target": 20 + 5 * np.sin(np.arange(150) * 2 * np.pi / 7) + random.random(150),
                "price": random.random(150),
                "region": "ns"[number % 2],
            }
        )
        for number in range(3)
    ).to_parquet(tmp_path / "data" / "shops.parquet")
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(one) for one in re.findall(r"^    tsbench (.+)$", text, re.MULTILINE)]
    ran = [one for one in commands if one[0] in ("fev", "data", "run")]
    assert [one[0] for one in ran] == ["fev", "fev", "data", "run"]

    for words in ran:
        quick = [] if words[0] == "data" else ["--no-track", "--threads", "1"]
        quick += ["--train", "epochs=1"] if "dlinear" in words else []
        typer.main.get_command(app).main([*words, *quick], standalone_mode=False)

    table = pd.read_csv(tmp_path / "results.csv")
    assert table["model_name"].tolist() == ["seasonal_naive"]
    # Noise of width 1 around a season that repeats: the scaled error of a seasonal naive forecast is about 1.
    assert table["MASE"].item() == pytest.approx(1, abs=0.3)
