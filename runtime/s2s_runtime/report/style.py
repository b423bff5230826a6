"""How a report looks: light or dark as the reader's system is, on a wide screen or a narrow one, or on paper."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --text: #1c1e21; --page: #ffffff; --quiet: #5b6168; --line: #d9dce0;
  --soft: #f3f5f7; --bar: #7fa7d6; --wrong: #b3261e; --wrong-soft: #fbe4e2; --right: #1b6e3c; --right-soft: #dff2e5; }
@media (prefers-color-scheme: dark) { :root { --text: #e5e7ea; --page: #16181b; --quiet: #9ba2aa; --line: #363a40;
  --soft: #212429; --bar: #3f6da3; --wrong: #ff9d94; --wrong-soft: #4a2421; --right: #86d6a3; --right-soft: #1d3a28; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 74rem; color: var(--text);
  background: var(--page); font: 1rem/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 46rem; } .quiet { color: var(--quiet); }
nav a { margin-right: 1rem; white-space: nowrap; } a { color: inherit; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; margin: .25rem 0 1rem; }
th, td { padding: .25rem .75rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; color: var(--quiet); overflow-wrap: normal; } tbody th { font-weight: normal; }
th.number, .number { text-align: right; white-space: nowrap; } .text { min-width: 8rem; white-space: pre-wrap; }
.bar { width: 40%; min-width: 8rem; vertical-align: middle; }
.bar span { display: block; height: .8rem; border-radius: 2px; background: var(--bar); }
details { margin: .5rem 0; } summary { cursor: pointer; }
del, ins { text-decoration: none; border-radius: 3px; padding: 0 .1em; }
del { color: var(--wrong); background: var(--wrong-soft); text-decoration: line-through; }
ins { color: var(--right); background: var(--right-soft); }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.figures div { background: var(--soft); border-radius: 8px; padding: .6rem 1rem; }
.figures b { display: block; font-size: 1.4rem; line-height: 1.3; }
.beside { display: flex; flex-wrap: wrap; gap: 0 3rem; align-items: flex-start; }
.beside > * { flex: 0 1 auto; min-width: 0; }
svg { max-width: 100%; height: auto; display: block; } svg text { fill: var(--quiet); font-size: 12px; }
svg .grid { stroke: var(--line); } svg .ideal { stroke: var(--quiet); stroke-dasharray: 4 4; }
svg .line { stroke: var(--bar); fill: none; stroke-width: 2; } svg circle { fill: var(--bar); }
@media print { body { max-width: none; } nav { display: none; } tr { break-inside: avoid; } }
"""
