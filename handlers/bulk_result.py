"""What became of a list, as a file for spreadsheets: a row for each row, and no cell that a spreadsheet would run."""

import csv
import io
from collections.abc import Iterable

from approvals.bulk_rows import Kept

HEADING = ("row", "person", "account", "action", "entitlement", "until", "result", "because")
RUNS = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet takes for a formula, and what may stand before one
SAID = {"valid": "not done", "refused": "refused", "done": "done", "failed": "failed"}


def result_file(rows: Iterable[Kept]) -> bytes:
    """UTF-8 with a mark, for spreadsheets take anything else for their own alphabet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEADING)
    for row in rows:
        cells = (row.person, row.account, row.verb, row.entitlement, row.until, SAID[row.state], row.because)
        writer.writerow([row.number, *map(safe_cell, cells)])
    return ("\ufeff" + out.getvalue()).encode()


def safe_cell(text: str) -> str:
    """With a ' in front where a spreadsheet would read a formula; also behind blanks, which some of them skip.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    bare = text.lstrip(" \u00a0\ufeff")
    return f"'{text}" if bare.startswith(RUNS) or text.startswith(RUNS) else text
