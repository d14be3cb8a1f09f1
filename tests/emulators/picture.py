"""docs/demo.svg: two scenes of the demo as it prints them, drawn as a terminal that moves. Fails where the picture in the repository is another one.

    python picture.py PATH/TO/trueup            compares
    python picture.py PATH/TO/trueup --write    writes it
"""

import hashlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs/demo.svg"
SCENES = ("2  blue/green", "3  a bad commit")
# Letters in a row; what is longer goes on in the next one, as in a terminal.
COLUMNS = 118
# In pixels. The width of a letter leaves room for the widest of the usual fonts.
LETTER, ROW, MARGIN = 7.3, 18, 16
# Seconds: until the next row comes, until what a command prints comes, and how long a finished scene stands.
PACE, THOUGHT, REST = 0.7, 1.4, 6.0
LARGEST = 100 * 1024
# The first that fits a word colours it.
COLOURS = (
    ("bad", r"Degraded|on hold|OutOfMemoryError|\bbad0bad\b"),
    ("busy", r"OutOfSync|Progressing|[█░]+"),
    ("good", r"Synced|Healthy"),
    ("dim", r"^  (?:cause|hint|next) |^[A-Z]{3,}(?: +[A-Z]+)+ *$"),
)
STYLE = """
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}
svg{fill:#d8dee9}
.command{fill:#fff;font-weight:bold}.told{fill:#8f9bb3}.write{fill:#7cc7e8}.good{fill:#8fd18f}.busy{fill:#e5c07b}.bad{fill:#f28b82}.dim{fill:#8f9bb3}
"""


def played(trueup):
    """What the demo prints. The ids of its commits differ in each run, since git's clock is the real one: they are made of their subjects."""
    said = subprocess.run([trueup, "demo", "--script"], check=True, capture_output=True, text=True).stdout
    for subject, commit in re.findall(r'^\$ git commit -am "(.*)"\n\[main ([0-9a-f]{7})\]', said, re.M):
        said = said.replace(commit, hashlib.sha256(subject.encode()).hexdigest()[:7])
    return said


def scene(said, title):
    """Its rows, each with the class that it is drawn in. What tells the scene comes before its first command."""
    found = re.search(rf"^── {re.escape(title)} ─+\n(.*?)(?=^── |\Z)", said, re.M | re.S)
    assert found, f"the demo has no scene `{title}`"
    told, shown = found[1].strip().split("\n\n", 1)
    return [(row, "told") for row in told.split("\n")] + [("", "")] + [(row, kind(row)) for row in shown.split("\n")]


def kind(row):
    if row.startswith("$ "):
        return "command"
    return "write" if re.match(r"  \S+ +> ", row) else ""


def wrapped(row):
    """In rows of a terminal, the later ones below what follows the first word."""
    indent = " " * re.match(r"(?:  \S+ +)?", row).end()
    rows = []
    while len(row) > COLUMNS:
        cut = row.rfind(" ", len(indent) + 1, COLUMNS + 1)
        rows.append(row[:cut])
        row = indent + row[cut + 1 :]
    return [*rows, row]


def coloured(row):
    pattern = "|".join(f"(?P<{name}>{words})" for name, words in COLOURS)
    drawn, end = "", 0
    for found in re.finditer(pattern, row):
        drawn += escape(row[end : found.start()], quote=False)
        drawn += f'<tspan class="{found.lastgroup}">{escape(found[0], quote=False)}</tspan>'
        end = found.end()
    return drawn + escape(row[end:], quote=False)


def timed(rows, start):
    """Each row of a scene with the second at which it comes; then the second at which the scene ends."""
    told, now = [], start
    for row, name in rows:
        told.append((row, name, now))
        # All that a command prints comes at once, what the controller tells one after the other.
        now += THOUGHT if name == "command" else PACE if row.startswith("  test/") else 0
    return told, now + REST


def drawn(said):
    scenes, end = [], 0.0
    for title in SCENES:
        rows, end = timed(scene(said, title), end)
        scenes.append((rows, end))
    groups, moves, height = [], [], 0
    for number, (rows, over) in enumerate(scenes):
        below, group = 0, ""
        for place, (row, name, start) in enumerate(rows):
            lines = wrapped(row)
            if row:
                group += drawn_row(f"r{number}-{place}", name, lines, below)
                moves.append(moved(f"r{number}-{place}", start / end, over / end, end))
            below += len(lines)
        height = max(height, below)
        # Who wants no motion sees how the story ends.
        earlier = "" if number == len(scenes) - 1 else ' class="earlier"'
        groups.append(f"<g{earlier}>{group}</g>")
    return document("\n".join(groups), "\n".join(moves), height)


def drawn_row(identity, name, lines, below):
    draw = coloured if not name else lambda line: escape(line, quote=False)
    texts = "".join(f'<text x="{MARGIN}" y="{MARGIN + (below + place) * ROW + 12}">{draw(line)}</text>' for place, line in enumerate(lines))
    return f'<g id="{identity}" class="{name}">{texts}</g>\n'


def moved(identity, start, over, seconds):
    """Seen from the one moment to the other, both as a part of the whole."""
    gone = f"{100 * over:.2f}%{{opacity:0}}" if over < 1 else ""
    frames = f"0%{{opacity:0}}{100 * start:.2f}%{{opacity:1}}{gone}" if start else f"0%{{opacity:1}}{gone}"
    return f"@keyframes {identity}{{{frames}}}#{identity}{{animation:{identity} {seconds:.1f}s step-end infinite}}"


def document(texts, moves, height):
    width, height = round(2 * MARGIN + COLUMNS * LETTER), 2 * MARGIN + height * ROW
    alt = "The demo: CodeDeploy shifts traffic to a commit step by step; a commit that crashes is rolled back and put on hold, and the tag stays on what runs."
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{alt}">
<style>{STYLE}.earlier{{display:none}}
@media (prefers-reduced-motion:no-preference){{.earlier{{display:inline}}
{moves}
}}</style>
<rect width="{width}" height="{height}" rx="8" fill="#1b2130" stroke="#3b4458"/>
{texts}
</svg>
"""


def main():
    text = drawn(played(sys.argv[1]))
    ElementTree.fromstring(text)
    assert len(text.encode()) < LARGEST, f"{len(text.encode())} bytes"
    if sys.argv[2:] == ["--write"]:
        PICTURE.write_text(text)
    assert PICTURE.read_text() == text, "the demo prints something else by now: scripts/picture draws it anew"
    print(f"picture: docs/demo.svg is what the demo prints, {len(text.encode()) // 1024} KiB")


if __name__ == "__main__":
    main()
