"""The page of an evidence folder: one file, no script, nothing from outside, every text escaped."""

from collections.abc import Mapping, Sequence
from html import escape

BAR, ROW, LABEL = 420, 24, 130  # pixels
HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Evidence</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
td, th { text-align: left; padding: 0.1rem 1rem 0.1rem 0; vertical-align: top }
code { font-size: 0.8rem; word-break: break-all }
rect { fill: #3b6ea5 }
</style>
"""

Chart = tuple[str, Sequence[tuple[str, float]]]


def page(period: str, charts: Sequence[Chart], sums: Mapping[str, str], proof: str) -> str:
    """All of it."""
    files = "".join(
        f'<tr><td><a href="{escape(name)}">{escape(name)}</a></td><td><code>{escape(digest)}</code></td></tr>'
        for name, digest in sums.items()
    )
    return (
        f"{HEAD}<h1>Evidence, {escape(period)}</h1>"
        f"<p>The chain of the record when this was written: {escape(proof)}.</p>"
        "<p>To check it elsewhere, with checkpoints from the audit channel or the log: "
        "<code>python gatehouse_verify.py record.jsonl --checkpoint FILE --key PUBLIC_KEY</code></p>"
        f"{''.join(map(_drawn, charts))}"
        f"<h2>Files</h2><table><tr><th>File</th><th>SHA-256</th></tr>{files}</table></html>\n"
    )


def _drawn(chart: Chart) -> str:
    title, bars = chart
    if not any(value for _, value in bars):
        return f"<h2>{escape(title)}</h2><p>None.</p>"
    most = max(value for _, value in bars)
    rows = "".join(_bar(number, name, value, most) for number, (name, value) in enumerate(bars))
    size = f'width="{LABEL + BAR + 60}" height="{ROW * len(bars)}"'
    return f'<h2>{escape(title)}</h2><svg {size} role="img" aria-label="{escape(title)}">{rows}</svg>'


def _bar(number: int, name: str, value: float, most: float) -> str:
    top, length = number * ROW, round(BAR * value / most)
    return (
        f'<text x="0" y="{top + 16}">{escape(name)}</text>'
        f'<rect x="{LABEL}" y="{top + 3}" width="{length}" height="{ROW - 6}"/>'
        f'<text x="{LABEL + length + 6}" y="{top + 16}">{value:g}</text>'
    )
