"""Looks for known weaknesses (pip-audit) and lists the licences (pip-licenses) of what is installed.

    python tools/supply_chain.py [--licences FILE.csv]

A known weakness, or a licence that binds those who use a library (GPL, AGPL, SSPL), ends it with exit code 1.
Where the advisory service cannot be reached, or does not know the index, that is one line and no failure.
"""

import argparse
import csv
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

AUDIT_SECONDS = 240
COPYLEFT = ("AGPL", "GPL", "SSPL", "Affero", "GNU General Public")
WEAK = ("LGPL", "Lesser", "Library General", "MPL", "exception", " OR ")
"""Bind a library's own files only, or leave a choice."""
REVIEWED = {
    "docutils": "public domain and BSD; only its Emacs mode, which is not installed, is under the GPL"
}
"""Packages that name a refused licence for a part that nobody gets with them: name → what was found."""


def main() -> int:
    """Both checks; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--licences", type=Path, help="write the list of licences there")
    chosen = parser.parse_args()
    return max(weaknesses(), licences(chosen.licences))


def weaknesses() -> int:
    """Print what pip-audit finds; 1 where it finds anything."""
    words = ["--progress-spinner", "off", "--timeout", "10", "--skip-editable", "--format", "json"]
    try:
        done = _run("pip_audit", words, AUDIT_SECONDS)
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, subprocess.TimeoutExpired):
        sys.stdout.write("pip-audit: nothing was looked up, the advisory service cannot be reached\n")
        return 0
    known = [one for one in found if "vulns" in one]
    for one in known:
        for weakness in one["vulns"]:
            mended = ", ".join(weakness["fix_versions"]) or "no version"
            sys.stdout.write(f"{one['name']} {one['version']}: {weakness['id']}, mended in {mended}\n")
    weak = sum(bool(one["vulns"]) for one in known)
    skipped = len(found) - len(known)
    more = f", {skipped} that the advisory service does not know" if skipped else ""
    sys.stdout.write(f"pip-audit: {len(known)} packages looked up{more}, {weak} with known weaknesses\n")
    return int(weak > 0)


def licences(file: Path | None) -> int:
    """Print how many packages have which licence; 1 where one is not for a library like ours."""
    text = _run("piplicenses", ["--format", "csv", "--with-urls"], 120).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    if file is not None:
        file.write_text(text, encoding="utf-8")
    refused = [row for row in rows if row["Name"] not in REVIEWED and is_copyleft(row["License"])]
    for row in refused:
        sys.stdout.write(f"{row['Name']} {row['Version']} has the licence {row['License']}\n")
    unnamed = [row["Name"] for row in rows if row["License"] == "UNKNOWN"]
    most = Counter(row["License"] for row in rows).most_common(4)
    kinds = ", ".join(f"{count} {name}" for name, count in most)
    sys.stdout.write(
        f"licences: {len(rows)} packages ({kinds} …), not stated: {', '.join(unnamed) or 'none'}\n"
    )
    return int(bool(refused) or not rows)


def is_copyleft(licence: str) -> bool:
    """Whether a licence binds those who use the library."""
    return any(word in licence for word in COPYLEFT) and not any(word in licence for word in WEAK)


def _run(module: str, words: list[str], seconds: float) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


if __name__ == "__main__":
    sys.exit(main())
