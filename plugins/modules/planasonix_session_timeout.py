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
  - Sets the number of idle minutes, and the total number of minutes, after which a session of the
    product's UI ends. The timeout does not apply to API keys.
  - If you leave out an option, its value does not change. The module sends the whole object, with
    the values that did not change.
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
      - It must not exceed O(absolute_timeout_minutes). The module checks the values after the
        change before it writes anything.
    type: int
  absolute_timeout_minutes:
    description: Minutes after which any session ends. At least 1.
    type: int
  extend_on_activity:
    description: Whether activity restarts the idle time.
    type: bool
seealso:
  - module: planasonix.admin.planasonix_log_retention
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: End idle sessions after 30 minutes, and all sessions after 12 hours
  planasonix.admin.planasonix_session_timeout:
    api_key: "{{ planasonix_api_key }}"
    idle_timeout_minutes: 30
    absolute_timeout_minutes: 720

- name: Check the session timeout without changing it
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
  description: The options of the task, before and after.
  returned: success
  type: dict
  sample:
    before: {"idle_timeout_minutes": 60}
    after: {"idle_timeout_minutes": 30}
session_timeout:
  description: The session timeout after the task.
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
