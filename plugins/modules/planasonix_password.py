#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_password
short_description: Change the password of a Planasonix user
version_added: 1.0.0
description:
  - Changes the password of the user of the API key.
  - The API does not show whether a password is valid. If both passwords are the same, the task
    sends nothing. Otherwise it is changed, and a second run with the same options fails, because
    O(current_password) is no longer valid. Run it once, from a separate playbook.
  - Check mode cannot check O(current_password).
  - If the answer to the change is lost, the task fails and says so, because the API does not show
    which password is valid.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
attributes:
  idempotent:
    support: none
    details:
      - A second run fails unless both passwords are the same, because O(current_password) is no
        longer valid.
options:
  current_password:
    description: The password that is valid now.
    type: str
    required: true
  new_password:
    description: The password to set.
    type: str
    required: true
seealso:
  - module: planasonix.admin.planasonix_mfa
"""

EXAMPLES = r"""
- name: Replace the initial password
  planasonix.admin.planasonix_password:
    api_key: "{{ planasonix_api_key }}"
    current_password: "{{ vault_initial_password }}"
    new_password: "{{ vault_password }}"
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "password of alex.morgan@example.com: changed"
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
  description: Whether the password is new, without the passwords.
  returned: success
  type: dict
  sample:
    before: {"password": "as it is"}
    after: {"password": "new"}
"""

from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module
from ansible_collections.planasonix.admin.plugins.module_utils._singletons import PASSWORD

MODULE = Module(
    manages=PASSWORD,
    options={
        "current_password": {"type": "str", "required": True, "no_log": True},
        "new_password": {"type": "str", "required": True, "no_log": True},
    },
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
