# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmark of organizations measured: as a table for the terminal, and as tables and a plot for a guide. Pure but for the guide's file."""

from __future__ import annotations

import math
import statistics
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from benchmark.measure import Run

NAMES = {
    "uri": "ansible.builtin.uri tasks",
    "modules": "a module task per resource",
    "baseline": "planasonix_baseline",
    "script": "script with requests",
    "debug": "debug, nothing else",
}
"""The ways, in the order in which they are shown."""
COLOURS = {
    "uri": "#c0504d",
    "modules": "#d99a2b",
    "baseline": "#2f6db5",
    "script": "#4d9a6a",
    "debug": "#8a8a8a",
}
BEGIN, END = ".. begin of what the benchmark wrote", ".. end of what the benchmark wrote"
LEAST_LESS_CPU = 40
"""How many times less CPU than uri tasks planasonix_baseline shall take."""
MOST_OF_SCRIPT = 2.5
"""How many times the wall time of the script it may take where the API answers at once."""
MOST_OF_DEBUG = 1.5
"""How many times what debug takes it may take, where that is more than the script allows."""
MOST_GROWTH = 1.1
"""How many times what it takes for an organization among fewer it may take for one among the most."""


@dataclass
class Measurements:
    """All that was measured.

    :param title: Versions and machine.
    :param command: What made it.
    :param rounds: By number of organizations and latency in milliseconds: one mapping of ways to runs for each round.
    :param start: Runs of debug on a single host: what a command takes before it comes to the organizations.
    """

    title: str
    command: str
    rounds: dict[tuple[int, int], list[Mapping[str, Run]]]
    start: list[Run] = field(default_factory=list)

    @property
    def sizes(self) -> list[int]:
        return sorted({size for size, _latency in self.rounds})

    @property
    def latencies(self) -> list[int]:
        return sorted({latency for _size, latency in self.rounds})

    def ways(self, size: int, latency: int) -> list[str]:
        """The ways that were measured there."""
        return [way for way in NAMES if way in self.rounds[size, latency][0]]

    def median(self, size: int, latency: int, way: str, value: Callable[[Run], float]) -> float:
        """The median of a value of one way."""
        return statistics.median(value(runs[way]) for runs in self.rounds[size, latency])

    def ratio(
        self, size: int, latency: int, way: str, other: str, value: Callable[[Run], float]
    ) -> float:
        """The median of how many times as much one way takes as another in the same round."""
        return statistics.median(
            value(runs[way]) / value(runs[other]) for runs in self.rounds[size, latency]
        )

    def growth(
        self, smaller: int, larger: int, latency: int, way: str, value: Callable[[Run], float]
    ) -> float:
        """The median of how many times as much an organization among more takes as one among fewer in the same round."""
        pairs = zip(self.rounds[smaller, latency], self.rounds[larger, latency], strict=False)
        return statistics.median(
            value(more[way]) / larger / (value(fewer[way]) / smaller) for fewer, more in pairs
        )


def wall(run: Run) -> float:
    """Its wall time in seconds."""
    return run.wall


def cpu(run: Run) -> float:
    """Its CPU time in seconds."""
    return run.cpu


def memory(run: Run) -> float:
    """The peak memory of its largest process in bytes."""
    return run.memory


COLUMNS: tuple[tuple[str, Callable[[Measurements, int, int, str], str]], ...] = (
    (
        "CPU ms",
        lambda found, size, latency, way: number(
            1000 * found.median(size, latency, way, cpu) / size
        ),
    ),
    (
        "wall ms",
        lambda found, size, latency, way: number(
            1000 * found.median(size, latency, way, wall) / size
        ),
    ),
    (
        "memory MB",
        lambda found, size, latency, way: f"{found.median(size, latency, way, memory) / 1e6:.0f}",
    ),
    (
        "CPU / baseline",
        lambda found, size, latency, way: number(found.ratio(size, latency, way, "baseline", cpu)),
    ),
    (
        "wall / script",
        lambda found, size, latency, way: number(found.ratio(size, latency, way, "script", wall)),
    ),
    (
        "CPU / debug",
        lambda found, size, latency, way: number(found.ratio(size, latency, way, "debug", cpu)),
    ),
    (
        "wall / debug",
        lambda found, size, latency, way: number(found.ratio(size, latency, way, "debug", wall)),
    ),
)
"""What is told of a way, and how it is made from the measurements."""


