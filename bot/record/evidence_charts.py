"""The pictures of an evidence folder, as SVG: columns by week, and bars of how many lie in which range."""

from collections.abc import Sequence
from html import escape

WIDTH, TALL = 720, 150  # pixels: a picture, and its highest column
ROW, LABEL, BAR = 26, 130, 460
LABELS = 12  # weeks that are named, at most
FEW = 20  # weeks whose columns have their number on top


def columns(title: str, weeks: Sequence[tuple[str, Sequence[int]]], series: Sequence[str]) -> str:
    """Side by side for each week, one colour a series."""
    most = max((count for _, counts in weeks for count in counts), default=0)
    if not most:
        return _nothing(title)
    room = WIDTH / len(weeks)
    width = min(28.0, room * 0.8 / len(series))
    drawn = []
    for number, (week, counts) in enumerate(weeks):
        left = number * room + (room - width * len(series)) / 2
        for nth, count in enumerate(counts):
            tall = round(TALL * count / most)
            x, y = left + nth * width, 20 + TALL - tall
            drawn.append(f'<rect class="s{nth}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{tall}"/>')
            if count and len(weeks) <= FEW:
                drawn.append(f'<text class="n" x="{x + width / 2:.1f}" y="{y - 4}">{count}</text>')
        if number % -(-len(weeks) // LABELS) == 0:
            middle = left + width * len(series) / 2
            drawn.append(f'<text class="n" x="{middle:.1f}" y="{TALL + 38}">{escape(week)}</text>')
    key = "".join(f'<span class="s{nth}">■</span> {escape(name)} ' for nth, name in enumerate(series))
    base = f'<line x1="0" y1="{TALL + 20}" x2="{WIDTH}" y2="{TALL + 20}"/>'
    return _figure(title, f"<p>{key}</p>", WIDTH, TALL + 46, base + "".join(drawn))


def bars(title: str, ranges: Sequence[tuple[str, int]]) -> str:
    """One below the other, with its number behind it."""
    most = max((count for _, count in ranges), default=0)
    if not most:
        return _nothing(title)
    drawn = []
    for number, (name, count) in enumerate(ranges):
        top, long = number * ROW, round(BAR * count / most)
        drawn.append(
            f'<text x="0" y="{top + 17}">{escape(name)}</text>'
            f'<rect class="s0" x="{LABEL}" y="{top + 4}" width="{long}" height="{ROW - 8}"/>'
            f'<text x="{LABEL + long + 8}" y="{top + 17}">{count}</text>'
        )
    return _figure(title, "", WIDTH, ROW * len(ranges), "".join(drawn))


def _figure(title: str, key: str, width: int, height: int, drawn: str) -> str:
    return (
        f"<h3>{escape(title)}</h3>{key}"
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{drawn}</svg>'
    )


def _nothing(title: str) -> str:
    return f"<h3>{escape(title)}</h3><p>None in this time.</p>"
