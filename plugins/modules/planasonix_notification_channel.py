#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_notification_channel
short_description: Manage a notification channel of a Planasonix organization
version_added: 1.0.0
description:
  - Creates, updates, renames, replaces, tests and deletes one notification channel.
  - If you leave out an option, its value does not change.
  - After a change the module reads the channel back. The task fails if the API did not apply a
    field, or changed one that the task does not name.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
attributes:
  idempotent:
    support: partial
    details:
      - Each run with O(update_secrets=always) sends the secrets again.
options:
  name:
    description:
      - Name of the channel. If several channels have this name, the task fails and lists their
        IDs. Use O(channel_id) to address one of them.
      - With O(channel_id), the module renames the channel to this name.
      - Outer spaces are removed, and characters are composed (Unicode NFC), here and in what the
        API lists. If the API stores the name of a new channel otherwise, for example in lower case,
        the module deletes the channel again and the task fails.
      - One of O(name) and O(channel_id) is required.
    type: str
  channel_id:
    description:
      - ID of an existing channel. C(43) and C("43") are the same ID.
      - With O(state=absent), an ID that no channel has changes nothing, and RV(msg) says so.
    type: str
  state:
    description:
      - Whether the channel must exist.
      - V(absent) fails while an enabled rule uses the channel, and lists the rules.
    type: str
    choices: [present, absent]
    default: present
  type:
    description:
      - Type of the channel, such as V(email), V(slack), V(pagerduty) or V(webhook), in any case.
        Required to create a channel.
      - The API cannot change the type of a channel. If it differs, the task fails unless
        O(replace=true).
    type: str
  config:
    description:
      - Configuration of the type, such as C(recipients) of an email channel.
      - The module merges it key by key, at every level. A key that you leave out keeps its value,
        so V({}) changes nothing.
      - Lists compare in any order, e-mail addresses in any case, and a number equals the text that
        spells it.
      - A value that the API shows is compared. A value that it hides, such as V(****) or
        V([REDACTED]), or a secret that its answer leaves out, cannot be compared. Then RV(msg) and
        RV(not_compared) name the key. To send it, set it in O(secret_config) with
        O(update_secrets=always).
      - Under the name of a secret, a text of 32 or more hexadecimal digits may be a hash, and a
        short text may be the end of the secret. They are compared only with a text of this kind.
      - A key that is named like a secret must not be empty or null.
    type: dict
  secret_config:
    description:
      - The secrets of the configuration, such as a token or a webhook's URL. The module sends
        them with each update, and does not compare or display them. They must not be empty or null.
      - Use this option only for secrets. Ansible censors each of these values in the whole result.
      - An update of O(config) sends the configuration whole, without the secrets that the module
        read. If the channel has a key with a secret, the task fails before it writes, and lists the
        missing keys.
      - A key has a secret if the API hides its value, or if it is named like a secret, such as
        C(url), C(webhook_url), C(token), C(password), C(routing_key) or C(api_key).
      - A channel of a type other than V(email), V(in_app) and V(sms) may have a secret that the API
        leaves out of its answer. An update of its O(config) needs this option. V({}) says that the
        channel has no secret; it changes nothing else.
      - If this option has all keys that the API hides, each update sends the whole configuration,
        so that an API that replaces the channel does not lose it. If the API refuses that as
        invalid, the module sends the update without the configuration.
      - A channel of type V(webhook), V(pagerduty) or V(teams) has a secret. If the API shows no
        configuration of it, an update without its secret warns that the secret may be lost.
      - A V(PLACEHOLDER:) of an export keeps the secret that the channel has. It cannot create one.
    type: dict
  update_secrets:
    description:
      - When to send O(secret_config) to a channel that exists and needs no other change.
      - V(on_create) does not send them then, but sends them with any other update.
      - V(always) sends them on each run, which is then always changed.
    type: str
    choices: [on_create, always]
    default: on_create
  enabled:
    description: Whether the channel delivers.
    type: bool
  replace:
    description:
      - If the channel has another type, delete it and create it again with O(config) and
        O(secret_config).
      - Fails while an enabled rule uses the channel, and lists the rules.
    type: bool
    default: false
  test:
    description:
      - When to send a test notification. A test does not count as a change, and is not sent in
        check mode.
      - The module sends the test once, after the API shows the change of the channel.
    type: str
    choices: [never, on_change, always]
    default: never
seealso:
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Send alerts to the on-call team by email, and test the channel
  planasonix.admin.planasonix_notification_channel:
    api_key: "{{ planasonix_api_key }}"
    name: Data platform on-call
    type: email
    config:
      recipients:
        - oncall@example.com
      severity_filter:
        - high
        - critical
    test: on_change

- name: Alert a webhook whose URL is a secret
  planasonix.admin.planasonix_notification_channel:
    api_key: "{{ planasonix_api_key }}"
    name: Incident webhook
    type: webhook
    config:
      method: POST
    secret_config:
      url: "{{ incident_webhook_url }}"

- name: Send alerts to another room of a Slack channel that has no secret
  planasonix.admin.planasonix_notification_channel:
    api_key: "{{ planasonix_api_key }}"
    name: "#data-alerts"
    config:
      channel: C07654321
    secret_config: {}

- name: Silence a channel
  planasonix.admin.planasonix_notification_channel:
    api_key: "{{ planasonix_api_key }}"
    name: Incident webhook
    enabled: false
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "notification channel 'Incident webhook': enabled true -> false"
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
  description: The channel without its ID, before and after. Of its configuration, only the keys in
    O(config).
  returned: success
  type: dict
  sample:
    before:
      type: webhook
      name: Incident webhook
      enabled: true
      config: {"method": "POST"}
    after:
      type: webhook
      name: Incident webhook
      enabled: false
      config: {"method": "POST"}
channel:
  description:
    - The channel after the task, without the keys of O(secret_config), without keys that are named
      like a secret, and without values that the API hides. Empty after its deletion.
    - In check mode a channel that would be created has no C(id), and has C(enabled) only if
      O(enabled) is given. One that would be replaced has no C(id).
  returned: success
  type: dict
  sample:
    id: nch_01jq802
    type: webhook
    name: Incident webhook
    enabled: false
    config: {"method": "POST"}
not_compared:
  description:
    - Keys of O(config) that could not be compared, because the API hides or may hide their values.
      The module does not send them.
  returned: when there are such keys
  type: list
  elements: str
  sample: ["config.url"]
lost_config:
  description:
    - The configuration before an update that lost some of it, without its secrets.
  returned: when the API lost a part of the configuration, and the module could not restore it
  type: dict
  sample: {"method": "POST"}
delivery:
  description: The test notification, as the API queued it.
  returned: when a test notification was sent
  type: dict
  sample: {"delivery_id": "ndl_01jq8test", "status": "queued"}
"""

from ansible_collections.planasonix.admin.plugins.module_utils._channel_writes import CHANNEL
from ansible_collections.planasonix.admin.plugins.module_utils._channels import CHANNEL_OPTIONS
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module

MODULE = Module(
    manages=CHANNEL,
    options=CHANNEL_OPTIONS,
    rules={"required_one_of": [("name", "channel_id")]},
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