def number(value: float) -> str:
    """A number with about three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


# The terminal.


def print_report(found: Measurements) -> None:
    """Print the table, and how far what was to be reached was."""
    print(
        "\nPer organization, with the start of the command; ratios are of the same round, of several rounds the median counts."
    )
    for latency in found.latencies:
        print(f"\n{latency} ms latency {'':15}" + "".join(f"{name:>15}" for name, _show in COLUMNS))
        for size in found.sizes:
            print(f"  {size} organizations, {count_of(len(found.rounds[size, latency]), 'round')}")
            for way in found.ways(size, latency):
                print(
                    f"    {NAMES[way]:26}"
                    + "".join(f"{show(found, size, latency, way):>15}" for _name, show in COLUMNS)
                )
    print(f"\nOf that a command takes {start_of(found)} before it comes to the organizations.\n")
    for text, is_met in goals(found):
        print(f"{'reached' if is_met else 'MISSED '}  {text}")


def count_of(count: int, noun: str) -> str:
    """How many there are of something."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def start_of(found: Measurements) -> str:
    """What a command takes before it comes to the organizations, in words."""
    return f"{statistics.median(map(cpu, found.start)):.2f} s of CPU and {statistics.median(map(wall, found.start)):.2f} s of wall time"


def goals(found: Measurements) -> list[tuple[str, bool]]:
    """What was to be reached with an API that answers at once (the least latency measured), in words, and whether it was."""
    latency, sizes = found.latencies[0], found.sizes
    texts = []
    if "uri" in found.ways(sizes[0], latency):
        less = found.ratio(sizes[0], latency, "uri", "baseline", cpu)
        texts.append(
            (
                f"{less:.0f} times less CPU than uri, at least {LEAST_LESS_CPU} wanted ({sizes[0]} organizations)",
                less >= LEAST_LESS_CPU,
            )
        )
    for size in sizes:
        of_script = found.ratio(size, latency, "baseline", "script", wall)
        of_debug = {
            value.__name__: found.ratio(size, latency, "baseline", "debug", value)
            for value in (cpu, wall)
        }
        text = (
            f"{of_script:.2f} times the wall time of the script, at most {MOST_OF_SCRIPT} wanted, or {of_debug['wall']:.2f} times the wall time "
            f"and {of_debug['cpu']:.2f} times the CPU of debug, at most {MOST_OF_DEBUG} wanted ({size} organizations)"
        )
        texts.append((text, of_script <= MOST_OF_SCRIPT or max(of_debug.values()) <= MOST_OF_DEBUG))
    if len(sizes) > 1:
        growth = {
            value.__name__: found.growth(sizes[-2], sizes[-1], latency, "baseline", value)
            for value in (cpu, wall)
        }
        text = (
            f"{growth['cpu']:.2f} times the CPU and {growth['wall']:.2f} times the wall time per organization at {sizes[-1]} as at {sizes[-2]}, "
            f"at most {MOST_GROWTH} wanted"
        )
        texts.append((text, max(growth.values()) <= MOST_GROWTH))
    return texts


# The guide.


def write_guide(found: Measurements, guide: Path) -> None:
    """Replace what an earlier run wrote into the guide.

    :raises SystemExit: if the guide does not have both marks.
    """
    text = guide.read_text(encoding="utf-8")
    head, begin, rest = text.partition(f"{BEGIN}\n")
    _old, end, tail = rest.partition(f"{END}\n")
    if not begin or not end:
        sys.exit(
            f"{guide} lacks the lines {BEGIN!r} and {END!r}, between which the measurements go"
        )
    guide.write_text(f"{head}{begin}\n{guide_section(found)}\n{end}{tail}", encoding="utf-8")


def guide_section(found: Measurements) -> str:
    """All that goes into the guide."""
    parts = [
        paragraph(f"{found.title}. The bars are on a logarithmic scale."),
        ".. code-block:: bash\n\n" + textwrap.indent(found.command, "    "),
        ".. raw:: html\n\n" + textwrap.indent(plot(found), "    "),
        "\n".join(
            f"* {wrapped}"
            for wrapped in (paragraph(line, indent="  ") for line in sentences(found))
        ),
        *(guide_table(found, latency) for latency in found.latencies),
    ]
    return "\n\n".join(parts) + "\n"


