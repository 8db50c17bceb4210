# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of audits, made of results as planasonix_audit makes them."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_formats import FORMATS
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    TITLE,
    Report,
    judge,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_results import (
    MergedReports,
    Origin,
    build_report,
    check_report,
    merge_reports,
    parse_time,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_trend import compare_report
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import to_text


def build(results: t.Any, meta: Mapping[str, t.Any], previous: t.Any = None) -> Report:
    """Return the report of results.

    :param meta: What the report states about itself.
    """
    profile, version = (to_text(meta.get(name)) for name in ("profile", "collection_version"))
    origin = Origin(parse_time(meta["time"]), profile, version)
    report = build_report(results, origin, meta.get("fail_on", "low"))
    report = replace(report, title=to_text(meta.get("title")) or TITLE)
    if not previous:
        return report
    expected, advice = "a planasonix-audit.json", "compare with a report that it wrote itself"
    return compare_report(report, check_report(previous, "previous", expected, advice))


def render(results: t.Any, form: str, meta: Mapping[str, t.Any], previous: t.Any = None) -> str:
    """Return the report of results in a format."""
    return FORMATS[form].render(build(results, meta, previous))


def verdict(results: t.Any, fail_on: str) -> tuple[bool, str]:
    """Return whether results fail a play, and why."""
    found = judge(build(results, {"time": "2027-03-01T12:00:00Z"}).organizations, fail_on)
    return found.failed, found.msg


def merge(reports: Mapping[str, str | bytes]) -> MergedReports:
    """Return what reports contain together."""
    return merge_reports(reports, "1.0.0")


def meta_of(merged: MergedReports, **more: t.Any) -> dict[str, t.Any]:
    """Return what the report of merged ones states about itself."""
    origin = merged.origin
    time = origin.time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "time": time,
        "profile": origin.profile,
        "collection_version": origin.collection_version,
        **more,
    }
