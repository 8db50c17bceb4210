# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of snapshots: written as a whole or not at all, for their owner alone.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time

from ansible_collections.planasonix.admin.plugins.module_utils._errors import InvalidOption
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._secret_file import (
    NO_HARD_LINKS,
    discard,
    make_draft,
)

try:
    import yaml
except ImportError:  # Ansible needs it on the controller only
    yaml = None  # type: ignore[assignment]

UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON allows in a text, and YAML does not or takes for line breaks."""


def to_text(snapshot: Values) -> str:
    """Return a snapshot as YAML; as JSON, which YAML contains, if there is no PyYAML."""
    if yaml is None:
        text = json.dumps(snapshot, indent=2, ensure_ascii=False)
        return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
    content: str = yaml.safe_dump(
        snapshot, default_flow_style=False, allow_unicode=True, indent=2, sort_keys=False
    )
    return content


def check_path(path: str) -> None:
    """Refuse a path at which no snapshot can be written. Creates nothing.

    :raises InvalidOption: with the reason.
    """
    obstacle = find_obstacle(path)
    if obstacle:
        raise InvalidOption(
            f"The snapshot {path} cannot be written: {obstacle}. Nothing was changed. "
            "Choose another snapshot_file, or correct that."
        )


def find_obstacle(path: str) -> str | None:
    """Return why no file can be made at an absolute path; ``None`` if nothing is known."""
    folder, name = os.path.split(path)
    if not name or "\0" in path:
        return "it is not the path of a file"
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        return "it is not a regular file"
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        return f"{folder} is not a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} is not writable"
    return None


def write_snapshot(path: str, snapshot: Values) -> None:
    """Write a snapshot with mode 0600. An older one stays beside it, with the time in its name.

    :param path: An absolute path.
    :raises InvalidOption: if it cannot be written; what was there before is untouched.
    """
    try:
        make_folder(os.path.dirname(path))
        draft = make_draft(path, to_text(snapshot))
        try:
            keep_older(path)
            os.replace(draft, path)
        except BaseException:
            discard(draft)
            raise
    except OSError as error:
        raise InvalidOption(
            f"The snapshot {path} cannot be written ({error.strerror}). Nothing was changed. "
            "Choose another snapshot_file, or correct that."
        ) from None


def make_folder(folder: str) -> None:
    """Create a folder and those above it for their owner alone. Existing ones keep their mode."""
    if os.path.isdir(folder):
        return
    make_folder(os.path.dirname(folder))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:  # made by another host of the play
        if not os.path.isdir(folder):
            raise


def keep_older(path: str) -> None:
    """Keep the snapshot that is there, under the name that Ansible gives to a backup."""
    if not os.path.lexists(path):
        return
    backup = f"{path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S~')}"
    try:
        os.link(path, backup, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        os.rename(path, backup)
