# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of the files that a run leaves on the controller, and whether they outlast the run.

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
"""What AWX and ansible-runner set. Their project folder is often a copy, deleted after the run."""

UNSAFE = re.compile("^\\.|[%/\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
MAXIMUM = 180
"""Bytes of a name. File systems allow 255, and a backup adds a number and a time."""


def to_file_name(name: str) -> str:
    """Return a file name for a host. Two hosts never get the same, and a plain name stays as it is.

    A character that could lead to another folder, or that controls a terminal, is written as ``%``
    and its number. A long name ends with its digest.
    """
    if not name:
        return "%"
    safe = UNSAFE.sub(encode_character, name)
    if len(safe.encode()) <= MAXIMUM:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    # No character is encoded as %~, so no short name ends like this.
    return f"{safe.encode()[: MAXIMUM - 66].decode('utf-8', 'ignore')}%~{digest}"


def encode_character(found: re.Match[str]) -> str:
    """Return one character as the numbers of its bytes."""
    data = found[0].encode("utf-8", "surrogatepass")
    return "".join(f"%{number:02X}" for number in data)


def find_loss(folder: str, environment: Mapping[str, str], current: str) -> str:
    """Return why a folder may be deleted when the run ends, or an empty text.

    :param folder: As the user gave it.
    :param current: The folder in which the run was started.
    """
    if os.path.isabs(os.path.expanduser(folder)):
        return ""
    for name in JOB_VARIABLES:
        if environment.get(name):
            return f"{name} is set"
    temporary = Path(tempfile.gettempdir()).resolve()
    if Path(current).resolve().is_relative_to(temporary):
        return f"it was started below {temporary}"
    return ""
