"""The `tsbench` command: assembles the groups, and turns exceptions into one line and an exit code.

Exit codes: 0 done, 1 a job failed, 2 wrong input, 130 interrupted. Importing this module imports no torch.
"""

import gc
import sys

import typer

from tsbench.contracts.errors import InputError, JobFailed

from . import audit, board, data, fev, forecast, jobs, link, request, results, show, sweep
from .output import note, one_line

INTERRUPTED = 130

app = typer.Typer(
    name="tsbench",
    help="One benchmark suite for forecasting across time series, wireless and science.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
show.register(app)
jobs.register(app)
sweep.register(app)
request.register(app)
audit.register(app)
forecast.register(app)
fev.register(app)
link.register(app)
app.add_typer(data.app, name="data")
app.add_typer(board.app, name="board")
app.add_typer(results.app, name="results")


def main() -> None:
    """Entry point of the console script."""
    try:
        app(standalone_mode=True)
    except InputError as error:
        note(f"Error: {one_line(error)}")
        sys.exit(2)
    except JobFailed as error:
        note(f"Failed: {one_line(error)}")
        sys.exit(1)
    except (OSError, MemoryError) as error:
        # A full disk, a folder without rights, too little memory: the machine's lack, not a mistake of ours.
        note(f"Failed: {one_line(error) or 'out of memory'}")
        sys.exit(1)
    except RuntimeError as error:
        # What Python says where a thread's stack no longer fits in memory; anything else is a fault of ours.
        if str(error) != "can't start new thread":
            raise
        note("Failed: out of memory, or of threads")
        sys.exit(1)
    except SystemExit as stop:
        # Typer turns Ctrl-C into this code, and says nothing.
        if stop.code == INTERRUPTED:
            note("Interrupted. Run the same command again to go on.")
        raise
    finally:
        # The process ends here: searching a million objects for cycles once more would take two seconds.
        # Where Triton is loaded it stays: its bindings report what was not freed, on some fifty lines.
        if "triton" not in sys.modules:
            gc.freeze()


if __name__ == "__main__":
    main()
