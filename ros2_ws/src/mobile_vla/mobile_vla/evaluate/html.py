"""One self-contained HTML page: skeleton, tiles, tables, notes. Readable in light and dark, on paper and on a phone."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

_EMBED_LIMIT_BYTES = 24_000_000

STYLE = """
:root { color-scheme: light dark;
  --ground:#f7f7f5; --card:#ffffff; --ink:#1c1f23; --quiet:#5d646d; --rule:#e1e3e6;
  --c1:#2563b8; --c2:#c2620a; --c3:#177e6b; --c4:#8a4bb0;
  --good:#1f7a43; --warn:#b26a00; --bad:#b3261e; --idle:#8b929b; }
@media (prefers-color-scheme: dark) { :root {
  --ground:#14171b; --card:#1d2126; --ink:#e7e9ec; --quiet:#9aa2ad; --rule:#333940;
  --c1:#6fa8ff; --c2:#f3a04f; --c3:#4ec9b0; --c4:#c792ea;
  --good:#5fc985; --warn:#e8ad4c; --bad:#ff8a80; --idle:#79818c; } }
* { box-sizing:border-box }
body { margin:0; background:var(--ground); color:var(--ink);
  font:16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif }
main { max-width:940px; margin:0 auto; padding:28px 20px 60px }
h1 { font-size:1.7rem; line-height:1.2; margin:0 0 4px; text-wrap:balance }
h2 { font-size:1.15rem; margin:0 0 10px }
p { margin:0 0 10px; max-width:70ch }
.quiet, .lead { color:var(--quiet) }
.lead { margin-bottom:20px }
section { background:var(--card); border:1px solid var(--rule); border-radius:10px; padding:18px 20px; margin:0 0 16px }
.banner { border-radius:10px; padding:12px 16px; margin:0 0 16px; font-weight:600;
  border:1px solid var(--warn); background:color-mix(in srgb, var(--warn) 14%, var(--card)) }
.banner.bad { border-color:var(--bad); background:color-mix(in srgb, var(--bad) 14%, var(--card)) }
.tiles { display:grid; grid-template-columns:repeat(auto-fit, minmax(128px, 1fr)); gap:10px; margin:0 0 16px }
.tile { background:var(--card); border:1px solid var(--rule); border-radius:10px; padding:10px 14px }
.tile b { display:block; font-size:1.35rem; line-height:1.25; font-variant-numeric:tabular-nums }
.tile span { display:block; color:var(--quiet); font-size:.82rem; line-height:1.3; margin-top:2px }
ul { margin:0; padding-left:1.2em } li { margin:0 0 6px }
.scroll { overflow-x:auto }
table { border-collapse:collapse; width:100%; font-size:.92rem; font-variant-numeric:tabular-nums }
th { text-align:left; font-weight:600; color:var(--quiet); font-size:.82rem; border-bottom:1px solid var(--rule) }
th, td { padding:5px 12px 5px 0; vertical-align:top }
td.n, th.n { text-align:right }
tr + tr td { border-top:1px solid var(--rule) }
svg { display:block; width:100%; height:auto; margin:4px 0 8px }
video { width:100%; border-radius:8px; background:#000; display:block }
figure { margin:0 } figcaption { color:var(--quiet); font-size:.86rem; margin-top:6px }
.pair { display:grid; grid-template-columns:repeat(auto-fit, minmax(300px, 1fr)); gap:18px; align-items:start }
.legend { display:flex; flex-wrap:wrap; gap:4px 18px; font-size:.86rem; color:var(--quiet) }
.key { display:inline-block; width:16px; height:4px; border-radius:2px; margin-right:6px; vertical-align:middle;
  background:currentColor }
.good { color:var(--good) } .warn { color:var(--warn) } .bad { color:var(--bad) }
code { font:0.9em ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap:anywhere }
details summary { cursor:pointer; color:var(--quiet) }
.grid { stroke:var(--rule) } .axis { stroke:var(--idle) } .mark { stroke:var(--ink); stroke-dasharray:4 3 }
svg text { font:12px system-ui, sans-serif; fill:var(--ink) }
svg text.tick, svg text.label { fill:var(--quiet) } svg text.tick { font-size:11px }
svg text.inside { fill:#fff; font-weight:600 }
.line { fill:none; stroke:currentColor; stroke-width:1.8; stroke-linejoin:round }
.dot, .bar, .span { fill:currentColor } .span { stroke:var(--card) } .bar { opacity:.75 }
.band { fill:currentColor; opacity:.18 }
.s1 { color:var(--c1) } .s2 { color:var(--c2) } .s3 { color:var(--c3) } .s4 { color:var(--c4) }
.m-autonomy { color:#1f7a43 } .m-teleop { color:#2563b8 } .m-hold { color:#4c6a85 } .m-disarmed { color:#697079 }
.m-fault { color:#b26a00 } .m-estop { color:#b3261e } .m-other { color:#7a5c9e } .m-limit { color:#b26a00 }
@media print { body { background:#fff } section, .tile { break-inside:avoid } }
"""


def page(title: str, lead: str, parts: Iterable[str]) -> str:
    """The whole document. `title` and `lead` are plain text, `parts` are HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{"".join(parts)}</main></body></html>\n'
    )


def section(heading: str, *parts: str) -> str:
    """A card with a heading; `parts` are HTML."""
    return f"<section><h2>{escape(heading)}</h2>{''.join(parts)}</section>"


def paragraph(text: str, style: str = "") -> str:
    """Plain text; `style` is a class such as quiet."""
    return f'<p class="{style}">{escape(text)}</p>' if style else f"<p>{escape(text)}</p>"


def banner(text: str, *, bad: bool = False) -> str:
    """A warning that must not be overlooked."""
    return f'<div class="banner{" bad" if bad else ""}" role="note">{escape(text)}</div>'


def bullets(sentences: Iterable[str]) -> str:
    """A list of plain sentences."""
    return f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences)}</ul>"


def tiles(metrics: Iterable[tuple[str, str]]) -> str:
    """Big figures: (value, what it is)."""
    boxes = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>' for value, name in metrics
    )
    return f'<div class="tiles">{boxes}</div>'


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """The first `text_columns` columns are left-aligned, the rest are figures."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}>{escape(cell)}</{tag}>" if index < text_columns else f'<{tag} class="n">{escape(cell)}</{tag}>'
            for index, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{cells("th", headers)}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def details(summary: str, content: str) -> str:
    """HTML that is folded away."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def pair(*parts: str) -> str:
    """Side by side where there is room."""
    return f'<div class="pair">{"".join(f"<div>{part}</div>" for part in parts)}</div>'


def video(path: Path, caption: str) -> str:
    """Embedded, so that the page can be sent alone; linked when it is too large for that."""
    if path.stat().st_size <= _EMBED_LIMIT_BYTES:
        source = f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"
    else:
        source = path.name
        caption += f" (in {path.name} beside this page)"
    player = f'<video controls muted playsinline preload="metadata" src="{source}"></video>'
    return f"<figure>{player}<figcaption>{escape(caption)}</figcaption></figure>"


def image(png_or_jpeg: bytes, caption: str) -> str:
    """An embedded picture."""
    kind = "png" if png_or_jpeg.startswith(b"\x89PNG") else "jpeg"
    data = base64.b64encode(png_or_jpeg).decode()
    shown = f'<img style="width:100%;border-radius:6px" alt="{escape(caption)}" src="data:image/{kind};base64,{data}">'
    return f"<figure>{shown}<figcaption>{escape(caption)}</figcaption></figure>"
