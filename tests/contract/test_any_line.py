# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks that make secrets, stopped at each line on their way: killed, with no room left on the disk, with a folder that takes nothing more, with an exception.

Whatever line it is, no secret is lost, no key is left that nobody knows of, and a second run ends with one key, whose secret is in its file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from module_process import Ended, Job, fill_disk, kill, run_modules
from simulator.identities import identity
from simulator.process import Simulator

WRITING = (
    *("apply_key", "apply", "claim_file", "note_secret_change", "note_revocations"),
    *("create", "create_without_doubles", "send_creation", "undo_creation"),
    *("delete", "delete_made", "regenerate", "send_regeneration", "explain_lost_file"),
    *("withdraw_note", "store", "restore_record", "claim", "write", "write_new", "make_draft"),
    *("forget", "discard"),
)
"""The functions that make a key and store its secret. Between two lines of others nothing happens that lasts."""
OLD = {
    "id": "key_old",
    "name": "Deployment",
    "secret": "plnx_live_of_long_ago",
    "prefix": "plnx_live_",
    "scopes": ["a:read"],
    "created_at": "2026-01-01T00:00:00Z",
}
OPERATIONS: dict[str, dict[str, Any]] = {
    "create": {"scopes": ["a:read"]},
    "recreate": {"scopes": ["a:run"], "on_mismatch": "recreate"},
    "regenerate": {"rotate": True},
}
NOBODY = 65534
ORGANIZATIONS = 200
SAMPLE = 120
"""Lines of a task at which an exception is raised, evenly over all of them."""


def old_secret(number: int) -> str:
    """The secret of the key that an organization has."""
    return f"{OLD['secret']}_{number}"


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Place:
    """An organization and a folder for one task."""

    simulator: Simulator
    number: int
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "key"

    @property
    def slug(self) -> str:
        return identity(self.number).slug

    def keys(self) -> dict[str, str]:
        """The secrets of the keys of that name, by id."""
        return {
            key["id"]: key["secret"]
            for key in self.simulator.state(self.slug)["api_keys"]
            if key["name"] == OLD["name"]
        }

    def left(self) -> str:
        """Keys and files, with names for what is made up: of two places for which it is equal, a run finds the same."""
        keys = self.simulator.state(self.slug)["api_keys"]
        found = [
            (key["id"], key["secret"], key["scopes"]) for key in keys if key["name"] == OLD["name"]
        ]
        files = {
            path.name: (path.stat().st_mode, path.read_text())
            for path in sorted(self.folder.iterdir())
        }
        text = json.dumps([found, files])
        for secret in (old_secret(self.number), identity(self.number).admin_key):
            text = text.replace(secret, "old secret").replace(hash_of(secret), "old hash")
            text = text.replace(hash_of(secret)[:16], "short hash")
        for number, key in enumerate(keys):
            text = text.replace(key["secret"], f"new secret {number}")
            text = text.replace(hash_of(key["secret"]), f"new hash {number}")
            text = text if key["id"] == OLD["id"] else text.replace(key["id"], f"new key {number}")
        return re.sub(r"\b[0-9a-f]{32}\b", "a run", re.sub(r"\b[0-9a-f]{64}\b", "a hash", text))

    def arguments(self, **options: Any) -> dict[str, Any]:
        return {
            "api_url": self.simulator.url,
            "api_key": identity(self.number).admin_key,
            "name": OLD["name"],
            "secret_file": str(self.file),
            **options,
        }


