# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_audit
short_description: Write a report on the audit of many organizations, with one verdict
version_added: 1.0.0
description:
  - Writes one report over all organizations of a play, in one or more formats, and fails if they do
    not comply.
  - Uses the results of M(planasonix.admin.planasonix_baseline) in check mode, or merges the JSON
    reports of several runs.
  - An organization that could not be read is in the report as an error.
  - The role P(planasonix.admin.compliance_audit#role) evaluates the controls and runs this module.
author:
  - Planasonix collection contributors (@planasonix)
options:
  results:
    description:
      - Results of M(planasonix.admin.planasonix_baseline) by host name. An organization with a
        failed or empty result is an error.
      - By default, the variable C(compliance_audit_result) of the hosts of the play. The task fails
        if no host registered one. Under C(serial), the report is then written with each batch of
        hosts, and the verdict comes with the last batch.
      - Mutually exclusive with O(sources).
    type: dict
  sources:
    description:
      - Paths of JSON reports to merge, on the controller. A pattern such as
        C(audits/*/planasonix-audit.json) stands for all files that match; it must match a file.
      - The merged report has the time of the latest report and the profiles of all. It must not
        replace one of them.
      - The task fails, and writes nothing, if a report is missing, is no JSON report of this
        collection, is of another version of the report, or if two reports contain an organization.
    type: list
    elements: path
  organizations:
    description:
      - Names of the expected organizations. An organization without a result is in the report as
        not reached.
      - By default, the report is about the organizations that have a result.
    type: list
    elements: str
  profile:
    description:
      - Name of the profile of the controls, for the report.
      - Mutually exclusive with O(sources).
    type: str
  report_dir:
    description:
      - Folder for the report, on the controller. The module creates it with mode 0750 if it does
        not exist. An existing folder keeps its mode.
    type: path
    default: ./planasonix-audit
  formats:
    description:
      - Formats of the report. The files are C(planasonix-audit) with the ending C(html), C(json),
        C(xml) (of C(junit)), C(csv), C(md) (of C(markdown)) or C(sarif), and have mode 0640.
      - V(html) needs no other file. V(markdown) fits a comment on a pull request. V(sarif) is
        version 2.1.0.
    type: list
    elements: str
    choices: [html, json, junit, csv, markdown, sarif]
    default: [html, json, junit, csv, markdown, sarif]
  fail_on:
    description:
      - Lowest severity of a failing control that fails the task. A control or an organization that
        could not be read fails the task at any severity, and so does an audit of no organization.
      - With V(never), the verdict does not fail the task.
    type: str
    choices: [never, low, medium, high, critical]
    default: medium
  previous:
    description:
      - JSON report of an earlier run. The report then lists what became better and worse since.
      - It may be the file that the task replaces, except under C(serial).
    type: path
attributes:
  check_mode:
    description: Predicts in C(check_mode) what would change, without changing it.
    support: full
    details:
      - In check mode the report is written, too. A report changes nothing that is managed.
  diff_mode:
    description: Returns in diff mode what changed, or in C(check_mode) would change.
    support: N/A
    details:
      - This module does not modify anything that is managed.
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: full
    details:
      - The task is never changed.
notes:
  - The task runs on the controller, connects to no host, and sends no request. Run it with
    C(run_once=true).
  - The module is not in the action group of the collection, because it does not take the options of
    the connection.
seealso:
  - module: planasonix.admin.planasonix_baseline
"""

EXAMPLES = r"""
- name: Evaluate two controls
  planasonix.admin.planasonix_baseline:
    api_key: "{{ planasonix_api_key }}"
    controls: "{{ my_controls }}"
  check_mode: true
  register: compliance_audit_result

- name: Write the report and evaluate the audit
  planasonix.admin.planasonix_audit:
    profile: my controls
    fail_on: high
  run_once: true

- name: Write an HTML report of results, and compare them with an earlier run
  planasonix.admin.planasonix_audit:
    results: "{{ my_results }}"
    organizations: "{{ groups.organizations }}"
    formats:
      - html
    previous: last/planasonix-audit.json
    fail_on: never
  run_once: true

- name: Merge the reports of several runs
  planasonix.admin.planasonix_audit:
    sources:
      - audits/*/planasonix-audit.json
    report_dir: audits
  run_once: true
"""

RETURN = r"""
msg:
  description: The verdict, or the reason why there is no report.
  returned: always
  type: str
  sample: "1 of 2 organizations does not comply: 1 control fails (1 high); 1 waived."
files:
  description: Absolute path of each file, by format.
  returned: unless there is no report
  type: dict
  sample:
    html: /srv/planasonix-audit/planasonix-audit.html
    json: /srv/planasonix-audit/planasonix-audit.json
verdict:
  description: Whether the organizations comply. Under C(serial), it is about all batches so far.
  returned: unless there is no report
  type: dict
  contains:
    failed:
      description: Whether the verdict fails the task, or under C(serial) would fail it.
      type: bool
      returned: always
      sample: true
    msg:
      description: The reason in one line.
      type: str
      returned: always
      sample: "1 of 2 organizations does not comply: 1 control fails (1 high); 1 waived."
    causes:
      description:
        - The reasons as data. The number of failing controls by severity, under C(critical),
          C(high), C(medium) and C(low), and the numbers of C(unreadable_controls) and
          C(unreadable_organizations). Only reasons that count at O(fail_on) are listed.
        - Has C(nothing_audited) if there is no organization. Empty if the organizations comply.
      type: dict
      returned: always
      sample:
        high: 1
summary:
  description: Numbers of organizations and controls, by status.
  returned: unless there is no report
  type: dict
  sample:
    organizations:
      total: 2
      compliant: 1
      unreadable: 0
    controls:
      pass: 34
      fixed: 0
      waived: 1
      not_entitled: 0
      fail: 1
      error: 0
"""
