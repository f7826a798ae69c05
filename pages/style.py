"""The little that the theme cannot say: tables of two sides, tabular figures, marks of state. Pure."""

from html import escape

# Word, icon and colour together, so that none of them carries a meaning alone.
ICONS = {"good": "✓", "info": "→", "wait": "●", "bad": "✕"}

SHEET = """<style>
:root { --good: #1a7f4b; --info: #2563c9; --wait: #9a6200; --bad: #c2282d; --quiet: rgba(110,116,130,.95);
  --hair: rgba(128,132,145,.25); --wash: rgba(128,132,145,.08) }
.dark { --good: #4cc38a; --info: #6ea8ff; --wait: #e5ae4a; --bad: #ff7b7f; --quiet: rgba(165,170,184,.95) }
.t-good { color: var(--good) } .t-info { color: var(--info) } .t-wait { color: var(--wait) }
.t-bad { color: var(--bad) } .t-quiet { color: var(--quiet) }
.t-bar { display: flex; gap: .7rem; align-items: baseline; flex-wrap: wrap }
.t-bar h1 { font-size: 1.3rem; font-weight: 600; margin: 0; padding: 0; letter-spacing: -.01em }
.t-small { font-size: .9rem; column-gap: 1.6rem }
.t-right { justify-content: flex-end; font-size: .85rem }
[data-testid="stMainBlockContainer"] { padding-left: 2rem; padding-right: 2rem }
@media (max-width: 1100px) { [data-testid="stMainBlockContainer"] { padding-left: 1rem; padding-right: 1rem } }
.t-badge { font-size: .68rem; font-weight: 650; letter-spacing: .06em; padding: .1rem .45rem; border-radius: .25rem;
  border: 1px solid currentColor; position: relative; top: -.1rem }
.t-lines { display: flex; flex-direction: column; gap: .2rem; font-size: 1rem }
.t-lines b { font-weight: 600 } .t-lines .t-mark { display: inline-block; width: 1.3rem }
table.t { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums }
table.t th { font-weight: 500; color: var(--quiet); font-size: .8rem; text-align: left; white-space: nowrap }
table.t th, table.t td { padding: .3rem .7rem .3rem 0; border: 0; border-bottom: 1px solid var(--hair);
  vertical-align: baseline }
table.t tr:last-child td { border-bottom: 0 }
table.t .n { text-align: right; white-space: nowrap } table.t .s { color: var(--quiet); font-size: .8rem }
table.t td.w { overflow-wrap: anywhere } table.t td:first-child, .t-keep { white-space: nowrap }
[data-testid="stPageLink"] p { color: var(--info); text-decoration: underline; text-underline-offset: .2em }
.t-scroll { overflow-x: auto }
.t-note { border-left: 3px solid var(--wait); background: var(--wash); padding: .55rem .8rem; font-size: .95rem;
  border-radius: 0 .3rem .3rem 0 }
.t-note.bad { border-color: var(--bad) } .t-note.good { border-color: var(--good) }
.t-note.info { border-color: var(--info) }
.t-head { font-size: .95rem; font-weight: 600; margin: 0 }
.t-amount { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums }
.t-id { font-family: ui-monospace, monospace; font-size: .82em; white-space: nowrap }
.t-run { height: .3rem; border-radius: .15rem; overflow: hidden; background: var(--wash); position: relative }
.t-run::after { content: ""; position: absolute; inset: 0 70% 0 0; border-radius: inherit; background: var(--info);
  animation: t-run 1.6s ease-in-out infinite alternate }
@keyframes t-run { to { inset: 0 0 0 70% } }
@media (prefers-reduced-motion: reduce) { .t-run::after { animation: none } }
</style>"""


def mark(state: str, word: str) -> str:
    """A state: icon, word and colour."""
    return f'<span class="t-keep t-{state}">{ICONS[state]} {escape(word)}</span>'


def line(state: str, text: str) -> str:
    """A state with a whole sentence, which may need more than one line."""
    return f'<div class="t-{state}">{ICONS[state]} {escape(text)}</div>'


def note(text: str, state: str = "wait") -> str:
    """The sentence a person should read first."""
    return f'<div class="t-note {state}">{escape(text)}</div>'


def identifier(object_id: str, short: str) -> str:
    """A short id; the whole one on hover."""
    return f'<span class="t-id" title="{escape(object_id)}">{escape(short)}</span>'


def keep(text: str) -> str:
    """What stays on one line: a date, an amount."""
    return f'<span class="t-keep">{escape(text)}</span>'


def titled(object_id: str, name: str) -> str:
    """A record's name; its id on hover."""
    return f'<span title="{escape(object_id)}">{escape(name)}</span>'


def table(head: list[str], rows: list[list[str]], numbers: frozenset[int] = frozenset()) -> str:
    """Rows of ready HTML; the columns of `numbers` are right-aligned."""

    def cells(values: list[str], tag: str) -> str:
        return "".join(
            f'<{tag} class="{"n" if index in numbers else "w"}">{value}</{tag}>' for index, value in enumerate(values)
        )

    top = f"<tr>{cells(head, 'th')}</tr>" if any(head) else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="t-scroll"><table class="t">{top}{body}</table></div>'
