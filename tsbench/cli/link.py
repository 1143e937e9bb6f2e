"""`tsbench link`: what forecasts of channels are worth to a coded link that is steered by them."""

from pathlib import Path
from typing import Annotated

import typer

from . import output


def register(app: typer.Typer) -> None:
    """Add the command of this file to the program."""
    app.command()(link)


def link(
    forecasts: Annotated[
        list[Path], typer.Argument(help="Run folders of eval --save-forecasts, or forecasts, of one task.")
    ],
    snr: Annotated[
        list[float] | None,
        typer.Option(help="SNR of one antenna in dB, again for more; default: -3, 0 and 3."),
    ] = None,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Key or pattern of scenarios, again for more; default: regular*.")
    ] = None,
    cases: Annotated[int, typer.Option(min=1, help="Cases of a scenario; each lead time is a block.")] = 8,
    bits: Annotated[int, typer.Option(help="Bits of a QAM symbol: 2, 4, 6 or 8.")] = 4,
    rate: Annotated[float, typer.Option(help="Rate of the LDPC code.")] = 0.5,
    symbols: Annotated[int, typer.Option(help="OFDM symbols that carry a block.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Also write everything to this JSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Compare forecasts of channels by NMSE, beamforming gain, rate and block error rate of a link."""
    import json

    from tsbench import atomic
    from tsbench.link.compare import METRICS, compare
    from tsbench.link.transmission import LinkSettings

    settings = LinkSettings(bits_per_symbol=bits, rate=rate, symbols=symbols)
    if snr:
        settings = LinkSettings(tuple(snr), bits, rate, symbols)
    found = compare(forecasts, settings, scenario or ("regular*",), cases)
    record = found.record()
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(out, json.dumps(record, indent=1) + "\n")
        output.note(f"Written: {out}")
    if as_json:
        output.as_json(record)
        return
    columns = ["forecast", "NMSE", "gain dB", "SE bit/s/Hz", *(f"BLER {one:g} dB" for one in settings.snr_db)]
    rows = [
        [
            score.model,
            *(_rounded(found.mean(score, name)) for name in METRICS),
            *found.block_error_rates(score),
        ]
        for score in found.scores
    ]
    title = f"{found.task}: {sum(found.blocks.values())} blocks in {len(found.blocks)} scenarios at each SNR"
    output.table(columns, rows, title=title)
    for name, words in (("nmse", "lower NMSE"), ("beam_gain", "higher gain")):
        for place, one in enumerate(settings.snr_db):
            pairs = found.agreement(place, name)
            if total := sum(pairs.values()):
                output.note(
                    f"At {one:g} dB the forecast of {words} loses fewer blocks in {pairs['fewer']}, as many "
                    f"in {pairs['same']}, more in {pairs['more']} of {total} pairs in a scenario"
                )


def _rounded(value: float | None) -> float | None:
    """Without the rounding error that is left of a gain of 0 dB."""
    return None if value is None else round(value, 9)
