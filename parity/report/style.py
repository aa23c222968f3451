"""The look of the page: no script, no font or file from elsewhere; dark where the reader's system is."""

CSS = """
:root { color-scheme: light dark; --ink: #1a1c20; --soft: #5d6470; --line: #d9dce1; --paper: #fff; --raised: #f5f6f8;
  --good: #14743a; --bad: #b3261e; --badpaper: #fdecea; --one: #2563ad; --two: #b4560b; --three: #6b4aa8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa2ae; --line: #343941; --paper: #15171a;
  --raised: #1e2125; --good: #6fce93; --bad: #ff9b92; --badpaper: #3a1d1b;
  --one: #7db4f5; --two: #f0a35e; --three: #bda4f2 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
h3 { font-size: 1rem; margin: 1rem 0 .25rem }
a { color: inherit; white-space: nowrap }
:focus-visible { outline: 2px solid var(--one); outline-offset: 2px }
.pass { color: var(--good) } .fail, .error { color: var(--bad) }
.soft { color: var(--soft) }
.counters { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .5rem;
  margin: 1rem 0; padding: 0 }
.counters div { background: var(--raised); border-radius: .4rem; padding: .5rem .75rem }
.counters dt { color: var(--soft); font-size: .85rem } .counters dd { margin: 0; font-size: 1.35rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .875rem; overflow-wrap: normal }
th, td { padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 600; white-space: nowrap }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.name { font-family: ui-monospace, monospace; font-size: .8125rem }
tr.bad td { background: var(--badpaper) }
.n + td:not(.n) { padding-left: .6rem }
details { border-top: 1px solid var(--line) }
details details { border: 0; margin-left: .25rem }
summary { cursor: pointer; padding: .35rem 0 }
summary b { margin-right: .5rem }
.body { padding: 0 0 1rem .5rem; scroll-margin-top: 3rem }
.filter label { margin-right: 1rem }
main:has(#show-failing:checked) .of-passing, main:has(#show-passing:checked) .of-failing { display: none }
.blame ul { margin: 0 }
.blame { background: var(--badpaper); border-left: 4px solid var(--bad); padding: .5rem .75rem; margin: .5rem 0 }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem }
figure { margin: 0 } figcaption { color: var(--soft); font-size: .875rem }
svg { display: block; width: 100%; max-width: 40rem; height: auto; font: 11px system-ui, sans-serif }
svg text { fill: var(--soft) } svg .axis { stroke: var(--line) } svg .bar { fill: var(--one) }
svg .curve { fill: none; stroke-width: 2 } svg .point { fill: var(--paper); stroke-dasharray: none }
.one { stroke: var(--one) } .two { stroke: var(--two); stroke-dasharray: 7 4 }
.three { stroke: var(--three); stroke-dasharray: 2 4 }
.key { display: inline-block; width: 2rem; height: .8rem; vertical-align: middle }
"""

FRAGMENT = (
    "<style>.parity td, .parity th { text-align: left } .parity .pass { color: #14743a }"
    " .parity .fail, .parity .error { color: #b3261e } .parity .blame { border-left: 4px solid #b3261e;"
    " padding-left: .75rem }</style>"
)
