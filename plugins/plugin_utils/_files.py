# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of files on the controller, and detection of folders that a run may delete.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

JOB_VARIABLES = ("AWX_PRIVATE_DATA_DIR", "AWX_ISOLATED_DATA_DIR")
"""Set by AWX and ansible-runner, whose project folder is often deleted after the run."""

UNSAFE = re.compile("^\\.|[%/\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
MAXIMUM = 180
"""Bytes of a name, because file systems allow 255 and a backup adds a number and a time."""


def to_file_name(name: str) -> str:
    """Return a unique file name for a host; a plain name does not change.

    Characters of paths and control characters become ``%`` and a number. A long name ends with its
    digest.
    """
    if not name:
        return "%"
    safe = UNSAFE.sub(encode_character, name)
    if len(safe.encode()) <= MAXIMUM:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    # %~ keeps it distinct from short names, because no character is encoded like this.
    return f"{safe.encode()[: MAXIMUM - 66].decode('utf-8', 'ignore')}%~{digest}"


def encode_character(match: re.Match[str]) -> str:
    """Return a character as the numbers of its bytes."""
    data = match[0].encode("utf-8", "surrogatepass")
    return "".join(f"%{number:02X}" for number in data)


def find_loss(folder: str, variable: str, environment: Mapping[str, str], current: str) -> str:
    """Return why a folder may be deleted when the run ends, and what to do, or an empty text.

    :param folder: Value of the variable.
    :param variable: Name of the variable, for the message.
    :param current: Folder in which the run was started.
    """
    temporary = os.path.realpath(tempfile.gettempdir())
    copies = {
        name: os.path.realpath(environment[name]) for name in JOB_VARIABLES if environment.get(name)
    }
    reasons = [f"{name} is set" for name in copies]
    if is_below(current, temporary):
        copies["the folder of the run"] = os.path.realpath(current)
        reasons.append(f"it was started below {temporary}")
    path = os.path.expanduser(folder)
    if reasons and not os.path.isabs(path):
        return (
            f"The folder {folder} may be deleted when this run ends: it is relative, and the run "
            f"may use a temporary copy of the project ({reasons[0]}). "
            f"Set {variable} to an absolute folder."
        )
    for name, root in copies.items():
        if is_below(path, root):
            return (
                f"The folder {folder} may be deleted when this run ends: it is below {root} "
                f"({name}). Set {variable} to a folder outside of {root}."
            )
    return ""


def is_below(path: str, root: str) -> bool:
    """Return whether a path is a folder or below it, with links resolved."""
    return Path(path).resolve().is_relative_to(root)
