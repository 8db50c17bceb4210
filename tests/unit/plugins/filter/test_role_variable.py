# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of roles, however they are given."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.filter.role_variable import role_variable


@pytest.mark.parametrize(
    "value",
    [
        ["PLX-1", "PLX-2"],
        ("PLX-1", "PLX-2"),
        "PLX-1,PLX-2",
        " PLX-1 , PLX-2 ,",
        '["PLX-1", "PLX-2"]',
        "['PLX-1', 'PLX-2']",
        ["PLX-1 ", "", "PLX-2"],
    ],
)
def test_a_list_of_texts(value):
    assert role_variable(value, "skip") == ["PLX-1", "PLX-2"]


@pytest.mark.parametrize(("value", "expected"), [("json,", ["json"]), ("X", ["X"]), (7, ["7"])])
def test_a_list_of_one(value, expected):
    assert role_variable(value, "formats") == expected


@pytest.mark.parametrize(
    "value",
    [[{"id": "A"}], ({"id": "A"},), {"id": "A"}, '[{"id": "A"}]', '{"id": "A"}', ['{"id": "A"}']],
)
def test_a_list_of_mappings(value):
    assert role_variable(value, "waivers", "list", "dict") == [{"id": "A"}]


@pytest.mark.parametrize("value", [{"A": {"b": 1}}, '{"A": {"b": 1}}', "{'A': {'b': 1}}"])
def test_a_mapping(value):
    assert role_variable(value, "overrides", "dict") == {"A": {"b": 1}}


@pytest.mark.parametrize("value", [None, "", "  ", [], ()])
def test_nothing_is_an_empty_list(value):
    assert role_variable(value, "skip") == []
    assert role_variable(value, "waivers", "list", "dict") == []


@pytest.mark.parametrize("value", [None, "", " ", {}])
def test_nothing_is_an_empty_mapping(value):
    assert role_variable(value, "overrides", "dict") == {}


@pytest.mark.parametrize(
    ("value", "kind", "elements", "message"),
    [
        ({"a": 1}, "list", "str", "it is a mapping; expected a list, or text with commas."),
        (True, "list", "str", "it is true or false; expected a list, or text with commas."),
        ("[1", "list", "str", "it is text that is not JSON; expected a list, or text with commas."),
        ([["a"]], "list", "str", "An element of it is a list; expected text."),
        ([None], "list", "str", "An element of it is null; expected text."),
        ("A", "list", "dict", "it is text that is not JSON; expected a list of mappings, or JSON."),
        (["A"], "list", "dict", "An element of it is text; expected a mapping, or JSON."),
        (3, "list", "dict", "it is a number; expected a list of mappings, or JSON."),
        ("3", "list", "dict", "it is a number; expected a list of mappings, or JSON."),
        ('["A"]', "list", "dict", "An element of it is text; expected a mapping, or JSON."),
        (["a"], "dict", "str", "it is a list; expected a mapping, or JSON."),
        ("A", "dict", "str", "it is text; expected a mapping, or JSON."),
    ],
)
def test_any_other_type_is_refused_in_one_sentence(value, kind, elements, message):
    with pytest.raises(AnsibleFilterError) as raised:
        role_variable(value, "it", kind, elements)
    assert str(raised.value) == message


KEYS = {"required": ["name", "secret_file"], "optional": ["scopes"]}


def test_mappings_with_the_keys_that_they_may_have():
    keys = [
        {"name": "CI", "secret_file": "/x", "scopes": ["a"]},
        {"name": "B", "secret_file": "/y"},
    ]
    assert role_variable(json.dumps(keys), "keys", "list", "dict", **KEYS) == keys


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"name": "CI"}, "Element 2 of keys lacks secret_file."),
        ({"name": "", "secret_file": None}, "Element 2 of keys lacks name, secret_file."),
        (
            {"name": "CI", "secret_file": "/x", "scope": ["a"]},
            "Element 2 of keys has scope; it may have name, secret_file, scopes.",
        ),
    ],
)
def test_a_mapping_with_other_keys_is_refused(element, message):
    with pytest.raises(AnsibleFilterError) as raised:
        role_variable([{"name": "A", "secret_file": "/x"}, element], "keys", "list", "dict", **KEYS)
    assert str(raised.value) == message
