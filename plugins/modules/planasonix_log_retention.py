#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_log_retention
short_description: Manage the log retention of a Planasonix organization
version_added: 1.0.0
description:
  - Sets the number of days for which the logs of an organization are kept. Older logs are deleted
    permanently, so you cannot undo a shorter retention.
  - If you leave out an option, its value does not change. The module sends the whole object, with
    the values that did not change.
  - After a change the object is read back, and the task fails if the API did not apply a field, or
    changed another one.
  - The API documents numbers from 1 on. V(0), V(-1) and V(null) may mean no limit. The module
    does not replace them, and fails before it writes anything if the task names such a field. To
    set a limit, set it in the product first.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  run_logs_days:
    description: Days for which the logs of pipeline runs are kept. At least 1.
    type: int
  audit_logs_days:
    description: Days for which the audit log is kept. At least 1.
    type: int
  diagnostic_artifacts_days:
    description: Days for which diagnostic artifacts are kept. At least 1.
    type: int
seealso:
  - module: planasonix.admin.planasonix_session_timeout
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Keep the audit log for 365 days, and the logs of runs for 30 days
  planasonix.admin.planasonix_log_retention:
    api_key: "{{ planasonix_api_key }}"
    audit_logs_days: 365
    run_logs_days: 30
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "log_retention: run_logs_days 30 -> 14"
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
    before: {"run_logs_days": 30}
    after: {"run_logs_days": 14}
log_retention:
  description: The log retention after the task.
  returned: success
  type: dict
  sample: {"run_logs_days": 14, "audit_logs_days": 365, "diagnostic_artifacts_days": 7}
"""

from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module
from ansible_collections.planasonix.admin.plugins.module_utils._singletons import (
    LOG_RETENTION,
    LOG_RETENTION_FIELDS,
)

MODULE = Module(manages=LOG_RETENTION, options=LOG_RETENTION_FIELDS)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
