"""`tsbench audit`: probes of a task for leaks, wrong borders, wrong formulas and hidden randomness."""

import time
from typing import Annotated

import typer

from . import output


def register(app: typer.Typer) -> None:
    """Add the command of this file to the program."""
    app.command()(audit)


def audit(
    task: Annotated[str, typer.Argument(help="The task.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Forecast with this model: NAME, FILE.py or FILE.py:CLASS; may be repeated. "
            "Default: last_value, linear and dlinear, where they apply."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Audit a task: leaks, borders, scale, formulas, repetition, noise; exit code 1 where a check fails."""
    from tsbench.audit.checks import audit as run
    from tsbench.audit.subject import open_subject
    from tsbench.contracts import JobFailed

    start = time.perf_counter()
    subject = open_subject(task, model or ())
    findings = list(run(subject))
    failed = [finding for finding in findings if not finding.passed]
    if as_json:
        output.as_json(
            {
                "task": subject.task.id,
                "models": [candidate.name for candidate in subject.candidates],
                "passed": not failed,
                "findings": [
                    {"check": one.name, "compared": one.compared, "passed": one.passed, "faults": one.faults}
                    for one in findings
                ],
                "left_out": subject.left_out,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )
    else:
        rows = [[one.name, one.compared, "passed" if one.passed else "FAILED"] for one in findings]
        output.table(["check", "compared", "outcome"], rows, title=f"Audit of {subject.task.id}")
        for finding in failed:
            for fault in finding.faults[:3]:
                output.note(f"{finding.name}: {fault}")
            if len(finding.faults) > 3:
                output.note(f"{finding.name}: and {len(finding.faults) - 3} more; --json shows them all")
        for reason in subject.left_out:
            output.note(f"Not audited: {reason}")
        output.note(f"{time.perf_counter() - start:.1f} s")
    if failed:
        names = ", ".join(one.name for one in failed)
        raise JobFailed(f"{len(failed)} of {len(findings)} checks of {subject.task.id} failed: {names}")
