#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_session_timeout
short_description: Manage the session timeout of a Planasonix organization
version_added: 1.0.0
description:
  - Sets after how many idle minutes, and after how many in all, a session of the product's UI ends. API keys ignore it.
  - An option that is left out is left alone. The module sends the object whole, merged with what it is.
  - After a change the object is read back, and the task fails if the API did not apply a field, or
    changed another one.
  - The API documents numbers from 1 on. V(0), V(-1) and V(null) may mean no limit. The module
    does not replace them, and fails before it writes anything if the task names such a field. To
    set a limit, set it in the product first. If the other timeout may have no limit, the module
    warns that it was not compared.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  idle_timeout_minutes:
    description:
      - Minutes without activity after which a session ends. At least 1.
      - It may not exceed O(absolute_timeout_minutes). This is checked against what the organization would have after the change, before anything is written.
    type: int
  absolute_timeout_minutes:
    description: Minutes after which any session ends. At least 1.
    type: int
  extend_on_activity:
    description: Whether activity begins the idle time anew.
    type: bool
seealso:
  - module: planasonix.admin.planasonix_log_retention
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: End idle sessions after half an hour, and all of them after a working day
  planasonix.admin.planasonix_session_timeout:
    api_key: "{{ planasonix_api_key }}"
    idle_timeout_minutes: 30
    absolute_timeout_minutes: 720

- name: See whether it is so
  planasonix.admin.planasonix_session_timeout:
    api_key: "{{ planasonix_api_key }}"
    idle_timeout_minutes: 30
    absolute_timeout_minutes: 720
  check_mode: true
  register: sessions
  failed_when: sessions is changed
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "session_timeout: idle_timeout_minutes 60 -> 30"
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
  description: The given options, before and after.
  returned: success
  type: dict
  sample:
    before: {"idle_timeout_minutes": 60}
    after: {"idle_timeout_minutes": 30}
session_timeout:
  description: The session timeout as it now is.
  returned: success
  type: dict
  sample: {"idle_timeout_minutes": 30, "absolute_timeout_minutes": 1440, "extend_on_activity": true}
"""

from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module
from ansible_collections.planasonix.admin.plugins.module_utils._singletons import (
    SESSION_TIMEOUT,
    SESSION_TIMEOUT_FIELDS,
)

MODULE = Module(manages=SESSION_TIMEOUT, options=SESSION_TIMEOUT_FIELDS)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
