# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters that turn the results of an audit, or reports of parts of it, into a report and a verdict."""

from __future__ import annotations

import base64
import functools
import json
import typing as t
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_formats import render
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_merge import Merged, merged
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_report import (
    ReportError,
    clean,
    text_of,
    verdict,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag

PACKED = "planasonix-audit-results:"
"""What packed results begin with. Without it ansible-core 2.16 could take a text for something else."""
NEEDED = ("controls", "failed", "msg")
"""What a report needs of the result of a task."""


@functools.cache
def version() -> str:
    """The version of this collection: from the manifest of an installed one, else as it will be built; empty where neither was installed."""
    root = Path(__file__).resolve().parents[2]
    manifest, source = root / "MANIFEST.json", root / "galaxy.yml"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return (
        str(yaml.safe_load(source.read_text(encoding="utf-8"))["version"])
        if source.exists()
        else ""
    )


def read(paths: t.Iterable[t.Any]) -> Merged:
    """What JSON reports say together.

    :raises ReportError: if one of them cannot be read, or they cannot be merged.
    """
    contents = {}
    for path in map(str, paths):
        try:
            contents[path] = Path(path).read_bytes()
        except FileNotFoundError:
            raise ReportError(f"There is no report {path}.") from None
        except OSError as error:
            raise ReportError(f"The report {path} cannot be read: {error.strerror}.") from None
    return merged(contents)


def unpacked(results: t.Any) -> t.Any:
    """Results as they are given, or those that :func:`audit_results` packed."""
    if isinstance(results, Mapping):
        return {str(untag(name)): read_result(result) for name, result in results.items()}
    if not isinstance(results, str):
        return untag(results)
    try:
        return json.loads(
            zlib.decompress(base64.b64decode(str(untag(results)).removeprefix(PACKED)))
        )
    except (ValueError, zlib.error):
        return results


def read_result(result: t.Any) -> t.Any:
    """Return what a report needs of the result of one organization, as values of JSON.

    One that cannot be read costs no other organization the report.
    """
    if not isinstance(result, Mapping):
        return {}
    try:
        return {key: clean(untag(result[key])) for key in NEEDED if key in result}
    except RecursionError:
        return {"failed": True, "msg": "The result is nested too deeply to be read."}


# A user gives the options by name, and calls the form of the report its format.
def audit_report(results: t.Any, format: str, meta: t.Any, previous: t.Any = None) -> str:  # noqa: A002
    """The report of a fleet, as text."""
    try:
        meta = untag(meta)
        if isinstance(meta, Mapping):
            meta = {**meta, "collection_version": meta.get("collection_version") or version()}
        return render(unpacked(results), untag(format), meta, untag(previous))
    except ReportError as error:
        raise AnsibleFilterError(f"planasonix.admin.audit_report: {error}") from error


def audit_verdict(results: t.Any, fail_on: str = "medium") -> dict[str, t.Any]:
    """Whether a fleet complies, and why not."""
    try:
        failed, msg = verdict(unpacked(results), untag(fail_on))
    except ReportError as error:
        raise AnsibleFilterError(f"planasonix.admin.audit_verdict: {error}") from error
    return {"failed": failed, "msg": msg}


def audit_results(results: t.Any, organizations: t.Any = None) -> str:
    """The results of a fleet as one text. Ansible goes through all results whenever an expression names them, which takes longer than to make a report."""
    try:
        results = read(untag(results)).results if isinstance(results, list) else results
    except ReportError as error:
        raise AnsibleFilterError(f"planasonix.admin.audit_results: {error}") from error
    if not isinstance(results, Mapping):
        raise AnsibleFilterError(
            "planasonix.admin.audit_results: The input must be a mapping of host names to results, or a list of paths of JSON reports."
        )
    results = {**{text_of(name): {} for name in untag(organizations) or ()}, **unpacked(results)}
    # In base64 there is nothing that Ansible could take for a template.
    return PACKED + base64.b64encode(zlib.compress(json.dumps(results).encode())).decode("ascii")


def audit_parts(reports: t.Any) -> dict[str, str]:
    """What one report of several says of itself, or why they cannot be one. That is no error, since ansible-core 2.16 would wrap it in several sentences."""
    try:
        found = read(untag(reports))
    except ReportError as error:
        return {"problem": wrap_var(str(error)), "profile": "", "time": ""}
    return {"problem": "", "profile": wrap_var(found.profile), "time": found.time}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """The filters by name."""
        return {
            "audit_parts": audit_parts,
            "audit_report": audit_report,
            "audit_results": audit_results,
            "audit_verdict": audit_verdict,
        }
