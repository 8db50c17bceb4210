# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The YAML that the README and the guides show, for the tests that check and run it."""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
GUIDES = sorted((ROOT / "docs" / "docsite" / "rst").glob("*.rst"))
PAGES = (ROOT / "README.md", *GUIDES)

RST_BLOCK = re.compile(r"^( *)\.\. code-block:: *yaml\S*\n((?:\1 +.*\n|\s*\n)+)", re.MULTILINE)
MARKDOWN_BLOCK = re.compile(r"^( *)```ya?ml\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SECTIONS = ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always")
"""Where plays and blocks have tasks."""


@dataclass(frozen=True)
class Block:
    """A block of YAML.

    :param place: Page and line.
    :param text: As it stands there, without the indentation that all of it has.
    """

    place: str
    text: str

    @functools.cached_property
    def data(self) -> Any:
        """What it means."""
        return yaml.safe_load(self.text)

    @property
    def file(self) -> str | None:
        """The name of the file that it shows the content of."""
        found = re.match(r"# (\S+\.ya?ml)$", self.text, re.MULTILINE)
        return found[1] if found else None

    @property
    def is_playbook(self) -> bool:
        """Whether it is a playbook."""
        return isinstance(self.data, list) and any(
            isinstance(item, dict) and {"hosts", "import_playbook"} & item.keys()
            for item in self.data
        )

    @property
    def is_tasks(self) -> bool:
        """Whether it is a list of tasks, which name modules in full."""
        items = self.data if isinstance(self.data, list) else []
        return not self.is_playbook and any(
            key.count(".") >= 2 for item in items if isinstance(item, dict) for key in item
        )


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of YAML of a page."""
    text = page.read_text(encoding="utf-8")
    for found in (MARKDOWN_BLOCK if page.suffix == ".md" else RST_BLOCK).finditer(text):
        yield Block(
            f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}",
            textwrap.dedent(found[2]).strip("\n") + "\n",
        )


def plays_and_tasks(data: Any) -> Iterator[dict[str, Any]]:
    """Plays, blocks and tasks, as deep as they are nested. An inventory has none, since it is no list."""
    for item in data if isinstance(data, list) else ():
        if isinstance(item, dict):
            yield item
            for section in SECTIONS:
                yield from plays_and_tasks(item.get(section))
