"""Where given weights come from: a file, a folder, or by name from the Hugging Face hub. Imports no torch.

Only what a user names is fetched, into the hub's own cache: configuration and safetensors, never a pickle or
code.
"""

import re
from pathlib import Path
from typing import Any

from tsbench.contracts import InputError
from tsbench.data.sources import sha256
from tsbench.extras import require

HUB_NAME = re.compile(r"(?P<owner>[A-Za-z0-9][\w.-]*)/(?P<name>[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-]+))?")
WANTED = ["config.json", "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors"]
SHA256 = re.compile(r"[0-9a-f]{64}")


def locate(given: Path) -> Path:
    """The file or folder that is meant; OWNER/NAME[@REVISION] is fetched where no such path exists.

    Raises:
        InputError: where the hub cannot be reached, has no such weights, or sends other bytes than it names.
    """
    found = HUB_NAME.fullmatch(given.as_posix())
    if given.exists() or found is None or given.parent.exists() or given.suffix == ".safetensors":
        return given
    return _fetch(f"{found['owner']}/{found['name']}", found["revision"])


def hub_name(weights: Path) -> str | None:
    """OWNER/NAME@COMMIT of weights in the cache of the hub; None for others."""
    cache = weights.parent.parent
    if weights.parent.name != "snapshots" or not cache.name.startswith("models--"):
        return None
    return f"{cache.name.removeprefix('models--').replace('--', '/', 1)}@{weights.name}"


def _fetch(name: str, revision: str | None) -> Path:
    hub: Any = require("huggingface_hub", "foundation", f"--weights {name}")
    try:
        folder = Path(hub.snapshot_download(name, revision=revision, allow_patterns=WANTED))
    except Exception as error:
        # The client has dozens of ways to say that there is no network, no such name or no right to read it.
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"There is no file or folder {name}, and it cannot be fetched from the Hugging Face hub "
            f"({type(error).__name__}: {reason}). Without a network, give the folder that holds its "
            "config.json and safetensors"
        ) from error
    for path in folder.glob("*.safetensors"):
        # The cache keeps large files under their SHA-256, as the hub told it.
        told = path.resolve().name
        if SHA256.fullmatch(told) and sha256(path) != told:
            raise InputError(
                f"{path} is not what the hub announced (SHA-256 {told}); remove it and try again"
            )
    return folder
