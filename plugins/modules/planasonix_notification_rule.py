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
  - Creates a notification rule, or changes the one of that name. The API replaces a rule whole, so
    the module sends it merged, and what is not named keeps its value. The API may give it another
    id then.
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
      - Name of the rule. If several rules have it, the task fails with their ids, since only the
        product's UI can remove one.
      - Outer spaces are removed, and characters are composed (Unicode NFC), here and in what the
        API lists.
    type: str
    required: true
  event:
    description: What it is about, such as V(pipeline.run.failed) or V(dlq.threshold_exceeded). Needed to create it.
    type: str
  channels:
    description:
      - Names or ids of the notification channels that it sends to, in any order. Needed to create
        it.
      - A channel that does not exist is an error, in check mode, too. Manage channels with
        M(planasonix.admin.planasonix_notification_channel) before rules.
    type: list
    elements: str
  filters:
    description:
      - Which of these events count, such as C(pipeline_ids) or a C(threshold).
      - They are replaced whole. V({}) takes all filters away, and so does V(null) a single one.
      - An empty filter (null, an empty text or list) is the same as no filter.
      - An undocumented filter with a number, boolean or text stays if the task does not name it,
        and RV(msg) lists it. It may be a default that the API adds to each rule. To remove it, name
        it with V(null).
    type: dict
  enabled:
    description: Whether the rule is in force. A new rule is, unless this says otherwise.
    type: bool
seealso:
  - module: planasonix.admin.planasonix_notification_channel
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Tell the on-call team when a pipeline fails
  planasonix.admin.planasonix_notification_rule:
    api_key: "{{ planasonix_api_key }}"
    name: Pipeline failures
    event: pipeline.run.failed
    channels:
      - Data platform on-call
      - "#data-alerts"

- name: Tell them when a dead-letter queue grows
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
    - What the task changes. It is the same in check mode and in the real run.
    - C(changes) lists the changes in their order. C(resource) is the subset of
      M(planasonix.admin.planasonix_info), C(action) such as V(create), V(update) or V(delete),
      C(object) the name of the object (empty where there is only one), and C(before) and C(after)
      its fields. Secrets are named by their keys, without values.
    - C(controls) has the IDs of the controls that the change is for, with
      M(planasonix.admin.planasonix_baseline).
  returned: success
  type: dict
diff:
  description: The rule without its id, with the names of its channels, before and after. Before it was created it is empty.
  returned: success
  type: dict
  sample:
    before: {"name": "Failures", "event": "pipeline.run.failed", "channels": ["On-call"], "filters": {}, "enabled": true}
    after: {"name": "Failures", "event": "pipeline.run.failed", "channels": ["On-call"], "filters": {}, "enabled": false}
rule:
  description:
    - The rule as it now is, with C(channels), the names of its channels, next to C(channel_ids). The
      id of a channel that is gone stands for itself.
    - In check mode a rule that would be made or replaced has no C(id).
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
