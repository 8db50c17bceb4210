# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.planasonix.admin.plugins.modules.planasonix_baseline import (
    MODULE as DEFINITION,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._action import PlanasonixAction
from ansible_collections.planasonix.admin.plugins.plugin_utils._warmup import (
    read_profiles,
    warm_up,
)


class ActionModule(PlanasonixAction):
    MODULE = DEFINITION


warm_up(read_profiles)
