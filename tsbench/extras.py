"""Optional packages: imported where they are needed; a missing one is one line that says how to get it."""

import importlib
from types import ModuleType

from tsbench.contracts import InputError


def require(module: str, extra: str, needed_by: str) -> ModuleType:
    """Import a module of an optional package.

    Args:
        module: dotted name.
        extra: extra of tsbench that brings the package.
        needed_by: what needs it, for the message.

    Raises:
        InputError: where the package, or one that it imports, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        missing = error.name or module
        raise InputError(
            f"{needed_by} needs the package '{missing.split('.')[0]}': pip install \"tsbench[{extra}]\""
        ) from error
