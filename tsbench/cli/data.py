"""`tsbench data`: prepares, lists and checks stores. Commands import what they need."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tsbench.contracts.errors import InputError

from .output import as_json, note, table

app = typer.Typer(name="data", help="Data sets: prepare, list, check.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


class SizeName(StrEnum):
    """Sizes of a data set; published data have `full` only."""

    tiny = "tiny"
    small = "small"
    full = "full"


class FormatName(StrEnum):
    """Formats that data sets are written in."""

    gluonts = "gluonts"


class LayoutName(StrEnum):
    """How GluonTS's series are written."""

    json = "json"
    arrow = "arrow"


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="Data set, as in: tsbench list datasets")],
    source: Annotated[
        Path | None, typer.Option("--from", help="Published file, or folder that holds the published files.")
    ] = None,
    size: Annotated[SizeName, typer.Option(help="Size of a generated data set.")] = SizeName.full,
    seed: Annotated[int, typer.Option(help="Seed of a generated data set.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Prepare anew although there is a store.")] = False,
    allow_other_checksum: Annotated[
        bool, typer.Option("--allow-other-checksum", help="Accept files that are not those of the card.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, where a data set is made in parts; default: all cores."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Prepare a data set: from --from, else from TSBENCH_DATA_SOURCE, else a download; or generate it."""
    from tsbench.data.prepare import prepare
    from tsbench.data.store import USER_PREFIX

    if name.startswith(USER_PREFIX):
        path = _of_own_file(name, source, fresh)
    else:
        path = prepare(name, source, size.value, seed, fresh, allow_other_checksum, processes)
    if json:
        as_json(_record(path))
    else:
        note(f"{name} is ready: {path}")


@app.command("list")
def list_(json: AsJson = False) -> None:
    """List the prepared stores; a damaged one is listed with what is wrong."""
    from tsbench.data.store import find_stores, store_root

    records = [_record_or_damage(path) for path in find_stores()]
    if json:
        as_json(records)
        return
    if not records:
        note(f"No store in {store_root()} yet. See: tsbench list datasets, tsbench data get NAME")
        return
    columns = ("name", "size", "recipe", "content", "megabytes")
    table(
        columns,
        [[record.get(column, "damaged") for column in columns] for record in records],
        f"Stores in {store_root()}",
    )
    for record in records:
        if "damage" in record:
            note(record["damage"])


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Data set that was prepared.")],
    size: Annotated[SizeName, typer.Option(help="Size of a generated data set.")] = SizeName.full,
    json: AsJson = False,
) -> None:
    """Read a store again, and compare every file and value with the hashes that were kept."""
    from tsbench.data.store import check_store, store_path
    from tsbench.registry import canonical_name

    path = store_path(canonical_name(name), size.value)
    check_store(path)
    if json:
        as_json(_record(path) | {"intact": True})
    else:
        note(f"{name} is intact: {path}")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Data set, or a task, whose values are in model space.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write; it must be new or empty.")],
    format_: Annotated[FormatName, typer.Option("--format", help="Whose format.")] = FormatName.gluonts,
    layout: Annotated[LayoutName, typer.Option(help="How series are written.")] = LayoutName.json,
    json: AsJson = False,
) -> None:
    """Write a data set for another package: the folder of a GluonTS repository data set."""
    from tsbench.gluonts.export import write_folder

    counts = write_folder(name, folder, layout.value)
    if json:
        as_json({"name": name, "format": format_.value, "folder": str(folder), **counts})
    else:
        note(f"{name}: {counts['train']} training and {counts['test']} test entries in {folder}")


def _of_own_file(name: str, source: Path | None, fresh: bool) -> Path:
    from tsbench.data.store import USER_PREFIX, store_path
    from tsbench.data.user import prepare_file, slug

    if source is None:
        raise InputError(f"'{name}' is made from a file of your own: tsbench data get {name} --from FILE")
    if USER_PREFIX + slug(source) != name:
        raise InputError(f"{source.name} becomes '{USER_PREFIX + slug(source)}', not '{name}'")
    return store_path(prepare_file(source, fresh=fresh))


def _record_or_damage(path: Path) -> dict[str, Any]:
    try:
        return _record(path)
    except InputError as error:
        return {"name": path.parent.name, "size": path.stem, "damage": str(error), "path": str(path)}


def _record(path: Path) -> dict[str, Any]:
    from tsbench.data.store import read_provenance

    provenance = read_provenance(path)
    bytes_on_disk = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return {
        "name": provenance.dataset,
        "size": provenance.size,
        "recipe": provenance.recipe,
        "content": provenance.content,
        "megabytes": round(bytes_on_disk / 1e6, 3),
        "seed": provenance.seed,
        "files": provenance.files,
        "path": str(path),
    }