def paragraph(text: str, indent: str = "") -> str:
    """A text in lines of the usual length; all but the first begin with the indent."""
    return "\n".join(
        textwrap.wrap(
            text, 158, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    )


def sentences(found: Measurements) -> list[str]:
    """The measurements in words, for readers who want no table. They are of the least latency, where nothing but work takes time."""
    latency, sizes = found.latencies[0], found.sizes

    def each(way: str, other: str, value: Callable[[Run], float]) -> str:
        return ", ".join(
            f"{number(found.ratio(size, latency, way, other, value))} ({size})" for size in sizes
        )

    floor = ", ".join(
        f"{number(1 + found.ratio(size, latency, 'script', 'debug', cpu))} ({size})"
        for size in sizes
    )
    texts = []
    if "uri" in found.ways(sizes[0], latency):
        texts.append(
            f"``planasonix_baseline`` takes {found.ratio(sizes[0], latency, 'uri', 'baseline', cpu):.0f} times less CPU than tasks with "
            f"``ansible.builtin.uri``, and {number(found.ratio(sizes[0], latency, 'modules', 'baseline', cpu))} times less than a module task for each "
            f"resource ({sizes[0]} organizations, {latency} ms)."
        )
    texts += [
        f"``planasonix_baseline`` takes so many times the wall time of the script, by number of organizations at {latency} ms: "
        f"{each('baseline', 'script', wall)}.",
        f"It takes so many times the CPU of ``debug``, which does nothing: {each('baseline', 'debug', cpu)}; "
        f"and so many times its wall time: {each('baseline', 'debug', wall)}.",
        f"``debug`` and the script together, which is the least that any task with these requests could take, would be so many times its CPU: {floor}.",
    ]
    if len(sizes) > 1:
        change = {
            value.__name__: 100
            * (found.growth(sizes[-2], sizes[-1], latency, "baseline", value) - 1)
            for value in (cpu, wall)
        }
        texts.append(
            f"From {sizes[-2]} to {sizes[-1]} organizations the cost of one changes by {change['cpu']:+.0f} % CPU and {change['wall']:+.0f} % wall time."
        )
    texts.append(
        f"Before it comes to the organizations, ``ansible-playbook`` takes {start_of(found)}. That is part of what each organization costs."
    )
    return texts


def guide_table(found: Measurements, latency: int) -> str:
    """One table with all numbers of a latency."""
    rows = [["Organizations", "Way", *(name for name, _show in COLUMNS)]]
    for size in found.sizes:
        rows += [
            [str(size), NAMES[way], *(show(found, size, latency, way) for _name, show in COLUMNS)]
            for way in found.ways(size, latency)
        ]
    lines = [
        f".. list-table:: Per organization, where the API answers after {latency} ms",
        "   :header-rows: 1",
        "",
    ]
    for row in rows:
        lines += [
            f"   {'*' if position == 0 else ' '} - {cell}" for position, cell in enumerate(row)
        ]
    return "\n".join(lines)


# The plot.

LABEL_WIDTH, PLOT_WIDTH, VALUE_WIDTH, BAR = 200, 400, 60, 16
"""Pixels: of the names, of the longest bar, of the values behind the bars; and from one bar to the next."""


def plot(found: Measurements) -> str:
    """Bars on a logarithmic scale, as an SVG: CPU where the API answers at once, then wall time at each latency."""
    panels: list[tuple[str, list[tuple[str, list[tuple[str, float]]]]]] = []
    for latency in found.latencies:
        for value, what in ((cpu, "CPU"), (wall, "Wall time")):
            if value is cpu and latency != found.latencies[0]:
                continue  # waiting takes none
            groups = [
                (
                    f"{size} organizations",
                    [
                        (way, 1000 * found.median(size, latency, way, value) / size)
                        for way in found.ways(size, latency)
                    ],
                )
                for size in found.sizes
            ]
            panels.append(
                (f"{what} per organization, ms, where the API answers after {latency} ms", groups)
            )
    values = [took for _title, groups in panels for _name, bars in groups for _way, took in bars]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(value: float) -> float:
        return LABEL_WIDTH + PLOT_WIDTH * (math.log10(value) - low) / max(high - low, 1)

    lines: list[str] = []
    y = 0
    for title, groups in panels:
        y += 22
        lines.append(text_at(0, y, title, "font-weight='bold'"))
        top = y + 6
        drawn: list[str] = []
        for name, bars in groups:
            y += BAR + 6
            drawn.append(text_at(0, y, name, "font-style='italic'"))
            for way, took in bars:
                y += BAR
                shape = f"<rect x='{LABEL_WIDTH}' y='{y - 11}' width='{max(x(took) - LABEL_WIDTH, 1):.0f}' height='12' fill='{COLOURS[way]}'/>"
                drawn += [text_at(10, y, NAMES[way]), shape, text_at(x(took) + 4, y, number(took))]
        lines += [*grid(x, range(low, high + 1), top, y + 6), *drawn]
        y += BAR + 8
    width, height = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH, y + 6
    size = f"viewBox='0 0 {width} {height}' width='{width}' height='{height}'"
    style = "font-family='sans-serif' font-size='12' fill='currentColor' style='max-width: 100%; height: auto'"
    title = (
        "<title>What an organization costs, by way; the tables below have the same numbers</title>"
    )
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' role='img' {size}",
            f"  {style}>",
            title,
            *lines,
            "</svg>",
        ]
    )


def text_at(x: float, y: float, text: str, style: str = "") -> str:
    """A line of text."""
    return f"<text x='{x:.0f}' y='{y:.0f}'{' ' + style if style else ''}>{escape(text)}</text>"


def grid(
    x: Callable[[float], float], powers: Iterable[int], top: float, bottom: float
) -> list[str]:
    """A line for each power of ten, with its value below."""
    lines = []
    for power in powers:
        place = f"{x(10**power):.0f}"
        lines.append(
            f"<path d='M{place} {top:.0f}V{bottom:.0f}' stroke='currentColor' stroke-opacity='0.25'/>"
        )
        lines.append(
            f"<text x='{place}' y='{bottom + 12:.0f}' text-anchor='middle' fill-opacity='0.7'>{10.0**power:g}</text>"
        )
    return lines
