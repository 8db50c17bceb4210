# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requirements: the controls of a baseline, parsed, and whether all can hold. No I/O.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    SEVERITIES,
    Waiver,
    parse_waivers,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._fields import clean_text
from ansible_collections.planasonix.admin.plugins.module_utils._masks import is_placeholder
from ansible_collections.planasonix.admin.plugins.module_utils._networks import uncovered
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Values,
    scalars,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._policies import POLICIES
from ansible_collections.planasonix.admin.plugins.module_utils._policy import Control
from ansible_collections.planasonix.admin.plugins.module_utils._texts import unescape


def parse_controls(options: Values) -> tuple[Control, ...]:
    """Return the controls that the options give.

    :raises InvalidOption: if one cannot be understood, or two have one id.
    """
    controls: dict[str, Control] = {}
    for declared in options["controls"]:
        control = parse_control(unescape(declared))
        if control.id in controls:
            raise InvalidOption(
                f"Two controls have the id {control.id!r}; give each an id of its own."
            )
        controls[control.id] = control
    return tuple(controls.values())


def parse_control(declared: Values) -> Control:
    """Return one control.

    :raises InvalidOption: if what it requires cannot be understood.
    """
    resource = declared["resource"]
    control_id = resource
    if "id" in declared:
        control_id = clean_text(declared["id"], "controls: an id")
    where = f"The control {control_id!r}"
    if "require" not in declared:
        raise InvalidOption(f"{where} lacks require.")
    policy = POLICIES[resource]
    shown = {
        "id": control_id,
        "title": control_id,
        "severity": SEVERITIES[1],
        **without(declared, "id"),
        "require": policy.censor(declared["require"]),
    }
    require, bounds = policy.parse(declared["require"], where)
    return Control(control_id, resource, shown, require, bounds)


def drop_waived(
    controls: Iterable[Control], waivers: Mapping[str, Waiver], today: datetime.date
) -> list[Control]:
    """Return the controls without an active waiver."""
    return [
        control
        for control in controls
        if control.id not in waivers or not waivers[control.id].is_active(today)
    ]


def check_baseline(options: Values) -> None:
    """Refuse controls that cannot be understood or cannot all hold, before anything is read.

    :raises InvalidOption: with the reason.
    """
    uncovered(options.get("protected_addresses", []), [])
    controls = parse_controls(options)
    waivers = parse_waivers(options.get("waivers", []), [control.id for control in controls])
    # A control with an active waiver does not have to hold.
    active = drop_waived(controls, waivers, datetime.datetime.now(datetime.timezone.utc).date())
    for name, policy in POLICIES.items():
        policy.check([control for control in active if control.resource == name])


def find_secrets(arguments: t.Any) -> set[str]:
    """Return the secrets in arguments, however wrong these are, for Ansible to censor.

    They are all texts in a ``secret_config``. A list or mapping may be given as JSON.
    """
    found: set[str] = set()
    if isinstance(arguments, Mapping):
        for key, value in arguments.items():
            if key == "secret_config":
                texts = scalars([value, unescape(value)])
                found |= {text for text in texts if not is_placeholder(text)}
            else:
                found |= find_secrets(value)
    elif isinstance(arguments, (list, tuple)):
        found = found.union(*map(find_secrets, arguments))
    elif isinstance(arguments, str) and "secret_config" in arguments:
        with contextlib.suppress(ValueError):
            found = find_secrets(json.loads(arguments))
    return found
