#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_baseline
short_description: Audit and remediate a Planasonix organization against controls
version_added: 1.0.0
description:
  - Evaluates a list of controls over one organization, and changes what fails, in one task. In
    check mode it is an audit.
  - Reads each needed resource once, over one connection. Plans everything before it writes, and
    writes in an order that never weakens the organization. Channels come before the rules that use
    them. Of the allowlist, entries are added before others are removed, and enforcement is disabled
    first and enabled last.
  - A value that is stricter than required passes and is left alone. A value that fails is set to
    the allowed value that is nearest to it.
  - The task fails if its input is wrong or a write fails, never because a control is not met. Look
    at RV(compliant), RV(summary) and RV(controls).
  - A control whose resource cannot be read is V(error), never V(pass). If the API key is invalid or
    the API is unreachable, every control is V(error). If an answer does not come in time, the task
    reads no more, and every control that needs what was not read is V(error).
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  controls:
    description:
      - Controls to evaluate. If two controls contradict each other, the task fails before it reads.
      - The module decodes a text that begins with C(ESCAPED:). P(planasonix.admin.snapshot#filter)
        writes such texts if Ansible could read them as templates.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: ID of the control, for waivers. By default the name of the resource.
        type: str
      title:
        description: Title of the control.
        type: str
      severity:
        description: Severity of the control. By default V(medium).
        type: str
        choices: [low, medium, high, critical]
      rationale:
        description: Reason for the control.
        type: str
      remediation:
        description: Manual steps, if the module cannot remediate the control.
        type: str
      resource:
        description:
          - The subset of M(planasonix.admin.planasonix_info) that the control evaluates.
          - V(settings), V(session_timeout), V(log_retention), V(profile), V(preferences),
            V(ip_whitelist), V(notification_channels) and V(notification_rules) can be remediated.
            All other resources are only audited.
        type: str
        choices:
          - profile
          - mfa
          - api_keys
          - session_timeout
          - preferences
          - settings
          - ip_whitelist
          - log_retention
          - organization
          - features
          - limits
          - tier
          - notification_channels
          - notification_rules
        required: true
      require:
        description:
          - For most resources, values of fields. A plain value must be equal. A mapping whose keys
            are all operators is a bound. Any other mapping nests.
          - The operators are C(at_least), C(at_most), C(one_of), C(not_one_of), C(contains) and
            C(excludes). C(one_of) is remediated to its first value. C(not_one_of) alone cannot be
            remediated. C(contains) and C(excludes) add and remove just these elements.
          - For V(ip_whitelist) it contains C(enabled), C(entries) with C(cidr) and C(label),
            C(purge), whether no other entry may be listed, and C(forbid), a list of networks that
            may not be open as a whole. Entries that open one together, such as two halves, are not
            allowed either. Entries that are not in force do not count.
          - For V(notification_channels) it contains C(present), a list of channels with the options
            of M(planasonix.admin.planasonix_notification_channel), and C(purge). A value of
            C(secret_config) that begins with C(PLACEHOLDER:) stands for the secret that the
            channel has.
          - For V(notification_rules) it contains C(present), a list of rules with the options of
            M(planasonix.admin.planasonix_notification_rule).
          - For V(api_keys) it contains C(max_age_days), C(must_expire), C(max_lifetime_days),
            C(unused_days) and C(forbidden_scopes). Offending keys are listed.
        type: dict
        required: true
      references:
        description: Maps the name of a standard to a list of its parts.
        type: dict
  waivers:
    description:
      - Controls that are allowed to fail. A waived control is evaluated, but nothing is written for
        it.
      - A waiver for an unknown control is an error.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: ID of the control.
        type: str
        required: true
      reason:
        description: Reason for the waiver.
        type: str
        required: true
      expires:
        description:
          - The last day of the waiver, in UTC, such as V(2027-03-31). After it the control fails
            again, and says that its waiver expired.
        type: str
  protected_addresses:
    description:
      - As in M(planasonix.admin.planasonix_ip_whitelist). The module skips a remediation that would
        lock one of them out. Its control stays V(fail).
    type: list
    elements: str
  allow_lockout:
    description: As in M(planasonix.admin.planasonix_ip_whitelist).
    type: bool
    default: false
  snapshot_file:
    description:
      - If the task changes something, write a snapshot to this file before the first write.
        The playbook C(planasonix.admin.rollback) restores it.
      - The file is on the host that runs the module. A relative path starts at its working
        directory. Missing folders are created with mode 0700, and the file has mode 0600.
      - An older file is kept next to it, with the process and the time in its name. A task that
        changes nothing, or runs in check mode, writes no file.
      - The task also reads the resources that can be restored and that no control is about. The
        snapshot leaves out what the API key may not read, and RV(snapshot_notes) lists it.
      - If the snapshot cannot be taken or written, the task fails and changes nothing. It also
        fails if the organization cannot be read.
    type: path
seealso:
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Audit an organization
  planasonix.admin.planasonix_baseline:
    api_key: "{{ planasonix_api_key }}"
    controls: &controls
      - id: SES-1
        title: Idle sessions end within 30 minutes
        severity: high
        resource: session_timeout
        require:
          idle_timeout_minutes:
            at_most: 30
        references:
          nist_800_53: [AC-12]
      - id: SSO-1
        title: Users sign in with single sign-on
        severity: critical
        resource: settings
        require:
          require_sso: true
      - id: KEY-1
        title: API keys expire, and none is older than 90 days
        resource: api_keys
        require:
          must_expire: true
          max_age_days: 90
    waivers:
      - id: KEY-1
        reason: The legacy scheduler is replaced in spring
        expires: "2027-03-31"
  check_mode: true
  register: audit

- name: Check that the organization complies
  ansible.builtin.assert:
    that: audit.compliant
    fail_msg: "{{ audit.msg }}"

- name: Remediate the controls that fail
  planasonix.admin.planasonix_baseline:
    api_key: "{{ planasonix_api_key }}"
    controls: *controls
"""

RETURN = r"""
msg:
  description: Number of controls by status, on one line.
  returned: always
  type: str
  sample: "baseline: 12 pass, 3 fixed, 1 waived"
plan:
  description:
    - The changes of the task, the same in check mode and in the real run.
    - C(changes) lists the changes in their order. C(resource) is the subset of
      M(planasonix.admin.planasonix_info), C(action) such as V(create), V(update) or V(delete),
      C(object) the name of the object (empty where there is only one), and C(before) and C(after)
      its fields. Of secrets, only the keys are listed.
    - C(controls) has the IDs of the controls that the change is for, with
      M(planasonix.admin.planasonix_baseline).
  returned: success
  type: dict
  sample:
    changes:
      - resource: settings
        action: update
        object: ""
        before: {"require_sso": false}
        after: {"require_sso": true}
        controls: [SSO-1]
diff:
  description: What the module changes, by resource, before and after.
  returned: success
  type: dict
  sample:
    before: {"session_timeout": {"idle_timeout_minutes": 60}}
    after: {"session_timeout": {"idle_timeout_minutes": 30}}
controls:
  description:
    - Each control, with the fields that the task has and its verdict. Secrets of channels are
      censored.
    - It also comes with the failure of a write. Controls that could not be met then are V(error).
  returned: success, and if a write failed
  type: list
  elements: dict
  contains:
    id:
      description: ID of the control.
      type: str
      returned: always
    status:
      description:
        - V(pass), V(fail), V(fixed) (not in check mode), V(waived), V(not_entitled) (the
          organization's plan lacks the feature), or V(error) (it could not be read or written).
      type: str
      returned: always
    current:
      description:
        - State of the organization when the task began, with V(fixed) the state before the change.
        - With the resource V(api_keys) it is the list of the offending keys, each with C(name),
          C(id) and C(reasons).
        - Null if unknown, as with V(error), unless only the write failed.
      type: raw
      returned: always
    expected:
      description: Required values.
      type: dict
      returned: always
    detail:
      description:
        - Reason for the status, as a sentence. Empty if the control passes.
        - The same is in RV(controls[].waiver) and RV(controls[].unremedied), as data.
      type: str
      returned: always
    waiver:
      description:
        - The waiver of the control, also if it expired or the control is not V(fail). It is null
          if there is none.
        - It contains C(reason), C(expires) (null without an expiry date) and C(expired).
      type: dict
      returned: always
    unremedied:
      description: Reasons why the module does not remediate the control.
      type: list
      elements: str
      returned: always
    remediable:
      description: Whether the module can remediate the control.
      type: bool
      returned: always
  sample:
    - id: SES-1
      title: Idle sessions end within 30 minutes
      severity: high
      resource: session_timeout
      require: {"idle_timeout_minutes": {"at_most": 30}}
      expected: {"idle_timeout_minutes": {"at_most": 30}}
      current: {"idle_timeout_minutes": 60}
      status: fail
      detail: idle_timeout_minutes is 60; expected at most 30
      remediable: true
      unremedied: []
      waiver: null
compliant:
  description: Whether no control is V(fail) or V(error).
  returned: success, and if a write failed
  type: bool
  sample: true
summary:
  description: Number of controls by status.
  returned: success, and if a write failed
  type: dict
  sample: {"pass": 12, "fixed": 3, "waived": 1, "not_entitled": 0, "fail": 0, "error": 0}
snapshot_file:
  description: Absolute path of the snapshot. In check mode, where the task would write it.
  returned: if O(snapshot_file) is set and something is changed
  type: str
  sample: /srv/planasonix-snapshots/acme.yml
snapshot_notes:
  description: Sentences about what the snapshot does not contain.
  returned: if O(snapshot_file) is set and something is changed
  type: list
  elements: str
  sample: []
"""

from ansible_collections.planasonix.admin.plugins.module_utils._baseline import BASELINE
from ansible_collections.planasonix.admin.plugins.module_utils._controls import SEVERITIES, SUBSETS
from ansible_collections.planasonix.admin.plugins.module_utils._policies import find_secrets
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module

MODULE = Module(
    manages=BASELINE,
    options={
        "controls": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "id": {"type": "str"},
                "title": {"type": "str"},
                "severity": {"type": "str", "choices": list(SEVERITIES)},
                "rationale": {"type": "str"},
                "remediation": {"type": "str"},
                "resource": {"type": "str", "choices": list(SUBSETS), "required": True},
                "require": {"type": "dict", "required": True},
                "references": {"type": "dict"},
            },
        },
        "waivers": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "id": {"type": "str", "required": True},
                "reason": {"type": "str", "required": True},
                "expires": {"type": "str"},
            },
        },
        "protected_addresses": {"type": "list", "elements": "str"},
        "allow_lockout": {"type": "bool", "default": False},
        "snapshot_file": {"type": "path"},
    },
    secrets=find_secrets,
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
