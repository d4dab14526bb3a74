"""Plots as SVG, without a library."""

import html
import math

WIDTH = 760
FONT = 'font-family="sans-serif" font-size="12"'
OURS, OTHERS, LIMITS = "#2b6cb0", "#a0aec0", "#dd8833"
LINES = ["#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b7791f", "#4a5568"]


def text(x, y, content, anchor="start", color="#1a202c"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{html.escape(content)}</text>'


def document(height, title, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" {FONT}>\n'
            f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n'
            f'<text x="12" y="22" font-size="14" font-weight="bold" fill="#1a202c">{html.escape(title)}</text>\n'
            + "\n".join(parts) + "\n</svg>\n")


def color(name):
    if name.startswith("ours"):
        return OURS
    return LIMITS if name.startswith(("floor", "limit")) else OTHERS


def decades(low, high):
    """Powers of ten around values, as exponents."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return first, max(last, first + 1)


def bars(title, values):
    """(name, value) pairs, on a logarithmic scale."""
    left, right, top, row = 250, 70, 36, 22
    first, last = decades(min(v for _, v in values), max(v for _, v in values))

    def x(value):
        return left + (math.log10(value) - first) / (last - first) * (WIDTH - left - right)

    bottom = top + row * len(values)
    parts = []
    for exponent in range(first, last + 1):
        parts.append(f'<line x1="{x(10 ** exponent):.1f}" x2="{x(10 ** exponent):.1f}" y1="{top}" y2="{bottom}" stroke="#e2e8f0"/>')
        parts.append(text(x(10 ** exponent), bottom + 16, f"{10 ** exponent:g}", "middle", "#4a5568"))
    for i, (name, value) in enumerate(values):
        y = top + row * i
        parts.append(f'<rect x="{left}" y="{y + 4}" width="{max(x(value) - left, 1):.1f}" height="{row - 8}" fill="{color(name)}"/>')
        parts.append(text(left - 8, y + 15, name, "end"))
        parts.append(text(x(value) + 6, y + 15, f"{value:.3g}"))
    return document(bottom + 28, title, parts)


def lines(title, series, x_title, y_title):
    """{name: [(x, y), ...]}, both scales logarithmic."""
    left, right, top, bottom, height = 70, 200, 40, 330, 380
    points = [p for values in series.values() for p in values]
    ranges = [decades(min(p[i] for p in points), max(p[i] for p in points)) for i in (0, 1)]

    def place(value, i, begin, end):
        first, last = ranges[i]
        return begin + (math.log10(value) - first) / (last - first) * (end - begin)

    parts = []
    for exponent in range(ranges[0][0], ranges[0][1] + 1):
        x = place(10 ** exponent, 0, left, WIDTH - right)
        parts += [f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#e2e8f0"/>',
                  text(x, bottom + 16, f"{10 ** exponent:g}", "middle", "#4a5568")]
    for exponent in range(ranges[1][0], ranges[1][1] + 1):
        y = place(10 ** exponent, 1, bottom, top)
        parts += [f'<line x1="{left}" x2="{WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e8f0"/>',
                  text(left - 8, y + 4, f"{10 ** exponent:g}", "end", "#4a5568")]
    for i, (name, values) in enumerate(series.items()):
        shade = LINES[i % len(LINES)]
        path = [(place(x, 0, left, WIDTH - right), place(y, 1, bottom, top)) for x, y in values]
        parts.append(f'<polyline fill="none" stroke="{shade}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in path)}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{shade}"/>' for x, y in path]
        parts.append(text(WIDTH - right + 12, top + 16 + 18 * i, name, color=shade))
    parts += [text((left + WIDTH - right) / 2, bottom + 36, x_title, "middle"), text(left + 6, top + 14, y_title, color="#4a5568")]
    return document(height, title, parts)
