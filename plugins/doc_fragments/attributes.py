# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Attributes of the modules that manage something
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts in C(check_mode) what would change, without changing it.
    support: full
    details:
      - Check mode and the real run share one plan. In check mode no request but C(GET) is sent.
  diff_mode:
    description: Returns in diff mode what changed, or in C(check_mode) would change.
    support: full
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: full
  action_group:
    description: Use C(group/planasonix.admin.planasonix) in C(module_defaults) for this module.
    support: full
    membership:
      - planasonix.admin.planasonix
"""

    # Attributes of the modules that only read
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Predicts in C(check_mode) what would change, without changing it.
    support: full
    details:
      - This module does not modify anything.
  diff_mode:
    description: Returns in diff mode what changed, or in C(check_mode) would change.
    support: N/A
    details:
      - This module does not modify anything.
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: N/A
    details:
      - This module does not modify anything.
  action_group:
    description: Use C(group/planasonix.admin.planasonix) in C(module_defaults) for this module.
    support: full
    membership:
      - planasonix.admin.planasonix
"""
