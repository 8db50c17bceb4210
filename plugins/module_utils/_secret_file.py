# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files with a secret, and the two small files next to each of them.

``<secret_file>.pending`` is a note: it says to a later run what an unfinished one was about to do,
and keeps two runs from writing the same file at once. ``<secret_file>.owner`` is a record: it says
whose secret the file contains, so that no other task replaces it.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import tempfile
import typing as t
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    InvalidOption,
    NotStored,
)
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values

DRAFT = ".planasonix-"
"""The beginning of the names of unfinished files, before the file's name and 8 characters."""
RUNS: dict[int, str] = {}
"""Ids of runs, by process."""
LONGEST_NAME = 255
"""Bytes that the name of a file may have on the usual file systems."""
NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""Errors of file systems that have no hard links."""
LONGEST_FILE = 1024 * 1024
"""Bytes of a file that are read at most. None of this collection is longer."""


class NotOurs(OSError):
    """A file that is no regular file, or belongs to another user."""


@dataclass(frozen=True)
class Found:
    """A secret file and the files next to it, as they were read.

    :param obstacle: Why no secret can be written there.
    :param digest: The hash of the content; ``None`` if there is no file, or an empty one.
    :param record: The content of the ``.owner`` file.
    :param note: The note of an unfinished run. ``None`` if the task has no secret file.
    :param text: The content, to compare it with the prefixes of keys.
    """

    obstacle: str | None = None
    digest: str | None = None
    record: Values | None = None
    note: PendingNote | None = None
    text: str = field(default="", repr=False)

    @property
    def unfinished(self) -> Values | None:
        """The content of the note of an unfinished run."""
        return self.note.content if self.note else None


def check_path(path: str) -> None:
    """Refuse a path that means another file from another folder.

    :raises InvalidOption: if it is not absolute, or names a folder.
    """
    if not os.path.isabs(path):
        raise InvalidOption(f"secret_file must be an absolute path, not {path!r}.")
    if "\0" in path:
        raise InvalidOption("secret_file must not contain a NUL character.")
    if path.endswith(os.sep):
        raise InvalidOption(f"secret_file must name a file, not the folder {path!r}.")


def look(path: str | None) -> Found:
    """Read what is at a path and next to it. Creates nothing.

    :param path: ``None`` if the task has no secret file.
    :raises InvalidOption: if there is a note that cannot be understood.
    """
    if path is None:
        return Found()
    note = PendingNote.find(path)
    obstacle = find_obstacle(path)
    content = record = None
    if obstacle is None:
        one = path
        try:
            content = read_private(one)
            one = owner_path(path)
            record = read_private(one)
        except NotOurs as error:
            obstacle = f"{one} {error.strerror}"
        except OSError as error:
            obstacle = f"{one} cannot be read ({error.strerror})"
        obstacle = obstacle or find_intruder(os.path.dirname(path))
    content = content or b""
    text = content.decode(errors="replace").strip()
    return Found(obstacle, hash_content(content), parse_record(record), note, text)


def find_obstacle(path: str) -> str | None:
    """Return why no file can be made there, or ``None``. Creates nothing."""
    folder, name = os.path.split(path)
    if os.path.isdir(path) and not os.path.islink(path):
        return f"{path} is a folder"
    if len(os.fsencode(f"{DRAFT}{os.path.basename(PendingNote(path).path)}-")) + 8 > LONGEST_NAME:
        return f"the name {name} is too long for the files that are made beside it"
    if not os.path.isdir(folder):
        return f"the folder {folder} does not exist"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} is not writable"
    return None


def find_intruder(folder: str) -> str | None:
    """Return why other users can change what is in a folder; ``None`` if they cannot.

    They could bring back the note of an earlier run, which would make this one delete living keys.
    Those who can replace a folder above it could do so as well. The group may have access, as by
    the usual umask of some systems.
    """
    written, real = Path(folder), Path(os.path.realpath(folder))
    for path in (written, *written.parents, real, *real.parents):
        found = os.lstat(path)
        if found.st_uid not in (0, os.geteuid()):
            return f"the folder {path} belongs to another user"
        is_open = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
        if is_open and not stat.S_ISLNK(found.st_mode):
            return f"every user can write to the folder {path}"
    return None


def read_private(path: str) -> bytes | None:
    """Read a regular file of this user, without following a link or waiting for a pipe.

    :returns: ``None`` if there is no file.
    :raises NotOurs: if it is anything else.
    :raises OSError: if it cannot be read.
    """
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(found.st_mode):
        raise NotOurs(0, "is a symbolic link")
    if not stat.S_ISREG(found.st_mode):
        raise NotOurs(0, "is no regular file")
    if found.st_uid != os.geteuid():
        raise NotOurs(0, "belongs to another user")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        opened = os.fstat(handle)
        if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino):
            raise NotOurs(0, "was replaced while it was read")
        return file.read(LONGEST_FILE)


def hash_content(content: bytes) -> str | None:
    """Return the hash of a content, blanks and line breaks around it apart; ``None`` if empty."""
    text = content.strip()
    return hashlib.sha256(text).hexdigest() if text else None


def owner_path(path: str) -> str:
    """Return the path of the record that says whose secret a file contains."""
    return f"{path}.owner"


def parse_record(content: bytes | None) -> Values | None:
    """Return the record that says whose secret a file contains; ``None`` if there is no such."""
    try:
        record: t.Any = json.loads(content or b"null")
    except ValueError:
        return None
    complete = isinstance(record, dict) and isinstance(record.get("sha256"), list)
    return record if complete else None


UNKNOWN_CONTENT = "something of which this module has no record (early versions wrote none)"


def find_record(found: Found) -> Values | None:
    """Return the record of a secret file, if it is about the content that the file now has."""
    if found.record is None or found.digest not in found.record["sha256"]:
        return None
    return found.record


def describe_record(record: Values) -> str:
    """Return whose secret a file contains, for messages."""
    if record.get("kind") != "api_key":
        return "the MFA secret of a user"
    return f"the secret of the API key {record.get('name')!r} ({record.get('id')})"


def identify(client: Client) -> Values:
    """Return what identifies the organization and user of a task, without a request."""
    key = hashlib.sha256(client.connection.key.encode()).hexdigest()[:16]
    return {"api_url": client.base, "api_key": key}


def store(path: str, text: str, owner: Values, found: Found) -> None:
    """Write a secret, and before it the record that says whose it is.

    :param owner: What the record says.
    :param found: What was there before.
    :raises OSError: if it cannot be written; what was there before is untouched.
    """
    # The record covers the old content, too: the run may be killed between the two writes.
    hashes = list(dict.fromkeys(filter(None, (hash_content(text.encode()), found.digest))))
    write(owner_path(path), json.dumps({**owner, "sha256": hashes}, sort_keys=True) + "\n")
    try:
        write(path, text)
    except OSError:
        restore_record(path, found.record)
        raise


def restore_record(path: str, record: Values | None) -> None:
    """Put the former record back, as far as that is possible."""
    with contextlib.suppress(OSError):
        if record is None:
            os.unlink(owner_path(path))
        else:
            write(owner_path(path), json.dumps(record, sort_keys=True) + "\n")


def write(path: str, text: str) -> None:
    """Write a file atomically, readable by its owner alone from the first byte.

    A former file of this user keeps its group and mode, unless everyone has access to it.

    :raises OSError: if it cannot be written; what was there before is untouched.
    """
    draft = make_draft(path, text)
    try:
        keep_access(draft, path)
        os.replace(draft, path)
    except BaseException:
        discard(draft)
        raise


def keep_access(draft: str, path: str) -> None:
    """Give an unfinished file the group and mode of the one that it is to replace.

    Where the group cannot be given, only the owner has access. The same goes for a file that
    another user may have put there, by creating it or by another name of it.
    """
    with contextlib.suppress(OSError):
        former = os.lstat(path)
        is_own = (former.st_uid, former.st_nlink) == (os.geteuid(), 1)
        if is_own and stat.S_ISREG(former.st_mode) and not former.st_mode & stat.S_IRWXO:
            os.chown(draft, -1, former.st_gid)
            os.chmod(draft, stat.S_IMODE(former.st_mode) & 0o770 | 0o600)


def write_new(path: str, text: str) -> None:
    """Write a file as :func:`write`, unless there is one.

    :raises FileExistsError: if there is one.
    :raises OSError: if it cannot be written.
    """
    draft = make_draft(path, text)
    try:
        try:
            os.link(draft, path)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            os.replace(draft, path)
            return
    except BaseException:
        discard(draft)
        raise
    with contextlib.suppress(OSError):
        os.unlink(draft)


def make_draft(path: str, text: str) -> str:
    """Write an unfinished file next to a path; returns its path.

    :raises OSError: if it cannot be written; nothing is left then.
    """
    remove_drafts(path)
    folder, name = os.path.split(path)
    handle, draft = tempfile.mkstemp(prefix=f"{DRAFT}{name}-", dir=folder)  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        discard(draft)
        raise
    return draft


def discard(draft: str) -> None:
    """Remove an unfinished file; where the folder does not let it go any more, what is in it."""
    try:
        os.unlink(draft)
    except FileNotFoundError:
        pass
    except OSError:
        with contextlib.suppress(OSError):
            os.truncate(draft, 0)


def remove_drafts(path: str) -> None:
    """Remove unfinished files that a killed run left, as far as the folder allows it."""
    folder, name = os.path.split(path)
    draft = re.compile(re.escape(f"{DRAFT}{name}-") + "[a-z0-9_]{8}")
    with contextlib.suppress(OSError):
        for left in filter(draft.fullmatch, os.listdir(folder)):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, left))


@dataclass(frozen=True)
class PendingNote:
    """The note next to a secret file. In it, a run says what it is about to do.

    :param secret_file: Path of the secret file.
    :param raw: The note as it was found; ``None`` if there was none, and empty if its run was
        killed before it did anything.
    :param content: The same, parsed.
    """

    secret_file: str
    raw: bytes | None = None
    content: Values | None = None

    @property
    def path(self) -> str:
        """The path of the note."""
        return f"{self.secret_file}.pending"

    @classmethod
    def find(cls, secret_file: str) -> PendingNote:
        """Read the note next to a secret file.

        :raises InvalidOption: if there is one that cannot be understood.
        """
        note = cls(secret_file)
        try:
            raw = read_private(note.path)
        except NotOurs as error:
            raise InvalidOption(
                f"{note.path} {error.strerror}, so it is no note of this task: remove it, "
                "or choose another secret_file."
            ) from None
        except OSError as error:
            raise note.make_read_error(error) from None
        return cls(secret_file, raw, note.parse(raw) if raw else None)

    def parse(self, raw: bytes) -> Values:
        """Parse the bytes of a note.

        :raises InvalidOption: if they are none.
        """
        try:
            content: t.Any = json.loads(raw)
        except ValueError as error:
            raise self.make_read_error(error) from None
        if (
            not isinstance(content, dict)
            or not {"name", "operation", "ids"} <= content.keys()
            or not isinstance(content["ids"], list)
            or not isinstance(content.get("revoke", []), list)
        ):
            raise InvalidOption(
                f"{self.path} is not a note of this collection: move it away, or choose another "
                "secret_file."
            )
        return content

    def make_read_error(self, error: Exception) -> InvalidOption:
        """Return the failure of a task whose note cannot be read."""
        return InvalidOption(
            f"{self.path} cannot be read ({type(error).__name__}): "
            "look which API keys exist, then remove it."
        )

    def check(self, name: str | None, own_identity: Values) -> None:
        """Refuse the note of another task.

        :param name: The name of the API key, or ``None`` for MFA.
        :param own_identity: What :func:`identify` returns for this task.
        :raises InvalidOption: if it is about another object, or another organization or user.
        """
        if self.content is None:
            return
        if self.content["name"] != name:
            if self.content["name"] is None:
                raise InvalidOption(
                    f"{self.path} belongs to an enrollment in MFA: run that task first, "
                    "or give each task a file of its own."
                )
            raise InvalidOption(
                f"{self.path} belongs to the API key {self.content['name']!r}: "
                "run the task of that key first, or give each key a file of its own."
            )
        if not own_identity.items() <= self.content.items():
            raise InvalidOption(
                f"Another run has claimed {self.secret_file}, with another api_key or api_url. "
                "Give each organization a file of its own. If that run was killed, run its task "
                f"again; {self.path} is its note."
            )

    def write(self, content: Values) -> None:
        """Note what is about to be done, and by which run.

        :raises OSError: if it cannot be written.
        """
        write(self.path, serialize_note(content))

    def claim(self, content: Values, found: Found) -> None:
        """Write the note, unless another run has used the secret file since it was read.

        :param found: The secret file as it was read.
        :raises NotStored: if there is such a run.
        :raises OSError: if the note cannot be written.
        """
        busy = NotStored(
            f"Another run is writing a secret to {self.secret_file}, or did so just now; this one "
            "changed nothing. Give each key of each organization a file of its own, and run again."
        )
        if self.raw is None:
            try:
                write_new(self.path, serialize_note(content))
            except FileExistsError:
                raise busy from None
        elif PendingNote.find(self.secret_file).raw != self.raw:
            raise busy
        else:
            self.write(content)
        now = look(self.secret_file)
        if (now.digest, now.record) != (found.digest, found.record):
            self.forget()
            raise busy

    def is_ours(self) -> bool:
        """Return whether the note is the one that this run wrote last.

        Otherwise another run that uses the same file has begun meanwhile.
        """
        try:
            content = PendingNote.find(self.secret_file).content
        except InvalidOption:
            return False
        return content is not None and content.get("run") == this_run()

    def forget(self) -> None:
        """Remove the note that this run wrote or found, if it is still there.

        :raises NotStored: if it stays; the next run would take what this one did for unfinished.
        """
        found = self.content
        if not self.is_ours() and (
            found is None or PendingNote.find(self.secret_file).content != found
        ):
            return  # there is none, or it is that of a run that began meanwhile
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise NotStored(
                f"{self.path} could not be removed ({error.strerror}), although its run is over: "
                "remove it by hand, or the next run makes the secret anew."
            ) from None


def serialize_note(note: Values) -> str:
    """Return the text of a note that says which run wrote it."""
    return json.dumps({**note, "run": this_run()}, sort_keys=True) + "\n"


def this_run() -> str:
    """Return the id of this run.

    Each run has a process of its own, forked from one that may have had an id before.
    """
    return RUNS.setdefault(os.getpid(), uuid.uuid4().hex)
