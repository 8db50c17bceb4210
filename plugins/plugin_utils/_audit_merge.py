# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports of parts of a fleet, read back as the results that they were made of, so that one report of the whole is made like any other.

Pure functions, no I/O, no Ansible. This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_report import (
    ReportError,
    checked,
    text_of,
    time_of,
)


@dataclass(frozen=True)
class Merged:
    """What several reports say, as an audit of all their organizations would have found it.

    :param results: As in :func:`~_audit_report.build`.
    :param profile: The profiles of the reports.
    :param time: The latest of their times, in ISO 8601.
    """

    results: dict[str, dict[str, t.Any]]
    profile: str
    time: str


def merged(reports: Mapping[str, str | bytes]) -> Merged:
    """What several reports say together.

    :param reports: Names of JSON reports, for errors, and their content.
    :raises ReportError: if there is no report, something else among them, or an organization in two of them.
    """
    if not reports:
        raise ReportError("There is no report to merge.")
    results: dict[str, dict[str, t.Any]] = {}
    places: dict[str, str] = {}
    profiles: set[str] = set()
    times = []
    for name, content in reports.items():
        report = report_of(name, content)
        try:
            controls = {control["id"]: control for control in report["controls"]}
            own = [
                (text_of(organization["name"]), result_of(organization, controls))
                for organization in report["organizations"]
            ]
            times.append(time_of(report["time"]))
            # One that was merged itself may name several.
            profiles.update(filter(None, text_of(report["profile"]).split(", ")))
        except (AttributeError, KeyError, TypeError, ReportError):
            raise ReportError(
                f"{name} is an incomplete report: it lacks a part that a planasonix-audit.json has."
            ) from None
        for organization, result in own:
            if organization in places:
                where = (
                    f"twice in {name}"
                    if places[organization] == name
                    else f"in {places[organization]} and in {name}"
                )
                raise ReportError(
                    f"The organization {organization} is {where}, but may be in one report only."
                )
            places[organization] = name
            results[organization] = result
    return Merged(results, ", ".join(sorted(profiles)), max(times).strftime("%Y-%m-%dT%H:%M:%SZ"))


def report_of(name: str, content: str | bytes) -> Mapping[str, t.Any]:
    """A report, parsed.

    :raises ReportError: if it is something else.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    return checked(found, name, "a planasonix-audit.json", "merge reports that it wrote itself")


def result_of(
    organization: Mapping[str, t.Any], controls: Mapping[str, Mapping[str, t.Any]]
) -> dict[str, t.Any]:
    """The result of ``planasonix_baseline`` that an organization of a report was made of.

    Where organizations have different versions of a control, a report shows that of its first one, by name, and so does one that is made of these results.
    """
    message = organization["message"]
    findings = [{**controls[finding["id"]], **finding} for finding in organization["controls"]]
    return (
        {"controls": findings, "failed": bool(message), "msg": message}
        if findings
        else {"failed": True, "msg": message}
    )
