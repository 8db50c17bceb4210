# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the tables of variants into the README: `python -m simulator.variants`, in `tests`."""

from __future__ import annotations

from pathlib import Path

from . import KINDS, REGISTRY

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN = "<!-- variants: `python -m simulator.variants` from the folder `tests` writes this part -->"
END = "<!-- end of variants -->"


def make_tables() -> str:
    """Return one table for each kind of variants, in Markdown."""
    lines = []
    for kind in KINDS:
        lines += ["", f"### Variants: {kind}", "", "| name | meaning |", "|---|---|"]
        variants = [variant for variant in REGISTRY.values() if variant.kind == kind]
        lines += [f"| `{variant.name}` | {variant.does} |" for variant in variants]
    return "\n".join(lines)


def fill(readme: str) -> str:
    """Return the README with its tables."""
    head, _begin, rest = readme.partition(BEGIN)
    _old, _end, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{make_tables()}\n\n{END}{tail}"


if __name__ == "__main__":
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")
