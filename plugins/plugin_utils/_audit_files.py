# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a report: find the reports to merge, and write all files of a new report.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
from collections.abc import Iterable, Mapping

from ansible_collections.planasonix.admin.plugins.plugin_utils._audit_model import ReportError

FOLDER_MODE = 0o750
FILE_MODE = 0o640


def find_sources(patterns: Iterable[str]) -> list[str]:
    """Return the sorted files that match the patterns, without duplicates.

    A pattern without a match stays, so that reading it is an error.
    """
    paths: set[str] = set()
    for pattern in patterns:
        path = os.path.realpath(pattern)
        matches = list(filter(os.path.isfile, glob.glob(path)))
        paths.update(map(os.path.realpath, matches or [path]))
    return sorted(paths)


def write_files(folder: str, texts: Mapping[str, str]) -> None:
    """Write complete files into a folder, and create the folder if it does not exist.

    An existing folder keeps its mode. No file is replaced before all files are written.

    :param texts: Content by file name, in the order of replacement.
    :raises ReportError: if a file cannot be written.
    """
    drafts: dict[str, str] = {}
    path = folder
    try:
        create_folder(folder)
        for name, text in texts.items():
            path = os.path.join(folder, name)
            drafts[path] = write_draft(folder, name, text)
        for path, draft in drafts.items():
            os.replace(draft, path)
    except OSError as error:
        for draft in drafts.values():
            with contextlib.suppress(OSError):
                os.unlink(draft)
        raise ReportError(
            f"The report {path} cannot be written: {error.strerror}. "
            "Make the folder writable, or set another report_dir."
        ) from None


def create_folder(folder: str) -> None:
    """Create a folder and its missing parents, independent of the umask."""
    if os.path.isdir(folder):
        return
    create_folder(os.path.dirname(os.path.abspath(folder)))
    os.mkdir(folder)
    os.chmod(folder, FOLDER_MODE)


def write_draft(folder: str, name: str, text: str) -> str:
    """Write a temporary file next to the file that it will replace, and return its path."""
    handle, draft = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            os.fchmod(handle, FILE_MODE)
            stream.write(text)
            stream.flush()
            os.fsync(handle)
    except BaseException:
        os.unlink(draft)
        raise
    return draft
