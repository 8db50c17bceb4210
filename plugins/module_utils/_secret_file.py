# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that hold a secret, and the note beside them that tells a later run what an earlier one was about to do.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import typing as t
import uuid

from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    NotStored,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values

DRAFT = ".planasonix-"
"""What the names of unfinished files begin with; the name of the file and eight characters follow."""
RUNS: dict[int, str] = {}
"""Ids of runs, by process."""
LONGEST_NAME = 255
"""Bytes that the name of a file may have on the usual file systems."""


def check_path(path: str) -> None:
    """Refuse a path that means another file from another folder.

    :raises InvalidOption: if it is not absolute, or names a folder.
    """
    if not os.path.isabs(path):
        raise InvalidOption(f"secret_file must be an absolute path, not {path!r}.")
    if path.endswith(os.sep):
        raise InvalidOption(f"secret_file must name a file, not the folder {path!r}.")


def obstacle(path: str) -> str | None:
    """Why no file can be written there, or ``None``. Creates nothing."""
    folder, name = os.path.split(path)
    if os.path.isdir(path):
        return f"{path} is a folder"
    if len(os.fsencode(f"{DRAFT}{os.path.basename(note_path(path))}-")) + 8 > LONGEST_NAME:
        return f"the name {name} is too long for the files that are made beside it"
    if not os.path.isdir(folder):
        return f"the folder {folder} does not exist"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} is not writable"
    return None


def write(path: str, text: str) -> None:
    """Write a file atomically, readable by its owner alone from the first byte.

    :raises OSError: if it cannot be written; what was there before is untouched.
    """
    remove_drafts(path)
    folder, name = os.path.split(path)
    handle, draft = tempfile.mkstemp(prefix=f"{DRAFT}{name}-", dir=folder)  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        discard(draft)
        raise


def discard(draft: str) -> None:
    """Remove an unfinished file; where the folder does not let it go any more, what is in it."""
    try:
        os.unlink(draft)
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(draft, 0)


def remove_drafts(path: str) -> None:
    """Remove what a run that was killed left of a file that it had not finished, as far as the folder lets it."""
    folder, name = os.path.split(path)
    draft = re.compile(re.escape(f"{DRAFT}{name}-") + "[a-z0-9_]{8}")
    with contextlib.suppress(OSError):
        for left in filter(draft.fullmatch, os.listdir(folder)):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, left))


def note_path(path: str) -> str:
    """Where the note beside a secret file lies."""
    return f"{path}.pending"


def read_note(path: str) -> Values | None:
    """The note beside a secret file, or ``None``.

    :raises InvalidOption: if there is one that cannot be understood.
    """
    try:
        with open(note_path(path), encoding="utf-8") as file:
            note: t.Any = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise InvalidOption(
            f"{note_path(path)} cannot be read ({type(error).__name__}): look which API keys exist, then remove it."
        ) from None
    if (
        not isinstance(note, dict)
        or not {"name", "operation", "ids"} <= note.keys()
        or not isinstance(note["ids"], list)
    ):
        raise InvalidOption(
            f"{note_path(path)} is not a note of this collection: move it away, or choose another secret_file."
        )
    return note


def write_note(path: str, note: Values) -> None:
    """Note what is about to be done, and by which run.

    :raises OSError: if it cannot be written.
    """
    write(note_path(path), json.dumps({**note, "run": this_run()}, sort_keys=True) + "\n")


def this_run() -> str:
    """What tells this run from another one. Each has a process of its own, forked from one that may have had an id before."""
    return RUNS.setdefault(os.getpid(), uuid.uuid4().hex)


def is_ours(path: str) -> bool:
    """Whether the note is the one that this run wrote last. Otherwise another run that uses the same file has begun meanwhile."""
    try:
        return (read_note(path) or {}).get("run") == this_run()
    except InvalidOption:
        return False


def remove_note(path: str, found: Values | None) -> None:
    """Remove the note that this run wrote or found, if it is still there.

    :param found: The note that an earlier run left.
    :raises NotStored: if it stays; the next run would take what this one did for unfinished.
    """
    if not is_ours(path) and (found is None or read_note(path) != found):
        return  # there is none, or it is that of a run that began meanwhile
    try:
        os.unlink(note_path(path))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise NotStored(
            f"{note_path(path)} could not be removed ({error.strerror}), although its run is over: remove it by hand, or the next run makes the secret anew."
        ) from None
