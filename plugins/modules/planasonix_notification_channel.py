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
  - An option that is left out is left alone.
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
      - Name of the channel. If several channels have it, the task fails with their ids. Address one
        by O(channel_id).
      - With O(channel_id) the channel is renamed to it.
      - Outer spaces are removed, and characters are composed (Unicode NFC), here and in what the
        API lists. If the API stores the name of a new channel otherwise, for example in lower case,
        the module deletes the channel again and the task fails.
      - One of O(name) and O(channel_id) is needed.
    type: str
  channel_id:
    description:
      - Id of an existing channel. C(43) and C("43") are the same id.
      - With O(state=absent) and an id that no channel has, nothing changes, and RV(msg) says so.
    type: str
  state:
    description:
      - Whether the channel is to exist.
      - V(absent) fails while an enabled rule uses the channel, and names the rules.
    type: str
    choices: [present, absent]
    default: present
  type:
    description:
      - Type of the channel, such as V(email), V(slack), V(pagerduty) or V(webhook), in any case.
        Needed to create it.
      - The API cannot change the type of a channel. If it differs, the task fails unless
        O(replace=true).
    type: str
  config:
    description:
      - What the type needs, such as C(recipients) of an email channel.
      - It is merged key by key, at every level. A key that is not named keeps its value, so V({})
        changes nothing.
      - Lists compare in any order, e-mail addresses in any case, and a number equals the text that
        spells it.
      - A value that the API shows is compared. A value that it hides, such as V(****) or
        V([REDACTED]), or a secret that its answer leaves out, cannot be compared. Then RV(msg) and
        RV(not_compared) name the key. To send it, give it in O(secret_config) with
        O(update_secrets=always).
      - Under the name of a secret, a text of 32 or more hexadecimal digits may be a hash, and a
        short text may be the end of the secret. They are compared only with a text of this kind.
      - A key that is named like a secret must not be empty or null.
    type: dict
  secret_config:
    description:
      - The secrets of the configuration, such as a token or a webhook's URL. They are sent along
        with each update, and are neither compared nor shown. They must not be empty or null.
      - Only secrets belong here. Ansible censors each of these values wherever it occurs in the
        result.
      - An update of O(config) sends the configuration whole, without the secrets that the module
        read. If the channel has a key with a secret, the task fails before it writes, and names the
        keys to give here.
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
      - When O(secret_config) is sent to a channel that exists and needs no other change.
      - V(on_create) never does. The secrets are still sent along with any other update.
      - V(always) does on each run, which is then always changed.
    type: str
    choices: [on_create, always]
    default: on_create
  enabled:
    description: Whether the channel delivers.
    type: bool
  replace:
    description:
      - Whether a channel of another type is deleted and created again with O(config) and
        O(secret_config).
      - It fails while an enabled rule uses the channel, and names the rules.
    type: bool
    default: false
  test:
    description:
      - When to send a test notification. A test does not count as a change, and is not sent in
        check mode.
      - The test is sent once, after the change of the channel shows.
    type: str
    choices: [never, on_change, always]
    default: never
seealso:
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Mail the on-call team, and prove that it works
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
  description: The channel without its id, before and after. Of its configuration these are the keys that O(config) names.
  returned: success
  type: dict
  sample:
    before: {"type": "webhook", "name": "Incident webhook", "enabled": true, "config": {"method": "POST"}}
    after: {"type": "webhook", "name": "Incident webhook", "enabled": false, "config": {"method": "POST"}}
channel:
  description:
    - The channel as it now is, without the keys of O(secret_config), without keys that are named
      like a secret, and without values that the API hides. Empty once it is deleted.
    - In check mode a channel that would be created has no C(id), and has C(enabled) only if
      O(enabled) is given. One that would be replaced has no C(id).
  returned: success
  type: dict
  sample: {"id": "nch_01jq802", "type": "webhook", "name": "Incident webhook", "enabled": false, "config": {"method": "POST"}}
not_compared:
  description:
    - The keys that O(config) names and that could not be compared, since the API hides or may hide
      their values. They are not sent.
  returned: when there are such keys
  type: list
  elements: str
  sample: ["config.url"]
lost_config:
  description:
    - What the configuration held before an update that lost some of it, without its secrets.
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
