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

from ansible_collections.planasonix.admin.plugins.plugin_utils._filters import filter_errors
from ansible_collections.planasonix.admin.plugins.plugin_utils._profiles import (
    controls_from_profile,
)
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
    """Return the controls of a profile, tailored to an organization."""
    is_cached = isinstance(profile, str)
    if is_cached:
        profile = find_profile(os.path.expanduser(str(untag(profile))))
    if not isinstance(profile, t.Mapping) or not isinstance(profile.get("controls"), list):
        raise AnsibleFilterError(
            "baseline_controls: the input is not a profile; expected a mapping with a list of "
            "controls."
        )
    with filter_errors("baseline_controls: "):
        controls = controls_from_profile(
            profile["controls"] if is_cached else untag(profile["controls"]),
            untag(overrides or {}),
            untag(extra or []),
            untag(skip or []),
            untag(run_tags or []),
            untag(skip_tags or []),
        )
    if as_text:
        return [json.dumps(control) for control in controls]
    return untag(controls) if is_cached else controls  # a copy, because the cache is shared


def find_profile(path: str) -> t.Any:
    """Return the content of a profile, from the cache if the file has not changed.

    :raises AnsibleFilterError: if it cannot be read.
    """
    if "\n" in path or "\0" in path:
        raise AnsibleFilterError(
            "baseline_controls: the input is a text: give the path of a file, or parse the text by "
            "from_yaml."
        )
    try:
        state = os.stat(path)
        return read_profile(
            os.path.realpath(path), (state.st_ino, state.st_mtime_ns, state.st_size)
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not YAML"
        raise AnsibleFilterError(
            f"baseline_controls: the profile {path} cannot be read: {reason}."
        ) from None


@functools.cache
def read_profile(path: str, dummy_state: tuple[int, ...]) -> t.Any:
    """Return a YAML file, from the cache of the process and its forks if it has not changed.

    ``from_yaml`` would take five times as long.

    :param dummy_state: State of the file, so that a changed file is read again.
    """
    with open(path, encoding="utf-8") as file:
        return untag(yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"baseline_controls": baseline_controls}
