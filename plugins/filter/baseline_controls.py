# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import json
import os
import typing as t

import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.plugin_utils._profiles import tailored
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import untag


def baseline_controls(
    profile: t.Any,
    overrides: t.Any = None,
    extra: t.Any = None,
    skip: t.Any = None,
    run_tags: t.Any = None,
    skip_tags: t.Any = None,
    as_text: t.Any = False,
) -> list[t.Any]:
    """The filter; see its documentation."""
    kept = isinstance(profile, str)
    if kept:
        path = os.path.expanduser(str(untag(profile)))
        if "\n" in path or "\0" in path:
            raise AnsibleFilterError(
                "baseline_controls: the input is a text: give the path of a file, or parse the "
                "text by from_yaml."
            )
        try:
            state = os.stat(path)
            profile = read_profile(
                os.path.realpath(path), (state.st_ino, state.st_mtime_ns, state.st_size)
            )
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or "it is no YAML"
            raise AnsibleFilterError(
                f"baseline_controls: the profile {path} cannot be read: {reason}."
            ) from None
    if not isinstance(profile, t.Mapping) or not isinstance(profile.get("controls"), list):
        raise AnsibleFilterError(
            "baseline_controls: the input is no profile, which is a mapping with a list of "
            "controls."
        )
    try:
        controls = tailored(
            profile["controls"] if kept else untag(profile["controls"]),
            *(
                untag(overrides or {}),
                untag(extra or []),
                untag(skip or []),
                untag(run_tags or []),
                untag(skip_tags or []),
            ),
        )
    except InvalidOption as error:
        raise AnsibleFilterError(f"baseline_controls: {error.message}") from None
    if as_text:
        return [json.dumps(control) for control in controls]
    return untag(controls) if kept else controls  # a copy, as the profile is kept


@functools.cache
def read_profile(path: str, dummy_state: tuple[int, ...]) -> t.Any:
    """Read a file, once in a process and those that it forks.

    ``from_yaml`` takes five times as long.

    :param dummy_state: The inode, time and size of the file; a changed file is read again.
    """
    with open(path, encoding="utf-8") as file:
        return untag(yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"baseline_controls": baseline_controls}
