# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Warm up once, in the parent process, what each forked worker would otherwise initialize again.

A worker runs one task. Jinja, Ansible's filters, the validation of arguments and requests with its
certificate authorities initialize at first use, and workers inherit the initialized state.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import typing as t
import warnings
from pathlib import Path

from ansible.template import Templar

from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_in_worker
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import mark_trusted, untag

PROFILES = Path(__file__).resolve().parents[2] / "roles" / "org_baseline" / "files"
EMPTY_MODULE = Module(manages=lambda dummy_client, dummy_options: {}, options={})


def warm_up(*steps: t.Callable[[], t.Any]) -> None:
    """Run steps where tasks run in workers (not on macOS). A step that fails costs only time."""
    if sys.platform == "darwin":
        return
    for step in steps:
        # The client may change which warnings are shown.
        with contextlib.suppress(Exception), warnings.catch_warnings():
            step()
    gc.freeze()  # 5 % of the CPU of a task, 7 % of an audit: else workers copy what they share


def run_empty_module() -> Values:
    """Render a template, validate arguments, and load the certificate authorities."""
    arguments = {
        "api_key": render("{{ key }}", key="none"),
        "api_url": "https://localhost",  # nothing is sent
        "retries": 0,
    }
    return run_in_worker(EMPTY_MODULE, "warm-up", arguments, check_mode=True, invocation=True)


def convert_result() -> None:
    """Make ansible-core 2.21 read the type hints of its results: 5 % of the CPU of a task."""
    task = importlib.import_module("ansible._internal._task")
    task.UnifiedTaskResult.from_action_result_dict({})


def read_profiles() -> t.Any:
    """Return the controls of each profile, read with the filter of the roles.

    Ansible imports all filters of a collection to find one. The filter caches the profiles.
    """
    template = "{{ profiles | map('planasonix.admin.baseline_controls') | list }}"
    return render(template, profiles=sorted(map(str, PROFILES.glob("*.yml"))))


def render(template: str, **variables: t.Any) -> t.Any:
    """Return the value of a template."""
    return untag(Templar(loader=None, variables=variables).template(mark_trusted(template)))
