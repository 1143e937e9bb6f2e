"""Optional packages: imported where they are used, and asked for in one line where they are missing."""

import importlib
from types import ModuleType

from tsbench.contracts import InputError


def require(module: str, extra: str, user: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        module: dotted name, for example `statsforecast.models`.
        extra: of this distribution, that installs the package.
        user: what needs it, for the message.

    Raises:
        InputError: where the package is not installed, with the command that installs it.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # Anything else that is not found is a damaged installation, and shows itself as such.
        if (error.name or "").partition(".")[0] != package:
            raise
        raise InputError(f'{user} needs the package {package}: pip install "tsbench[{extra}]"') from error
