#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_profile
short_description: Manage the profile of a Planasonix user
version_added: 1.0.0
description:
  - Sets the name, time zone and locale of the user that the API key acts as.
  - If you leave out an option, its value does not change. The module sends the whole object, with
    the values that did not change.
  - After a change the object is read back, and the task fails if the API did not apply a field, or
    changed another one.
  - Names of one time zone, such as V(UTC) and V(Etc/UTC), and spellings of one locale count as
    equal.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  display_name:
    description: Name that others see.
    type: str
  timezone:
    description: Time zone, as an IANA name such as V(America/Denver).
    type: str
  locale:
    description: Language and region, such as V(en-US).
    type: str
seealso:
  - module: planasonix.admin.planasonix_preferences
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Set the name, time zone and locale of the automation's user
  planasonix.admin.planasonix_profile:
    api_key: "{{ planasonix_api_key }}"
    display_name: Automation
    timezone: Etc/UTC
    locale: en-US
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "profile: timezone \"America/Los_Angeles\" -> \"Etc/UTC\""
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
  description: The given options, before and after.
  returned: success
  type: dict
  sample:
    before: {"timezone": "America/Los_Angeles"}
    after: {"timezone": "Etc/UTC"}
profile:
  description: The profile after the task.
  returned: success
  type: dict
  sample:
    id: usr_01jq8me
    email: alex.morgan@example.com
    display_name: Automation
    timezone: Etc/UTC
    locale: en-US
    roles: [admin]
"""

from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module
from ansible_collections.planasonix.admin.plugins.module_utils._singletons import (
    PROFILE,
    PROFILE_FIELDS,
)

MODULE = Module(manages=PROFILE, options=PROFILE_FIELDS)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
