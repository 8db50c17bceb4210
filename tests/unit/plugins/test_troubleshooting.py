# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The messages that guides quote are those of the collection, to the word."""

from __future__ import annotations

import ast
import functools
import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.planasonix.admin.plugins.module_utils._client import HINTS

ROOT = Path(__file__).resolve().parents[3]
GUIDES = ROOT / "docs" / "docsite" / "rst"
GUIDE = GUIDES / "guide_troubleshooting.rst"
FAILURES = GUIDES / "guide_failures.rst"
FOREIGN = "Messages of Ansible itself"
"""The section whose messages are not the collection's."""
PYTHON = ("module_utils", "plugin_utils", "inventory", "filter")
YAML = ("playbooks/*.yml", "roles/*/tasks/*.yml", "roles/*/vars/*.yml")

SECTION = re.compile(r"^(\S.*)\n-+\n", re.MULTILINE)
ENTRY = re.compile(r"^(``.+``)\n(?=  \S)", re.MULTILINE)
LITERAL = re.compile(r"``(.+?)``(?=$| )")
DIFFERENT = "What the API may do differently"
"""The section of the guide to failures that quotes messages."""
HOLE = "\0"
"""What stands in a text of the source for a value that is filled in."""
SHORT = 8
"""Parts of a message that are no longer than this prove nothing."""


def messages(guide: str) -> Iterator[tuple[str, str]]:
    """The messages of a guide, each with the title of its section. An entry begins with one message or several, as literals on a line of their own."""
    _preface, *parts = SECTION.split(guide)
    for title, section in zip(parts[::2], parts[1::2], strict=True):
        for entry in ENTRY.findall(section):
            for message in LITERAL.findall(entry):
                yield title, message


def fixed_parts(message: str) -> list[str]:
    """The parts of a message that do not vary: between "..." and the statuses of HTTP, without the marks at their ends, which may come with a value."""
    parts = (
        " ".join(part.split()).strip(" .,;:()'")
        for part in re.split(r"\.{3}|\b[1-5]\d\d\b", message)
    )
    return [part for part in parts if len(part) > SHORT]


def texts_of_python(source: str) -> Iterator[str]:
    """The texts of a Python file, with holes for what is filled in, and without documentation."""
    tree = ast.parse(source)
    comments = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {
        part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    documentation = {
        part
        for node in tree.body
        if isinstance(node, ast.Assign) and is_documentation(node)
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in comments or node in inner or node in documentation:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{\w*\}", HOLE, node.value)  # what str.format fills in


def is_documentation(node: ast.Assign) -> bool:
    """Whether an assignment is of what ansible-doc shows."""
    return any(
        isinstance(target, ast.Name) and target.id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
        for target in node.targets
    )


def texts_of_yaml(source: str) -> Iterator[str]:
    """The texts of a YAML file, with holes at the ends of templates. Texts may stand in a template, too."""

    def scalars(value: t.Any) -> Iterator[str]:
        if isinstance(value, str):
            yield re.sub(r"\{\{|\}\}|\{%|%\}", HOLE, value)
        for item in (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        ):
            yield from scalars(item)

    yield from scalars(yaml.safe_load(source))


@functools.cache
def sources() -> str:
    """All texts of the collection that a user may see, with single blanks, one a line."""
    found = [
        text
        for folder in PYTHON
        for path in (ROOT / "plugins" / folder).glob("*.py")
        for text in texts_of_python(path.read_text(encoding="utf-8"))
    ]
    found += [
        text
        for pattern in YAML
        for path in ROOT.glob(pattern)
        for text in texts_of_yaml(path.read_text(encoding="utf-8"))
    ]
    return "\n".join(" ".join(text.split()) for text in found)


MESSAGES = list(messages(GUIDE.read_text(encoding="utf-8")))
OWN = [message for title, message in MESSAGES if title != FOREIGN]
SECTIONS = SECTION.split(FAILURES.read_text(encoding="utf-8"))
REFUSED = SECTIONS[SECTIONS.index(DIFFERENT) + 1]
REFUSALS = [message for entry in ENTRY.findall(REFUSED) for message in LITERAL.findall(entry)]


def test_there_are_messages():
    assert len(OWN) >= 60
    assert {"IP allowlist", "Inventory plugin", FOREIGN} <= {title for title, _message in MESSAGES}
    assert len(REFUSALS) >= 30


@pytest.mark.parametrize(
    "text", [GUIDE.read_text(encoding="utf-8"), REFUSED], ids=["troubleshooting", "failures"]
)
def test_no_message_is_overlooked(text):
    """Each line that begins with a literal is an entry."""
    assert len(ENTRY.findall(text)) == len(re.findall("^``", text, re.MULTILINE))


def test_no_message_is_there_twice():
    for every in ([message for _title, message in MESSAGES], REFUSALS):
        assert sorted(set(every)) == sorted(every)


@pytest.mark.parametrize("message", dict.fromkeys([*OWN, *REFUSALS]))
def test_each_message_is_one_of_the_collection(message):
    parts = fixed_parts(message)
    assert parts, "nothing of it could be looked for"
    assert [part for part in parts if part not in sources()] == []


@pytest.mark.parametrize(
    "message", [message for message in OWN if re.search(r"answered \d{3}", message)]
)
def test_each_status_has_its_hint(message):
    status = int(re.findall(r"answered (\d{3})", message)[0])
    assert HINTS.get(status, "try again later") in message


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ("api_key is empty: set it.", ["api_key is empty: set it"]),
        (
            "Could not ...: no connection to ... (...); check api_url.",
            ["Could not", "no connection to", "check api_url"],
        ),
        (
            "Could not ...: ... answered 403 (...); the key lacks it.",
            ["Could not", "the key lacks it"],
        ),
        (
            "No API key has the id '...'; leave key_id out.",
            ["No API key has the id", "leave key_id out"],
        ),
        ("...", []),
    ],
)
def test_a_message_has_fixed_parts(message, parts):
    assert fixed_parts(message) == parts


def test_texts_of_python_are_joined_and_split():
    source = """
        '''Documentation of the module.'''
        DOCUMENTATION = "description: Documentation for users."
        HINTS = {401: "check the key", "file": "There is no {place}."}
        def fail(name, reason):
            '''Documentation of a function.'''
            raise ValueError(
                f"The thing {name!r} is gone"
                f"{f' ({reason})' if reason else ''}; make " "another."
            )
    """
    lines = [line.removeprefix("        ") for line in source.splitlines()]
    texts = list(texts_of_python("\n".join(lines)))
    assert sorted(texts) == sorted(
        [
            "file",
            "check the key",
            "There is no \0.",
            "The thing \0 is gone\0; make another.",
            " (\0)",
            "",
        ]
    )


def test_texts_of_yaml_are_folded_and_split():
    source = """
        - name: Check
          fail_msg: >-
            There is no {{ path }} to
            roll back to.
          that: "{{ 'This is wrong.' if wrong else '' }}"
    """
    assert list(texts_of_yaml(source)) == [
        "Check",
        "There is no \0 path \0 to roll back to.",
        "\0 'This is wrong.' if wrong else '' \0",
    ]


def test_messages_of_a_guide_are_found_by_section():
    one = "One\n---\n\n``a ... b``\n  Text.\n\n``c`` or ``d``\n  Text with ``e``.\n\n"
    two = "Two\n---\n\n``f`` is text.\n\n``g``\n  Text.\n"
    guide = f"Title\n=====\n\nIntroduction.\n\n{one}{two}"
    assert list(messages(guide)) == [("One", "a ... b"), ("One", "c"), ("One", "d"), ("Two", "g")]
