"""What both Chronos adapters share: reading a published folder into a network of the package, strictly."""

import fnmatch
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from tsbench.contracts import InputError
from tsbench.training.published_folder import CONFIG, check_state

from .pretrained import asks_for_code


def read_network(kind: type, folder: Path, config: dict[str, Any]) -> Any:
    """Read a network of class `kind` (a transformers model), float32.

    Args:
        kind: class of the package; config.json must name it.
        folder: whole files, no pickle.
        config: its config.json.

    Raises:
        InputError: where the folder holds another network, or tensors are missing, superfluous or of another
            shape.
    """
    from transformers.utils import logging

    if config.get("architectures") != [kind.__name__]:
        raise InputError(
            f"{folder / CONFIG}: architectures must be ['{kind.__name__}'], "
            f"not {config.get('architectures')!r}"
        )
    if odd := asks_for_code(config):
        raise InputError(f"{folder / CONFIG}: {odd} = {config.get(odd)!r} is not read")
    if (folder / "adapter_config.json").exists():
        raise InputError(f"{folder} holds an adapter; merge it into the weights first")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        network = kind.from_pretrained(  # type: ignore[attr-defined]
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, trust_remote_code=False
        )
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AssertionError, RuntimeError) as error:
        raise InputError(f"{folder} cannot be read as {kind.__name__}: {str(error)[:300]}") from error
    finally:
        if shown:
            logging.enable_progress_bar()
    # from_pretrained leaves tensors that a file lacks at random, and says so in a log at most.
    own = {name: one.shape for name, one in network.state_dict().items()}
    check_state(folder, own, optional=set(network._tied_weights_keys or ()), ignored=_Patterns(network))
    return network


class _Patterns:
    """Names that the package itself passes over: left from the network that it grew out of."""

    def __init__(self, network: Any) -> None:
        self.patterns = network._keys_to_ignore_on_load_unexpected or ()

    def __contains__(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern.replace("\\", "")) for pattern in self.patterns)
