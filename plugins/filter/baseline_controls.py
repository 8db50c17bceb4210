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
from ansible_collections.planasonix.admin.plugins.plugin_utils._values import plain


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
        path = os.path.expanduser(str(plain(profile)))
        if "\n" in path or "\0" in path:
            raise AnsibleFilterError(
                "baseline_controls: the input is a text: give the path of a file, or parse the text by from_yaml."
            )
        try:
            state = os.stat(path)
            profile = read_profile(
                os.path.realpath(path), (state.st_ino, state.st_mtime_ns, state.st_size)
            )
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise AnsibleFilterError(
                f"baseline_controls: the profile {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no YAML'}."
            ) from None
    if not isinstance(profile, t.Mapping) or not isinstance(profile.get("controls"), list):
        raise AnsibleFilterError(
            "baseline_controls: the input is no profile, which is a mapping with a list of controls."
        )
    try:
        controls = tailored(
            profile["controls"] if kept else plain(profile["controls"]),
            *(
                plain(overrides or {}),
                plain(extra or []),
                plain(skip or []),
                plain(run_tags or []),
                plain(skip_tags or []),
            ),
        )
    except InvalidOption as error:
        raise AnsibleFilterError(f"baseline_controls: {error.message}") from None
    if as_text:
        return [json.dumps(control) for control in controls]
    return plain(controls) if kept else controls  # what is kept is nobody's to change


@functools.cache
def read_profile(path: str, dummy_state: tuple[int, ...]) -> t.Any:
    """The content of a file, read once by a process and those that it forks. Not by ``from_yaml``, which takes five times as long.

    :param dummy_state: What tells the file from what it was, so that a changed one is read again.
    """
    with open(path, encoding="utf-8") as file:
        return plain(yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"baseline_controls": baseline_controls}
