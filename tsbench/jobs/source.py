"""Where a model comes from: the zoo, a file of the user's own, or a class in Python."""

import importlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tsbench import registry
from tsbench.contracts import InputError, ModelCard, ModelSettings
from tsbench.contracts.addressed import View

DEFAULT_CONTEXT = 96


@dataclass(frozen=True)
class ModelSource:
    """A model before it is built.

    Attributes:
        card: of the zoo's model, or a bare one for a model of the user's own.
        module: dotted name of the module for a registered model, else None.
        file: source file of a model of the user's own, else None.
        given: the class itself where Python code passed it, else None.
    """

    card: ModelCard
    module: str | None = None
    file: Path | None = None
    given: type | None = None

    @property
    def name(self) -> str:
        """Name under which Results are recorded."""
        return self.card.name

    def load(self) -> type:
        """Import the model's class.

        Raises:
            InputError: where the file has no such class, or several and none was named.
        """
        if self.given is not None:
            return self.given
        if self.module is not None:
            return getattr(importlib.import_module(self.module), self.card.class_name)
        assert self.file is not None
        return _class_of(_import_file(self.file), self.file, self.card.class_name)


def find_model(spec: str | type) -> ModelSource:
    """The model that `spec` names: `NAME`, `FILE.py`, `FILE.py:CLASS`, or a class.

    Raises:
        InputError: for an unknown name (with the nearest one) or a file that does not exist.
    """
    if isinstance(spec, type):
        file = (
            inspect.getsourcefile(spec)
            if spec.__module__ != "__main__" or "__file__" in vars(_main())
            else None
        )
        card = _bare_card(spec.__name__, getattr(spec, "views", ("sequence",)))
        return ModelSource(card, file=Path(file) if file else None, given=spec)
    path, _, class_name = spec.partition(".py")
    if spec.endswith(".py") or ".py:" in spec:
        file = Path(path + ".py")
        if not file.is_file():
            raise InputError(f"There is no file {file}")
        return ModelSource(_bare_card(class_name.removeprefix(":") or file.stem), file=file)
    card = registry.model(spec)
    return ModelSource(card, module=f"{registry.model_folder(spec).package}.model")


def _bare_card(class_name: str, views: tuple[View, ...] | None = None) -> ModelCard:
    slug = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower()).strip("_")
    return ModelCard(
        name=slug if slug[:1].isalpha() else f"model_{slug}",
        title=class_name,
        summary="A model of the user's own.",
        kind="neural",
        class_name=class_name,
        views=views,
        settings=(ModelSettings(context=DEFAULT_CONTEXT),),
    )


def _import_file(file: Path) -> ModuleType:
    # A name of its own, so that a file called numpy.py replaces no package.
    spec = importlib.util.spec_from_file_location(f"tsbench_file_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and Lightning look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _class_of(module: ModuleType, file: Path, name: str) -> type:
    own = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "predict")
    }
    if name in own:
        return own[name]
    if name == file.stem and len(own) == 1:
        return next(iter(own.values()))
    listed = ", ".join(own) or "none"
    raise InputError(f"{file}: name one class that has `predict`, as {file.name}:CLASS; there are {listed}")


def _main() -> Any:
    return sys.modules["__main__"]
