# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the inventory takes of an answer: its shape, its bounds, and safe texts."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._texts import Secrets
from ansible_collections.planasonix.admin.plugins.plugin_utils import _orgs_facts

GOOD: dict[str, t.Any] = {
    "organization": {"id": "org_1", "slug": "acme", "name": "Acme"},
    "tier": {"tier": "team"},
    "features": ["sso"],
    "limits": {"max_pipelines": 10, "ratio": 0.5, "trial": False, "agents": None, "list": [1]},
}
HUGE = 10**4000

WRONG: dict[str, tuple[str, t.Any, str]] = {
    "no object": ("organization", ["acme"], "GET /api/organization is not the documented object"),
    "null": ("tier", None, "GET /api/tier is not the documented object"),
    "a text": ("limits", "none", "GET /api/features/limits is not the documented object"),
    "no id": ("organization", {"slug": "acme"}, "has no ID that is text"),
    "null as id": ("organization", {"id": None, "slug": "acme"}, "has no ID that is text"),
    "empty id": ("organization", {"id": "", "slug": "acme"}, "has no ID that is text"),
    "list as id": ("organization", {"id": ["a"], "slug": "acme"}, "has no ID that is text"),
    "boolean as id": ("organization", {"id": True, "slug": "acme"}, "has no ID that is text"),
    "number as slug": ("organization", {"id": "1", "slug": 5}, "has a slug that is not text"),
    "object as slug": ("organization", {"id": "1", "slug": {}}, "has a slug that is not text"),
    "null as features": ("features", None, "has no list of features"),
    "features as a text": ("features", "sso", "has no list of features"),
    "number as feature": ("features", ["sso", 5], "has no list of features"),
    "empty feature": ("features", [""], "has no list of features"),
    "feature without name": ("features", [{"enabled": True}], "has no list of features"),
    "odd enabled": ("features", [{"name": "sso", "enabled": "partly"}], "has no list of features"),
    "enabled is null": ("features", [{"name": "sso", "enabled": None}], "has no list of features"),
    "NaN": ("limits", {"a": [json.loads("NaN")]}, "has a number that is not finite"),
    "infinite": ("limits", {"a": json.loads("-Infinity")}, "has a number that is not finite"),
    "deep": ("limits", {"a": json.loads("[" * 900 + "]" * 900)}, "more than 20 levels deep"),
    "deep objects": ("tier", json.loads('{"a":' * 90 + "1" + "}" * 90), "more than 20 levels deep"),
    "long text": ("organization", {"id": "a" * 200_001}, "is too large"),
    "long key": ("limits", {"a" * 200_001: 1}, "is too large"),
    "many values": ("features", ["a"] * 10_001, "is too large"),
    "mark": ("limits", {"a": {"__ansible_vault": "x"}}, "key that begins with __ansible"),
    "tag": ("tier", {"__ansible_type": "TrustedAsTemplate"}, "key that begins with __ansible"),
    "no JSON": ("tier", {"a": {1, 2}}, "has a value that JSON does not support"),
}


@pytest.mark.parametrize(("subset", "value", "complaint"), WRONG.values(), ids=WRONG)
def test_an_answer_that_cannot_be_used(subset: str, value: t.Any, complaint: str) -> None:
    with pytest.raises(ApiError) as caught:
        _orgs_facts.check_facts({**GOOD, subset: value})
    assert caught.value.message.startswith(f"Could not read the {subset}: the answer to GET /api/")
    assert complaint in caught.value.message


@pytest.mark.parametrize("facts", [None, [], "facts", {}, {"organization": GOOD["organization"]}])
def test_facts_that_are_not_whole(facts: t.Any) -> None:
    with pytest.raises(ApiError, match="is not the documented object|no list"):
        _orgs_facts.check_facts(facts)


def test_the_documented_answer_stays_as_it_is() -> None:
    assert _orgs_facts.check_facts(GOOD) == GOOD
    assert _orgs_facts.check_facts({**GOOD, "limits": {"huge": HUGE}})["limits"] == {"huge": HUGE}
    assert _orgs_facts.check_facts({**GOOD, "organization": {"id": 43}})["organization"]["id"] == 43


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ([], []),
        (["lineage", "sso"], ["lineage", "sso"]),
        ([{"name": "sso", "enabled": True}, {"name": "lineage", "enabled": False}], ["sso"]),
        ([{"name": "sso", "enabled": "false"}, {"name": "git", "enabled": "true"}], ["git"]),
        ([{"name": "sso"}, "lineage", {"name": "git", "enabled": 0}], ["sso", "lineage"]),
        ({"sso": True, "git": False}, ["sso"]),
    ],
)
def test_names_of_features(features: t.Any, names: list[str]) -> None:
    assert _orgs_facts.check_facts({**GOOD, "features": features})["features"] == names


TEXTS = {
    "plain": ("Bücher & Söhne, 東京", "Bücher & Söhne, 東京"),
    "escape": ("\x1b[31mred\x07", r"\u001b[31mred\u0007"),
    "lines": ("a\r\nok: [all]", r"a\u000d\u000aok: [all]"),
    "controls of 8 bit": ("a\x9b31m\x7f", r"a\u009b31m\u007f"),
    "lone surrogate": ("a\ud83d", r"a\ud83d"),
    "direction": ("a\u202egnp.exe", r"a\u202egnp.exe"),
    "separator of lines": ("a\u2028b", r"a\u2028b"),
    "key": ("plnx_live_key", "********"),
    "key within": ("x plnx_live_key y plnx_live_key", "x ******** y ********"),
}


@pytest.mark.parametrize(("text", "shown"), TEXTS.values(), ids=TEXTS)
def test_texts(text: str, shown: str) -> None:
    """In values and in keys."""
    facts = {**GOOD, "limits": {text: [{"a": text}]}}
    checked = _orgs_facts.check_facts(facts, Secrets(["plnx_live_key"]))
    assert checked["limits"] == {shown: [{"a": shown}]}
    json.dumps(checked, ensure_ascii=False).encode()


def test_messages_are_one_short_line_without_the_key() -> None:
    message = "a\nb\x1b[31m " + "x" * 970 + "plnx_live_key" + "y" * 9_000
    shown = _orgs_facts.clean_message(message, Secrets(["plnx_live_key"]))
    assert shown.startswith(r"a b\u001b[31m xxx")
    assert len(shown) == _orgs_facts.LONGEST_MESSAGE
    assert "plnx" not in shown and "********" in shown
