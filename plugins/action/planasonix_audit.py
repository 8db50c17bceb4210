# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._fields import check_filled
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import ReportError
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_run import (
    OPTIONS,
    REGISTERED,
    RULES,
    Play,
    write_report,
)
from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_values import clean
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag


class ActionModule(ActionBase):
    """Writes the report of an audit on the controller, without a connection."""

    _requires_connection = False
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        """Run the task, also in check mode, because a report changes nothing that is managed."""
        variables = task_vars or {}
        super().run(tmp, variables)
        validator = ArgumentSpecValidator(OPTIONS, **RULES)
        validation = validator.validate(untag(self._task.args))
        if validation.error_messages:
            return make_failure(validation.errors.msg)
        options = validation.validated_parameters
        try:
            check_filled(options, "report_dir", "previous")
            result = write_report(options, find_play(variables), self._read_file)
        except (AnsibleError, InvalidOption, ReportError) as error:
            return make_failure(str(error))
        # Displays the verdict also if the fleet complies.
        has_verdict = result["msg"] == result["verdict"]["msg"]
        return {**wrap_var(result), "_ansible_verbose_always": has_verdict}

    def _read_file(self, path: str) -> bytes:
        """Return the content of a file, decrypted."""
        if not os.path.isfile(path):
            return Path(path).read_bytes()
        return Path(self._loader.get_real_file(path)).read_bytes()


def make_failure(message: str) -> dict[str, t.Any]:
    """Return the result of a task that failed."""
    return {"failed": True, "changed": False, "msg": wrap_var(clean(message))}


def find_play(variables: Mapping[str, t.Any]) -> Play:
    """Return the play of a task."""
    hosts, batch = variables["ansible_play_hosts_all"], variables["ansible_play_batch"]
    remaining = variables["ansible_play_hosts"]
    return Play(
        lambda: {host: variables["hostvars"].raw_get(host).get(REGISTERED) for host in hosts},
        is_only_batch=len(batch) == len(hosts),
        is_last_batch=not remaining or remaining[-1] in batch,
    )
