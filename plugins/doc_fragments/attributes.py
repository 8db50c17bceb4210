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
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - Check mode and the real run share one plan. In check mode no request but C(GET) is sent.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description: When run twice in a row outside C(check_mode), with the same arguments, the second run changes nothing.
    support: full
  action_group:
    description: Use C(group/planasonix.admin.planasonix) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - planasonix.admin.planasonix
"""

    # Attributes of the modules that only read
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - This module does not modify anything.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
    details:
      - This module does not modify anything.
  idempotent:
    description: When run twice in a row outside C(check_mode), with the same arguments, the second run changes nothing.
    support: N/A
    details:
      - This module does not modify anything.
  action_group:
    description: Use C(group/planasonix.admin.planasonix) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - planasonix.admin.planasonix
"""