@pytest.fixture(scope="module")
def crowd() -> Iterator[Simulator]:
    with Simulator(ORGANIZATIONS) as simulator:
        yield simulator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that nobody can reach; those of pytest are closed to others."""
    with tempfile.TemporaryDirectory(prefix="planasonix-any-line-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def prepare(simulator: Simulator, number: int, operation: str, folder: Path) -> Place:
    """An organization as the operation needs it; the file holds the secret of the key that exists."""
    folder.mkdir()
    place = Place(simulator, number, folder)
    if operation != "create":
        old = {**OLD, "secret": old_secret(number)}
        simulator.set_state(place.slug, api_keys=[*simulator.state(place.slug)["api_keys"], old])
        place.file.write_text(old["secret"])
        record = {
            "kind": "api_key",
            "api_url": simulator.url,
            "api_key": hash_of(identity(number).admin_key)[:16],
            "sha256": [hash_of(old["secret"])],
            **{name: OLD[name] for name in ("id", "name", "created_at")},
        }
        place.file.with_name("key.owner").write_text(json.dumps(record))
        for path in folder.iterdir():
            path.chmod(0o600)
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    return place


def become_nobody() -> None:
    """Go on without the rights of root, who may write anywhere."""
    if os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)


SPOILS: dict[str, Callable[[Path], Callable[[], None]]] = {
    "killed": lambda dummy_folder: kill,
    "disk full": lambda dummy_folder: fill_disk,
    "folder closed": lambda folder: partial(folder.chmod, 0o500),
}


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_key_is_lost_at_any_line(
    crowd: Simulator, operation: str, spoil: str, folder: Path
) -> None:
    crowd.reset()
    options = OPERATIONS[operation]
    first = prepare(crowd, 1, operation, folder / "first")
    (clean,) = run_modules(
        [Job("api_key", first.arguments(**options), begin=become_nobody, watched=WRITING)]
    )
    assert clean.result and clean.result["changed"] and clean.lines > 30, clean
    places = [
        prepare(crowd, line + 1, operation, folder / f"line{line}")
        for line in range(1, clean.lines + 1)
    ]
    jobs = [
        Job(
            "api_key",
            place.arguments(**options),
            begin=become_nobody,
            spoil=SPOILS[spoil](place.folder),
            line=line,
            watched=WRITING,
        )
        for line, place in enumerate(places, 1)
    ]
    ends = run_modules(jobs)
    problems = [
        f"line {line}, {end.place}: {problem}"
        for line, (place, end) in enumerate(zip(places, ends, strict=True), 1)
        for problem in left_by(place, end, spoil)
    ]

    # The second run asks for the same, but not for one more rotation. Where the same is left, it would do the same.
    again: dict[str, tuple[int, Place]] = {}
    for line, place in enumerate(places, 1):
        place.folder.chmod(0o700)
        again.setdefault(place.left(), (line, place))
    assert len(again) > 1
    ends = run_modules(
        Job("api_key", place.arguments(**{**options, "rotate": False}), begin=become_nobody)
        for _line, place in again.values()
    )
    for (line, place), end in zip(again.values(), ends, strict=True):
        if (
            end.result is None
            or end.result.get("failed")
            or list(place.keys().values()) != [place.file.read_text()]
        ):
            problems.append(f"line {line}, run again: {end}, {place.keys()}")
        # What is left of a note that was never finished holds no secret, and goes with the next one that is written.
        names = sorted(path.name for path in place.folder.iterdir())
        names = [name for name in names if ".pending-" not in name]
        if names != ["key", "key.owner"] or place.file.stat().st_mode & 0o777 != 0o600:
            problems.append(f"line {line}, run again: there are {list(place.folder.iterdir())}")
    assert not problems, "\n".join(problems)


def left_by(place: Place, end: Ended, spoil: str) -> Iterator[str]:
    """What a run that was stopped leaves that it must not leave."""
    keys, note = place.keys(), place.file.with_name("key.pending")
    for path in place.folder.iterdir():
        if path.stat().st_mode & 0o777 != 0o600:
            yield f"{path.name} can be read by others"
    if spoil == "killed":
        if end.status != -9:
            yield f"it was not killed: {end}"
        if (
            set(keys.values()) - {place.file.read_text() if place.file.exists() else None}
            and not note.exists()
        ):
            yield f"there is no note of {keys}"
        return
    if end.result is None:
        yield f"it has no result: {end}"
        return
    message = end.result["msg"]
    if end.result.get("failed") and (
        "Unexpected" in message or "\n" in message or not message.endswith(".")
    ):
        yield f"its message is no clear sentence: {message}"
    # Without a note for the next run, the secret of each key is in the file, in the result, or the one that its owner had before.
    known = {
        place.file.read_text() if place.file.exists() else None,
        end.result.get("secret"),
        old_secret(place.number),
    }
    if set(keys.values()) - known:
        yield f"nobody knows the secret of one of {keys}: {message}"
    if not end.result.get("failed") and list(keys.values()) != [place.file.read_text()]:
        yield f"it succeeds with {keys}"
    finished = ("key", "key.owner", "key.pending")
    # An unfinished note holds no secret.
    drafts = [
        path.name
        for path in place.folder.iterdir()
        if path.name not in finished and ".pending-" not in path.name and path.stat().st_size
    ]
    if drafts:
        yield f"it leaves {drafts}"


SECRETS = {
    "password": "hunter2-not-really",
    "totp_secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "url": "https://hooks.example.com/canary",
    "new": "a-new-long-password",
}
TASKS: list[tuple[str, dict[str, Any]]] = [
    ("api_key", {"name": OLD["name"], "scopes": ["a:read"]}),
    ("api_key", {"name": "Administration", "on_mismatch": "recreate", "scopes": ["a:read"]}),
    ("mfa", {"state": "enabled"}),
    ("password", {"current_password": SECRETS["password"], "new_password": SECRETS["new"]}),
    (
        "notification_channel",
        {"name": "Hook", "type": "webhook", "secret_config": {"url": SECRETS["url"]}},
    ),
    (
        "baseline",
        {
            "controls": [
                {
                    "resource": "notification_channels",
                    "require": {
                        "present": [
                            {
                                "name": "H",
                                "type": "webhook",
                                "secret_config": {"url": SECRETS["url"]},
                            }
                        ]
                    },
                }
            ]
        },
    ),
]


def fail(secrets: list[str]) -> None:
    """Raise what nobody thought of, with all that must not be seen."""
    raise RuntimeError(" ".join(secrets))


@pytest.mark.parametrize(("module", "options"), TASKS, ids=[name for name, _options in TASKS])
def test_an_exception_at_any_line_tells_no_secret(
    crowd: Simulator, module: str, options: dict[str, Any]
) -> None:
    """It is told in a sentence with file and line; a secret that was just made is still in the result, and nowhere in its message."""
    crowd.reset()
    arguments = {"api_url": crowd.url, **options}
    (clean,) = run_modules(
        [Job(module, {**arguments, "api_key": identity(1).admin_key}, watched=("*",))]
    )
    lines = range(1, clean.lines + 1, 1 + clean.lines // SAMPLE)
    jobs = []
    for number, line in enumerate(lines, 2):
        key = identity(number).admin_key
        secrets = [key, *SECRETS.values()]
        jobs.append(
            Job(
                module,
                {**arguments, "api_key": key},
                spoil=partial(fail, secrets),
                line=line,
                watched=("*",),
            )
        )
    problems = []
    for number, (job, end) in enumerate(zip(jobs, run_modules(jobs), strict=True), 2):
        state = crowd.state(identity(number).slug)
        if end.result is None:
            problems.append(f"line {job.line}, {end.place}: {end}")
            continue
        made = [key["secret"] for key in state["api_keys"][1:]] + (
            [state["mfa"]["secret"]] if state["mfa"]["enabled"] else []
        )
        if set(made) - {end.result.get("secret")}:
            problems.append(f"line {job.line}, {end.place}: a new secret is lost: {end.result}")
        text = json.dumps(
            {
                name: value
                for name, value in end.result.items()
                if name not in ("secret", "otpauth_uri", "backup_codes")
            }
        )
        if any(secret in text for secret in [job.arguments["api_key"], *SECRETS.values(), *made]):
            problems.append(f"line {job.line}, {end.place}: {end.result}")
    assert not problems, "\n".join(problems)
