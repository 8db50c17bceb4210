#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_ip_whitelist
short_description: Manage the IP allowlist of a Planasonix organization
version_added: 1.0.0
description:
  - Adds, removes and labels entries of the IP allowlist, and switches its enforcement on and off.
  - The module refuses to lock out the addresses that you protect. It adds entries before it removes
    others, switches enforcement off first and on last, and checks O(protected_addresses) before it
    writes anything.
  - Networks are compared as networks. V(203.0.113.7) is V(203.0.113.7/32), and an IPv6 network may
    be written in any way. A network that a broader one covers still needs an entry of its own.
  - Entries that are listed but not in force (disabled, expired or deleted) cover no address and
    count as not listed. The module leaves them alone and returns them as C(inactive_entries).
  - If the API lists a new entry without putting it in force, the module fails before it removes or
    enforces anything. It keeps one such entry of each network, for you to activate in the product.
  - An entry that is pending, begins later, ends within a minute or has an unknown status covers no
    address, but is removed like one in force. If O(entries) names its network, the module fails
    before it writes anything.
  - If it is not known whether an entry is in force, the module fails and names the field.
  - The module waits up to 5 seconds, within O(retry_budget), for a change that the API shows late.
    It does not repeat an addition that the API accepted.
  - If you leave out an option, the module does not change what it manages.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  entries:
    description:
      - Networks to list, or with O(state=absent) to remove.
      - An empty list changes nothing, unless O(purge=true).
      - If a network is listed several times, the oldest entry with the required label stays and the
        module removes the others.
    type: list
    elements: dict
    suboptions:
      cidr:
        description:
          - Address or network, IPv4 or IPv6. Host bits must not be set, and a zone such as C(%eth0)
            is not allowed.
        type: str
        required: true
      label:
        description:
          - Label of the network. If left out, any label is fine. An empty text requires that there
            is no label.
          - Blanks at its ends do not count. If the API stores another text, the task fails and
            names it.
          - The API cannot change a label, so the module adds the entry again with the new label
            before it removes the old one. If the API refuses a second entry of the network, the
            module removes the old one first, but only if that takes access from no protected
            address.
        type: str
  state:
    description:
      - V(present) lists the O(entries).
      - V(absent) removes them, with any label. It needs O(entries), and cannot be combined with
        O(purge=true) or O(enabled=true).
    type: str
    choices: [present, absent]
    default: present
  purge:
    description: Remove the entries in force that O(entries) does not list. Needs O(entries).
    type: bool
    default: false
  enabled:
    description:
      - Enforce the allowlist, or stop enforcing it. An enforced list binds API keys too, so the
        host that runs this module must be listed.
      - After the module switched enforcement on, it reads the status until the API shows it as on.
        If the key has no access by then, the module tries to switch enforcement off again and
        fails.
      - The module removes no entry before the API shows enforcement that was switched off as off.
    type: bool
  protected_addresses:
    description:
      - Addresses and networks that must keep access, for example those of administrators, of the
        automation and of a break-glass host.
      - Required to switch enforcement on, and to remove an entry while it is on. The task fails
        before any write, in check mode too, unless the resulting list covers each of them.
      - An IPv4 address and its IPv4-mapped IPv6 form are two addresses.
    type: list
    elements: str
  allow_lockout:
    description:
      - Skip the lockout check of O(protected_addresses). You may lock yourself and others out.
    type: bool
    default: false
seealso:
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: List the office and the automation, and enforce the list
  planasonix.admin.planasonix_ip_whitelist:
    api_key: "{{ planasonix_api_key }}"
    entries:
      - cidr: 203.0.113.0/24
        label: Office
      - cidr: 198.51.100.10
        label: Automation
      - cidr: 2001:db8:40::/48
        label: VPN
    purge: true
    enabled: true
    protected_addresses:
      - 198.51.100.10
      - 203.0.113.7

- name: Remove a former egress address
  planasonix.admin.planasonix_ip_whitelist:
    api_key: "{{ planasonix_api_key }}"
    state: absent
    entries:
      - cidr: 192.0.2.44
    protected_addresses:
      - 198.51.100.10
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "ip_whitelist: added 203.0.113.0/24, enforcement off -> on"
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
  description: Enforcement and entries, before and after.
  returned: success
  type: dict
  sample:
    before: {"enabled": false, "entries": []}
    after: {"enabled": true, "entries": [{"cidr": "203.0.113.0/24", "label": "Office"}]}
ip_whitelist:
  description:
    - The allowlist after the task. New entries have no C(id) and C(created_at) in check mode.
  returned: success
  type: dict
  contains:
    enabled:
      description: Whether it is enforced.
      type: bool
      sample: true
    applies_to:
      description: What it is enforced on.
      type: list
      elements: str
      sample: [api, ui]
    entries:
      description: The entries in force, by address.
      type: list
      elements: dict
      sample:
        - id: ipw_01jq801
          cidr: 203.0.113.0/24
          label: Office
          created_at: "2026-02-01T12:00:00Z"
    inactive_entries:
      description: The entries that are listed but not in force, by address.
      returned: if there are any
      type: list
      elements: dict
      sample: [{"id": "ipw_01jq802", "cidr": "192.0.2.0/24", "active": false}]
"""

from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_writes import ALLOWLIST
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module

MODULE = Module(
    manages=ALLOWLIST,
    options={
        "entries": {
            "type": "list",
            "elements": "dict",
            "options": {"cidr": {"type": "str", "required": True}, "label": {"type": "str"}},
        },
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "purge": {"type": "bool", "default": False},
        "enabled": {"type": "bool"},
        "protected_addresses": {"type": "list", "elements": "str"},
        "allow_lockout": {"type": "bool", "default": False},
    },
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
