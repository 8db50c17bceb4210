#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_notification_rule
short_description: Manage a notification rule of a Planasonix organization
version_added: 1.0.0
description:
  - Creates a notification rule, or updates the rule with this name. If you leave out an option, its
    value does not change. The API replaces the whole rule, and may then give it another ID.
  - The API cannot delete a rule. To retire one, set O(enabled=false). Only the product's UI can
    remove it.
  - After a change the module reads all rules back. The task fails if the API did not apply a field,
    or left the old rule in place.
  - The module also compares the other rules. If the API removed or changed one, the module restores
    it, and the task fails. If the API replaces all rules at each write, the task fails, and
    RV(lost_rules) contains the rules that are gone.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  name:
    description:
      - Name of the rule. If several rules have this name, the task fails and lists their IDs,
        because only the product's UI can remove one.
      - Outer spaces are removed, and characters are composed (Unicode NFC), here and in what the
        API lists.
    type: str
    required: true
  event:
    description:
      - Event of the rule, such as V(pipeline.run.failed) or V(dlq.threshold_exceeded). Required to
        create a rule.
    type: str
  channels:
    description:
      - Names or IDs of the notification channels of the rule, in any order. Required to create a
        rule.
      - A channel that does not exist is an error, in check mode, too. Manage channels with
        M(planasonix.admin.planasonix_notification_channel) before rules.
    type: list
    elements: str
  filters:
    description:
      - Filters of the events, such as C(pipeline_ids) or a C(threshold).
      - The module replaces all filters. V({}) removes all of them, and V(null) a single one.
      - An empty filter (null, an empty text or list) is the same as no filter.
      - An undocumented filter with a number, boolean or text stays if the task does not name it,
        and RV(msg) lists it. It may be a default that the API adds to each rule. To remove it, name
        it with V(null).
    type: dict
  enabled:
    description: Whether the rule is enabled. A new rule is enabled by default.
    type: bool
seealso:
  - module: planasonix.admin.planasonix_notification_channel
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Notify the on-call team when a pipeline fails
  planasonix.admin.planasonix_notification_rule:
    api_key: "{{ planasonix_api_key }}"
    name: Pipeline failures
    event: pipeline.run.failed
    channels:
      - Data platform on-call
      - "#data-alerts"

- name: Notify the on-call team when a dead-letter queue grows
  planasonix.admin.planasonix_notification_rule:
    api_key: "{{ planasonix_api_key }}"
    name: DLQ growth alert
    event: dlq.threshold_exceeded
    channels:
      - Data platform on-call
    filters:
      pipeline_ids:
        - pl_01hqxyz
      threshold: 100

- name: Retire a rule
  planasonix.admin.planasonix_notification_rule:
    api_key: "{{ planasonix_api_key }}"
    name: DLQ growth alert
    enabled: false
"""

RETURN = r"""
lost_rules:
  description:
    - The rules that the API removed or changed when it wrote this one, as they were before, and
      that the module could not restore.
  returned: when the API replaced other rules
  type: list
  elements: dict
  sample:
    - id: nrl_01jq801
      name: Pipeline failure to Slack
      event: pipeline.run.failed
      channel_ids: [nch_01jq801]
      filters: {}
      enabled: true
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "notification rule 'DLQ growth alert': enabled true -> false"
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
diff:
  description:
    - The rule without its ID, with the names of its channels, before and after. Empty before the
      rule is created.
  returned: success
  type: dict
  sample:
    before:
      name: Failures
      event: pipeline.run.failed
      channels: [On-call]
      filters: {}
      enabled: true
    after:
      name: Failures
      event: pipeline.run.failed
      channels: [On-call]
      filters: {}
      enabled: false
rule:
  description:
    - The rule after the task, with C(channels), the names of its channels, in addition to
      C(channel_ids). If a channel no longer exists, C(channels) has its ID.
    - In check mode, a rule that would be created or replaced has no C(id).
  returned: success
  type: dict
  sample:
    id: nrl_01jq899
    name: Failures
    event: pipeline.run.failed
    channel_ids: [nch_01jq802]
    channels: [On-call]
    filters: {}
    enabled: false
"""

from ansible_collections.planasonix.admin.plugins.module_utils._rules import RULE, RULE_OPTIONS
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module

MODULE = Module(
    manages=RULE,
    options=RULE_OPTIONS,
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
