# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secret files as earlier runs left them, and the two files next to each."""

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

from unit.plugins.fake_api import BASE, KEY, FakeApi

IDENTITY = {"api_url": BASE, "api_key": hashlib.sha256(KEY.encode()).hexdigest()[:16]}
"""What a note and a record say of the organization."""


def note_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.pending")


def owner_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.owner")


def write_note(file: Path, **note: t.Any) -> None:
    """Leave the note of an interrupted run."""
    note = {"name": "Deploy", "operation": "create", "ids": [], **IDENTITY, **note}
    note_of(file).write_text(json.dumps(note))


def keep_secret(file: Path, text: str, **record: t.Any) -> None:
    """Write a secret file with its record."""
    file.write_text(text)
    hashes = [hashlib.sha256(text.encode()).hexdigest()]
    record = {"kind": "api_key", "name": "Deploy", **IDENTITY, "sha256": hashes, **record}
    owner_of(file).write_text(json.dumps(record))


def keep_key(api: FakeApi, file: Path, key_id: str) -> None:
    """Write the secret of a key to a file, as the run that made the key did."""
    key = next(key for key in api.keys if key["id"] == key_id)
    keep_secret(
        file,
        api.secrets[key_id],
        id=key_id,
        name=key["name"],
        created_at=key["created_at"],
    )
