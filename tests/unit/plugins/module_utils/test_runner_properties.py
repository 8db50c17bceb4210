# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a result holds, and whatever is secret: what a task in the worker shows is what Ansible shows of a module's result."""

from __future__ import annotations

import pytest
from ansible.module_utils.common.parameters import remove_values
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.examples import examples

from ansible_collections.planasonix.admin.plugins.module_utils._plan import scalars
from ansible_collections.planasonix.admin.plugins.module_utils._runner import censored

TEXTS = st.text("rue1.\"\\'é\n\0")
"""Of characters that are written in several ways, or occur in what is no text."""
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=8,
)


@examples(400)
@given(st.dictionaries(TEXTS, VALUES, max_size=3), st.data())
def test_what_is_censored_is_what_ansible_would(result, data):
    occurring = sorted(scalars(result)) or ["none"]
    parts = st.sampled_from(occurring).flatmap(
        lambda text: st.integers(0, len(text) - 1).map(lambda start: text[start:])
    )
    secrets = data.draw(
        st.sets(
            parts | TEXTS.filter(bool) | st.sampled_from(["True", "False", "None", "on"]),
            max_size=3,
        )
    )
    assert censored(result, secrets) == remove_values(result, secrets)


@pytest.mark.parametrize(
    "value",
    [
        {("a", "secret"): "secret"},
        {1: "a secret"},
        ("secret",),
        b"secret",
        "s\u00e9cret".encode(),
        float("inf"),
        float("nan"),
    ],
    ids=repr,
)
def test_what_is_no_json_is_left_to_ansible(value):
    secrets = {"secret", "s\u00e9cret", "inf", "nan"}
    assert repr(censored({"key": value}, secrets)) == repr(remove_values({"key": value}, secrets))
