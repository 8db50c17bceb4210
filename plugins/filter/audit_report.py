# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that turn the results of an audit into a report and a verdict."""

from __future__ import annotations

import functools
import json
import typing as t
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.plugin_utils._action import plain
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_formats import render
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_report import ReportError, verdict


@functools.cache
def version() -> str:
    """The version of this collection: from the manifest of an installed one, else as it will be built."""
    root = Path(__file__).resolve().parents[2]
    manifest = root / "MANIFEST.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))["version"])


# A user gives the options by name, and calls the form of the report its format.
def audit_report(results: t.Any, format: str, meta: t.Any, previous: t.Any = None) -> str:  # noqa: A002
    """The report of a fleet, as text."""
    try:
        meta = plain(meta)
        if isinstance(meta, Mapping):
            meta = {**meta, "collection_version": meta.get("collection_version") or version()}
        return render(plain(results), plain(format), meta, plain(previous))
    except ReportError as error:
        raise AnsibleFilterError(f"planasonix.admin.audit_report: {error}") from error


def audit_verdict(results: t.Any, fail_on: str = "medium") -> dict[str, t.Any]:
    """Whether a fleet complies, and why not."""
    try:
        failed, msg = verdict(plain(results), plain(fail_on))
    except ReportError as error:
        raise AnsibleFilterError(f"planasonix.admin.audit_verdict: {error}") from error
    return {"failed": failed, "msg": msg}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """The filters by name."""
        return {"audit_report": audit_report, "audit_verdict": audit_verdict}
