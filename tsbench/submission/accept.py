"""Takes a checked submission over: its Result, with a record of how much of its forecasts was seen."""

import shutil
from pathlib import Path

from tsbench import atomic
from tsbench.contracts import InputError
from tsbench.contracts.commitment import VERIFIED_FILE
from tsbench.contracts.result import EXAMPLES_FILE, RESULT_FILE, SCORES_FILE, UNITS_FILE
from tsbench.contracts.submission import SUBMISSION_FILE
from tsbench.data.sources import sha256

from .check import Checked, read_manifest

TABLES = (RESULT_FILE, SCORES_FILE, UNITS_FILE, EXAMPLES_FILE)


def accept(folder: Path, found: Checked, root: Path) -> Path:
    """Copy the Result of a submission, and write beside it what the check has seen.

    Args:
        folder: of the submission.
        found: what its check found.
        root: folder of accepted Results; a Result of the same task, model and seed there is replaced.

    Returns:
        The Result's folder, root/TASK/MODEL/seed-N.

    Raises:
        InputError: where the submission has changed since its check.
    """
    told = {one.path: one for one in read_manifest(folder).files}
    target = root / found.task / found.model / f"seed-{found.seed}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic.new_folder(target) as temporary:
        for name in (one for one in TABLES if one in told):
            shutil.copyfile(folder / name, temporary / name)
            if sha256(temporary / name) != told[name].sha256:
                raise InputError(f"{folder / name} has changed since the check")
        if sha256(folder / SUBMISSION_FILE) != found.verified.manifest:
            raise InputError(f"{folder} has changed since the check")
        text = found.verified.model_dump_json(indent=1) + "\n"
        (temporary / VERIFIED_FILE).write_text(text, encoding="utf-8")
    return target
