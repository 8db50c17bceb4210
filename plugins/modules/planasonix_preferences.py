#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_preferences
short_description: Manage the preferences of a Planasonix user
version_added: 1.0.0
description:
  - Sets preferences of the user of the API key, such as those of the canvas. A preference that you
    leave out does not change.
  - The API cannot remove a preference.
  - A preference that the list does not show as the task asks for is read by itself before and after
    a change. The task fails if the API did not apply it.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  preferences:
    description:
      - Maps the key of a preference to its value, of any JSON type. It replaces the whole old
        value. Lists of scalars are compared as sets.
      - V({}) changes nothing.
    type: dict
    required: true
seealso:
  - module: planasonix.admin.planasonix_profile
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Set up the canvas, and a weekly digest by email
  planasonix.admin.planasonix_preferences:
    api_key: "{{ planasonix_api_key }}"
    preferences:
      canvas.snap_to_grid: true
      canvas.show_minimap: false
      notifications.email_digest: weekly
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "preferences: canvas.snap_to_grid true -> false"
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
  description: The preferences of the task, before and after. A preference that was not set is
    missing.
  returned: success
  type: dict
  sample:
    before: {"canvas.snap_to_grid": true}
    after: {"canvas.snap_to_grid": false}
preferences:
  description: All preferences after the task.
  returned: success
  type: dict
  sample:
    canvas.snap_to_grid: false
    canvas.show_minimap: false
    notifications.email_digest: weekly
"""

from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module
from ansible_collections.planasonix.admin.plugins.module_utils._singletons import PREFERENCES

MODULE = Module(manages=PREFERENCES, options={"preferences": {"type": "dict", "required": True}})


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
