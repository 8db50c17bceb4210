#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_settings
short_description: Manage the settings of a Planasonix organization
version_added: 1.0.0
description:
  - Sets the time zone, the SSO requirement, the data residency and other settings of an
    organization.
  - If you leave out an option, its value does not change.
  - The module sends only the settings that differ, and reads them back. The task fails if the API
    did not apply one of them.
  - The task also fails if the API changed another setting, or a feature flag that O(extra) does not
    name. The message shows its old value.
  - Names of one time zone, such as V(UTC) and V(Etc/UTC), count as equal.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  default_timezone:
    description: The organization's default time zone, such as V(UTC) or V(America/New_York).
    type: str
  require_sso:
    description: Whether members must sign in with SSO. The plan of the organization must include
      SSO.
    type: bool
  data_residency:
    description: Region in which data is kept, such as V(us) or V(eu).
    type: str
  extra:
    description:
      - Settings without an option, by their name in the API. To list them, use the subset
        V(settings) of M(planasonix.admin.planasonix_info).
      - The module merges them key by key, at every level. A key that you leave out keeps its value,
        so V({}) changes nothing.
    type: dict
seealso:
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Require single sign-on
  planasonix.admin.planasonix_settings:
    api_key: "{{ planasonix_api_key }}"
    require_sso: true

- name: Set the time zone and enable one feature flag
  planasonix.admin.planasonix_settings:
    api_key: "{{ planasonix_api_key }}"
    default_timezone: Europe/Berlin
    extra:
      feature_flags:
        lineage_v2: true
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "settings: require_sso false -> true"
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
  description: The settings that the task names, before and after.
  returned: success
  type: dict
  sample: {"before": {"require_sso": false}, "after": {"require_sso": true}}
settings:
  description: The settings after the task. With O(extra) all settings, otherwise those that have an
    option.
  returned: success
  type: dict
  sample: {"default_timezone": "Europe/Berlin", "require_sso": true, "data_residency": "eu"}
"""

from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module
from ansible_collections.planasonix.admin.plugins.module_utils._singletons import (
    SETTINGS,
    SETTINGS_FIELDS,
)

MODULE = Module(
    manages=SETTINGS,
    options={**SETTINGS_FIELDS, "extra": {"type": "dict"}},
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
