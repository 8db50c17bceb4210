# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The work of planasonix_audit: take results or reports, render all formats, write the files.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_files import (
    find_sources,
    write_files,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_formats import (
    FORMATS,
    summarize,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import (
    FAIL_ON,
    Report,
    ReportError,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_results import (
    MergedReports,
    Origin,
    add_missing,
    build_report,
    merge_reports,
    parse_report,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_trend import compare_report
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import to_text
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag

OPTIONS: dict[str, dict[str, t.Any]] = {
    "results": {"type": "dict"},
    "sources": {"type": "list", "elements": "path"},
    "organizations": {"type": "list", "elements": "str"},
    "profile": {"type": "str"},
    "report_dir": {"type": "path", "default": "./planasonix-audit"},
    "formats": {
        "type": "list",
        "elements": "str",
        "choices": list(FORMATS),
        "default": list(FORMATS),
    },
    "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "medium"},
    "previous": {"type": "path"},
}
RULES = {"mutually_exclusive": [("results", "sources"), ("profile", "sources")]}

REGISTERED = "compliance_audit_result"
"""What the hosts of a play register; see the option ``results``."""
RESULT_FIELDS = ("controls", "failed", "msg")
"""What a report needs of a result."""
NAME = "planasonix-audit"

ReadFile = Callable[[str], bytes]


@dataclass(frozen=True)
class Play:
    """Play of a task.

    :param results: Returns the registered result of each host.
    :param is_only_batch: Whether all hosts are in one batch.
    :param is_last_batch: Whether no host is in a later batch than the task's.
    """

    results: Callable[[], Mapping[str, t.Any]]
    is_only_batch: bool
    is_last_batch: bool


def write_report(options: Mapping[str, t.Any], play: Play, read_file: ReadFile) -> dict[str, t.Any]:
    """Write one report, and return the result of the task.

    :param options: Validated options; ``None`` if an option is not set.
    :param read_file: Returns the content of a file, decrypted.
    :raises ReportError: if the report cannot be made or written.
    """
    folder = os.path.realpath(options["report_dir"])
    files = {
        name: os.path.join(folder, f"{NAME}.{FORMATS[name].extension}")
        for name in dict.fromkeys(options["formats"])
    }
    report = make_report(options, play, folder, read_file)
    # JSON last, so that a stopped run keeps the earlier report for the next comparison.
    names = sorted(files, key=lambda name: name == "json")
    write_files(
        folder, {os.path.basename(files[name]): FORMATS[name].render(report) for name in names}
    )
    verdict = report.verdict
    decides = options["results"] is not None or options["sources"] is not None or play.is_last_batch
    result = {
        "changed": False,
        "failed": verdict.failed and decides,
        "files": files,
        "summary": summarize(report),
        "verdict": dict(vars(verdict)),
    }
    if decides:
        return {**result, "msg": verdict.msg}
    return {**result, "msg": "The verdict comes with the last batch of hosts."}


def make_report(
    options: Mapping[str, t.Any], play: Play, folder: str, read_file: ReadFile
) -> Report:
    """Return the report.

    :param folder: Folder of the report.
    :raises ReportError: if it cannot be made.
    """
    json_file = os.path.join(folder, f"{NAME}.json")
    previous = options["previous"]
    if options["sources"] is not None:
        merged = read_sources(options["sources"], json_file, read_file)
        results, origin = t.cast(Mapping[str, t.Any], merged.results), merged.origin
    else:
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        origin = Origin(now, to_text(options["profile"]), find_version())
        results = options["results"]
        if results is None:
            check_previous(previous, json_file, play)
            results = find_registered(play)
        results = {str(untag(name)): read_result(result) for name, result in results.items()}
    results = add_missing(results, options["organizations"] or ())
    report = build_report(results, origin, options["fail_on"])
    if not previous:
        return report
    expected, advice = "a planasonix-audit.json", "compare with a report that it wrote itself"
    content = read_report(os.path.realpath(previous), read_file)
    return compare_report(report, parse_report(content, "previous", expected, advice))


def find_registered(play: Play) -> Mapping[str, t.Any]:
    """Return what each host of the play registered.

    :raises ReportError: if no host did, because the task registers it by another name.
    """
    results = play.results()
    if any(result is not None for result in results.values()):
        return results
    raise ReportError(
        f"No host of the play has the variable {REGISTERED}, so nothing was written. "
        "Register the result of planasonix_baseline by this name, or set results."
    )


def check_previous(previous: str | None, json_file: str, play: Play) -> None:
    """Refuse an earlier report that each batch of the play would replace.

    :raises ReportError: if it is the JSON file of this report.
    """
    if previous and not play.is_only_batch and os.path.realpath(previous) == json_file:
        raise ReportError(
            "Under serial the report is written once for each batch, so the earlier report must be "
            f"another file than {json_file}. Copy it first, or set another folder."
        )


def read_sources(patterns: list[str], json_file: str, read_file: ReadFile) -> MergedReports:
    """Return the merged reports.

    :raises ReportError: if a report cannot be read or merged, or would be replaced.
    """
    paths = find_sources(patterns)
    if json_file in paths:
        raise ReportError(
            f"{json_file} is one of the reports to merge and would be replaced, so nothing was "
            "written. Set another folder for the report."
        )
    contents: dict[str, str | bytes] = {path: read_report(path, read_file) for path in paths}
    return merge_reports(contents, find_version())


def read_report(path: str, read_file: ReadFile) -> bytes:
    """Return the content of a report.

    :raises ReportError: if it cannot be read.
    """
    try:
        return read_file(path)
    except FileNotFoundError:
        raise ReportError(f"There is no report {path}.") from None
    except OSError as error:
        raise ReportError(f"The report {path} cannot be read: {error.strerror}.") from None


def read_result(result: t.Any) -> t.Any:
    """Return the fields of a result that a report needs, without Ansible's types.

    An unreadable result must not prevent the report on other organizations.
    """
    if not isinstance(result, Mapping):
        return {}
    try:
        return {key: untag(result[key]) for key in RESULT_FIELDS if key in result}
    except RecursionError:
        return {"failed": True, "msg": "The result is nested too deeply to be read."}


@functools.cache
def find_version() -> str:
    """Return the version of this collection, from its manifest or from a checkout."""
    root = Path(__file__).resolve().parents[2]
    manifest, source = root / "MANIFEST.json", root / "galaxy.yml"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    if source.exists():
        return str(yaml.safe_load(source.read_text(encoding="utf-8"))["version"])
    return ""
