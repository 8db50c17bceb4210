#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_info
short_description: Read the state of a Planasonix organization
version_added: 1.0.0
description:
  - Reads the state of an organization and of the user of the API key, over one connection.
  - Half a character (a lone surrogate) in a text, which Ansible does not accept from a module, is
    returned as an escape such as C(\ud83d).
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes.info
  - planasonix.admin.connection
options:
  gather_subset:
    description:
      - Subsets to read. A name with the prefix C(!) is excluded, even if the list also includes it.
      - If all names are exclusions, all other subsets are read. V([!all, tier]) reads only V(tier).
    type: list
    elements: str
    default: [all]
    choices:
      - all
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
      - "!all"
      - "!profile"
      - "!mfa"
      - "!api_keys"
      - "!session_timeout"
      - "!preferences"
      - "!settings"
      - "!ip_whitelist"
      - "!log_retention"
      - "!organization"
      - "!features"
      - "!limits"
      - "!tier"
      - "!notification_channels"
      - "!notification_rules"
  on_forbidden:
    description:
      - What to do if the API answers C(403) or C(404) for a subset, for example because the key
        lacks a scope, or if its answer has another shape than documented.
      - V(fail) fails the task.
      - V(skip) lists the subset in RV(unavailable) and continues.
    type: str
    choices: [fail, skip]
    default: fail
seealso:
  - module: planasonix.admin.planasonix_settings
  - module: planasonix.admin.planasonix_ip_whitelist
  - module: planasonix.admin.planasonix_notification_channel
  - module: planasonix.admin.planasonix_api_key
"""

EXAMPLES = r"""
- name: Read everything that the key may read
  planasonix.admin.planasonix_info:
    api_key: "{{ planasonix_api_key }}"
    on_forbidden: skip
  register: organization

- name: Read only the entitlements
  planasonix.admin.planasonix_info:
    api_key: "{{ planasonix_api_key }}"
    gather_subset:
      - features
      - limits
      - tier
  register: entitlements

- name: Check that single sign-on is part of the plan
  ansible.builtin.assert:
    that: "'sso' in entitlements.planasonix.features"
"""

RETURN = r"""
msg:
  description: Number of subsets, on one line.
  returned: always
  type: str
  sample: "read 3 subsets"
planasonix:
  description:
    - The subsets, as in the answers of the API. Lists are complete.
    - Objects without a name are listed, too.
    - C(features) is the list of the names of the enabled features, C(settings) are all settings,
      and C(ip_whitelist) is as M(planasonix.admin.planasonix_ip_whitelist) returns it.
    - Each of C(notification_rules) also has C(channels), the names of its channels.
  returned: success
  type: dict
  sample:
    features: [lineage, git_integration, sso]
    tier: {"tier": "enterprise", "billing_period": "annual", "renewal_date": "2027-06-01"}
unavailable:
  description:
    - Subsets that could not be read, with O(on_forbidden=skip).
    - C(status) and C(code) are null if the API answered in another shape than documented; C(msg)
      names the field.
  returned: success
  type: dict
  sample:
    mfa: {"status": 403, "code": "insufficient_scope", "msg": "Could not read the MFA status."}
"""

from ansible_collections.planasonix.admin.plugins.module_utils._controls import SUBSETS
from ansible_collections.planasonix.admin.plugins.module_utils._policies import gather
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module

MODULE = Module(
    manages=gather,
    options={
        "gather_subset": {
            "type": "list",
            "elements": "str",
            "default": ["all"],
            "choices": ["all", *SUBSETS, "!all", *(f"!{name}" for name in SUBSETS)],
        },
        "on_forbidden": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
    },
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
