# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that Ansible would render have no marks in a file, and are read as they were."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible.plugins.filter.core import to_nice_yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.planasonix.admin.plugins.module_utils._texts import (
    ESCAPED,
    escape,
    unescape,
    unescape_text,
)

PARTS = ["{", "}", "%", "#", "{{ x }}", "{%", "{#", "%7B", "%25", ESCAPED, "a"]
TEXTS = st.one_of(
    st.text(max_size=8),
    st.lists(st.sampled_from(PARTS), max_size=6).map("".join),
)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("office", "office"),
        ("100 % of {it}", "100 % of {it}"),
        ("{{ pipeline.name }}", "ESCAPED:%7B%7B pipeline.name }}"),
        ("{% raw %}", "ESCAPED:%7B%25 raw %25}"),
        ("{# 5 % #}", "ESCAPED:%7B# 5 %25 #}"),
        ("ESCAPED:", "ESCAPED:ESCAPED:"),
        ("\U0001f600 {}", "\U0001f600 {}"),
    ],
)
def test_a_text_is_escaped_only_where_it_has_to_be(text, escaped):
    assert escape(text) == escaped
    assert unescape(escaped) == text


@pytest.mark.parametrize("text", ["ESCAPED:5 %", "ESCAPED:%41"])
def test_other_percent_signs_stay(text):
    assert unescape_text(text) == text.removeprefix(ESCAPED)


@given(VALUES)
def test_what_is_escaped_has_no_mark_and_is_read_as_it_was(value):
    escaped = escape(value)
    assert not any(mark in part for part in texts_in(escaped) for mark in ("{{", "{%", "{#"))
    json.dumps(escaped, ensure_ascii=False).encode()
    assert unescape(escaped) == value


@given(VALUES)
def test_a_file_of_yaml_has_no_mark_and_is_read_as_it_was(value):
    """Neither the file has a mark, which a template renders, nor a value of it."""
    written = str(to_nice_yaml({"controls": escape(value)}, indent=2, sort_keys=False))
    assert not any(mark in written for mark in ("{{", "{%", "{#"))
    for loader in (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        found = yaml.load(written, Loader=loader)
        assert not any(mark in part for part in texts_in(found) for mark in ("{{", "{%", "{#"))
        assert unescape(found)["controls"] == value


def texts_in(value):
    """All texts of a value, keys included."""
    if isinstance(value, dict):
        return [text for pair in value.items() for text in texts_in(list(pair))]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    return [value] if isinstance(value, str) else []
