# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules against legal variants of the API: nothing is lost, doubled, shown or claimed.

Each row of `variants.py` is an organization of one fleet, so that a single playbook meets all of
them: a dozen, or, with `all` in the variable `CONTRACT_VARIANTS`, every row. It can also name
rows, separated by commas.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from simulator.variants import KINDS, REGISTRY
from variant_runs import BEATS, FORKS, PACKED_FORKS, Beat, Played, play_rows
from variants import (
    DELETE_KEY,
    DOZEN,
    FACTS,
    ISSUE,
    PACKED,
    ROWS,
    SECRETS,
    SLOWEST,
    TASKS,
    Outcome,
    Row,
    State,
    keep,
)
from watched import MINTED

CHOICE = os.environ.get("CONTRACT_VARIANTS", "")
NAMES = (
    {row.name for row in ROWS} if CHOICE == "all" else set(CHOICE.split(",") if CHOICE else DOZEN)
)
CHOSEN = [row for row in ROWS if row.name in NAMES]


def choose_packed(row: Row) -> tuple[str, ...]:
    """Return the tasks of a row that also run packed: of every row the one that says most."""
    if not CHOICE:
        return PACKED.get(row.name, ())
    if row.stored is not keep:
        return row.tasks
    telling = [name for name in (*row.outcomes, *row.tasks) if name in set(row.tasks) - {"info"}]
    return tuple(telling[:1]) or row.tasks


WORKER = [(row, "worker", row.tasks if CHOICE else DOZEN[row.name]) for row in CHOSEN]
MODULE = [(row, "module", choose_packed(row)) for row in CHOSEN if choose_packed(row)]
PLAYS = WORKER + MODULE
DONE = Outcome("done", "")
NAMED_LISTS = ("api_keys", "channels", "rules")
STATUSES = {
    "SSO": ("fixed",),
    "LOGS": ("fixed",),
    "SCOPES": ("fail",),
    "HOOK": ("fail", "error"),
}
"""Statuses of the controls of the baseline, unless a row says otherwise."""

ASSIGNED = ("created_at", "updated_at", "last_used_at", "secret", "prefix")
SERVER_FILTERS = ("window_minutes", "severity", "pipeline_ids")
"""Keys of filters that variants add to those that were sent."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Played]:
    """What the tasks of each row did, by the name of the row and the way of running."""
    done = [
        *play_rows(WORKER, tmp_path_factory.mktemp("worker"), FORKS),
        *play_rows(MODULE, tmp_path_factory.mktemp("module"), PACKED_FORKS, PACKED_FORKS),
    ]
    names = [(row.name, way) for row, way, _tasks in PLAYS]
    return dict(zip(names, done, strict=True))


@pytest.fixture(params=[(row.name, way) for row, way, _tasks in PLAYS], ids="-".join)
def play(request: pytest.FixtureRequest, played: dict[tuple[str, str], Played]) -> Played:
    """What the tasks of one row did."""
    return played[request.param]


def find_outcome(row: Row, task: str) -> Outcome:
    return row.outcomes.get(task, DONE)


def test_tasks(play: Played) -> None:
    """Each task does what it is asked for and says so, or refuses and says why."""
    problems = [
        problem
        for name in play.tasks
        for problem in check_task(
            play.row, name, {beat: play.beats.get((name, beat)) for beat in BEATS}
        )
    ]
    assert not problems, "\n" + "\n".join(problems)


def check_task(row: Row, name: str, beats: dict[str, Beat | None]) -> Iterator[str]:
    """Yield what is wrong with the results of one task."""
    found = {beat: one for beat, one in beats.items() if one is not None}
    for beat in BEATS:
        if beat not in found:
            yield f"{name} {beat}: no result"
            return
    for beat, one in found.items():
        text = json.dumps(one.result)
        if "Traceback" in text or "please report it" in one.message:
            yield f"{name} {beat}: internal error: {one.message}"
        if one.seconds > SLOWEST:
            yield f"{name} {beat}: took {one.seconds:.0f} s: {one.message}"
    if found["check"].writes:
        yield f"{name} check: wrote {found['check'].writes}"
    outcome = find_outcome(row, name)
    if outcome.kind == "either":
        outcome = Outcome("undone", outcome.phrase) if found["run"].failed else DONE
    checks = {
        "done": check_done,
        "refused": check_refused,
        "undone": check_failed,
        "kept": check_failed,
        "first": check_first,
    }
    yield from checks[outcome.kind](row, name, found, outcome.phrase)


def check_done(row: Row, name: str, beats: dict[str, Beat], dummy_phrase: str) -> Iterator[str]:
    """Yield how far a task is from predicted, done, and idempotent."""
    task = TASKS[name]
    failed = [beat for beat in BEATS if beats[beat].failed]
    for beat in failed:
        yield f"{name} {beat}: failed: {beats[beat].message}"
    if failed:
        return
    changes = task.changes, task.changes, task.repeats
    for beat, expected in zip(BEATS, changes, strict=True):
        if beats[beat].changed != expected:
            yield f"{name} {beat}: changed is {beats[beat].changed}: {beats[beat].message}"
    if task.module != "baseline" and beats["check"].message != beats["run"].message:
        yield f"{name}: predicted {beats['check'].message!r}, said {beats['run'].message!r}"
    if beats["again"].writes and not task.repeats:
        yield f"{name} again: wrote {beats['again'].writes}"
    yield from check_writes(row, name, beats["run"].writes)
    if task.module == "baseline":
        yield from check_statuses(row, beats["run"])
    if task.module == "info":
        yield from check_facts(beats["run"], may_lack=name in row.outcomes)


def check_writes(row: Row, name: str, writes: list[str]) -> Iterator[str]:
    """Yield the writes of a run that are too many, or other ones."""
    wanted = list(TASKS[name].writes)
    if row.resends:
        patterns = [*wanted, DELETE_KEY]
        odd = [one for one in writes if not any(fnmatchcase(one, known) for known in patterns)]
        if odd:
            yield f"{name} run: wrote {odd}"
        return
    matches = len(writes) == len(wanted) and all(
        fnmatchcase(*pair) for pair in zip(writes, wanted, strict=True)
    )
    if not matches:
        yield f"{name} run: wrote {writes}, expected {wanted}"


def check_statuses(row: Row, run: Beat) -> Iterator[str]:
    """Yield the controls whose status is not right."""
    right = {**STATUSES, **row.statuses}
    for control in run.result.get("controls", []):
        if control["status"] not in right[control["id"]]:
            yield (
                f"baseline: {control['id']} is {control['status']}, expected "
                f"{' or '.join(right[control['id']])}: {control.get('detail')}"
            )


def check_facts(run: Beat, may_lack: bool) -> Iterator[str]:
    """Yield the lists of facts that are cut."""
    facts = run.result["planasonix"]
    unavailable = run.result["unavailable"]
    for subset, count in FACTS.items():
        if subset in unavailable:
            if not may_lack:
                yield f"info: {subset} is unavailable: {unavailable[subset]['msg']}"
            continue
        found = facts[subset]["entries"] if subset == "ip_whitelist" else facts[subset]
        if len(found) != count:
            yield f"info: {subset} has {len(found)} of {count} objects"


def check_failed(dummy_row: Row, name: str, beats: dict[str, Beat], phrase: str) -> Iterator[str]:
    """Yield how a run does not fail with the phrase."""
    run = beats["run"]
    if not run.failed:
        yield f"{name} run: did not fail: {run.message}"
    elif phrase.lower() not in run.message.lower():
        yield f"{name} run: {phrase!r} is not in {run.message!r}"


def check_refused(row: Row, name: str, beats: dict[str, Beat], phrase: str) -> Iterator[str]:
    """Yield how a task does not fail with the phrase before it writes, in check mode too."""
    for beat, one in beats.items():
        if not one.failed:
            yield f"{name} {beat}: did not fail: {one.message}"
        elif phrase.lower() not in one.message.lower():
            yield f"{name} {beat}: {phrase!r} is not in {one.message!r}"
        if one.writes:
            yield f"{name} {beat}: wrote {one.writes}"


def check_first(row: Row, name: str, beats: dict[str, Beat], phrase: str) -> Iterator[str]:
    """Yield how a task does not fail at once, and succeed later."""
    check, run, again = (beats[beat] for beat in BEATS)
    if not check.failed or phrase not in check.message:
        yield f"{name} check: did not fail with {phrase!r}: {check.message}"
    if check.seconds > 5:
        yield f"{name} check: waited {check.seconds:.0f} s"
    if run.failed or not run.changed:
        yield f"{name} run: {run.message}"
    if again.failed or again.changed:
        yield f"{name} again: {again.message}"


def test_state(play: Played) -> None:
    """The API has what the tasks asked for, and all else is as before."""
    found = simplify(play.after, play.before)
    names = {"api_keys": "name", "channels": "name", "rules": "name"}
    for section, field in names.items():
        listed = [one[field] for one in found[section]]
        doubled = {name for name in listed if listed.count(name) > 1} - {"Retired automation"}
        assert not doubled, f"{section}: {doubled}"
    differences = [
        compare(expected, found, play.row.free) for expected in list_expected_states(play)
    ]
    closest: list[str] = min(differences, key=len)
    assert not closest, "\n" + "\n".join(closest)


def list_expected_states(play: Played) -> Iterator[State]:
    """Yield the states that are right: of a task that failed, only the outcome may be open."""
    certain: list[str] = []
    open_tasks: list[str] = []
    for name in play.tasks:
        outcome = find_outcome(play.row, name)
        run = play.beats.get((name, "run"))
        if outcome.kind in ("done", "kept", "first"):
            certain.append(name)
        elif outcome.kind == "either" and run is not None:
            (open_tasks if run.failed else certain).append(name)
    for chosen in itertools.product((False, True), repeat=len(open_tasks)):
        names = {*certain, *itertools.compress(open_tasks, chosen)}
        yield make_expected(play, [name for name in play.tasks if name in names])


def make_expected(play: Played, names: list[str]) -> State:
    """Return the state after some of the tasks."""
    state = copy.deepcopy(play.before)
    for name in names:
        TASKS[name].change(state)
    if "baseline" in names and ("baseline", "run") in play.beats:
        controls = play.beats["baseline", "run"].result.get("controls", [])
        fixed = {control["id"] for control in controls if control["status"] == "fixed"}
        if "SSO" in fixed:
            state["settings"]["require_sso"] = True
        if "LOGS" in fixed:
            state["log_retention"]["audit_logs_days"] = 400
    # The object that the server normalizes may not have been made.
    with contextlib.suppress(StopIteration):
        play.row.stored(state)
    return simplify(state, play.before)


def simplify(state: State, before: State) -> State:
    """Return a state without what only the server assigns, its lists in one order."""
    known = {one["id"] for section in NAMED_LISTS for one in before[section]}
    known |= {entry["id"] for entry in before["ip_whitelist"]["entries"]}
    simple: State = {}
    for section, value in copy.deepcopy(state).items():
        if section in NAMED_LISTS:
            objects = [simplify_object(one, known) for one in value]
            simple[section] = sorted(objects, key=lambda one: json.dumps(one, sort_keys=True))
        elif section == "ip_whitelist":
            entries = [(entry["cidr"], entry["label"]) for entry in value["entries"]]
            simple[section] = {"enabled": value["enabled"], "entries": sorted(entries)}
        elif section == "preferences":
            simple[section] = {key: one["value"] for key, one in value.items()}
        elif section == "mfa":
            simple[section] = value["enabled"]
        elif section != "deliveries":
            simple[section] = value
    return simple


def simplify_object(one: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Return an object of a list without what only the server assigns."""
    simple = {name: value for name, value in one.items() if name not in ASSIGNED}
    if simple.get("id") not in known:
        simple.pop("id", None)
    if "scopes" in simple:
        simple["scopes"] = sorted(simple["scopes"])
        simple["expires"] = simple.pop("expires", bool(simple.pop("expires_at", None)))
        simple.pop("expires_at", None)
    if "filters" in simple and "pl_1" not in str(simple["filters"]):
        filters = simple["filters"]
        kept = filters.keys() - set(SERVER_FILTERS)
        simple["filters"] = {name: filters[name] for name in sorted(kept)}
    return dict(sorted(simple.items()))


def compare(expected: State, found: State, free: tuple[str, ...]) -> list[str]:
    """Return the sections that differ, with what is in only one of both."""
    differences = []
    for section in sorted(expected.keys() | found.keys()):
        wanted, there = expected.get(section), found.get(section)
        if wanted == there or section in free:
            continue
        if isinstance(wanted, list) and isinstance(there, list):
            lacks = [one for one in wanted if one not in there]
            more = [one for one in there if one not in wanted]
            differences.append(f"{section}: lacks {lacks}, has {more}")
        else:
            differences.append(f"{section}: expected {wanted}, found {there}")
    return differences


def test_key_not_in_force_is_replaced(played: dict[tuple[str, str], Played]) -> None:
    """Where a key is listed and not in force, there is a living one afterwards."""
    for play in played.values():
        if {"key_retired", "key_expired"} & set(play.tasks):
            known = {key["id"] for key in play.before["api_keys"]}
            names = [key["name"] for key in play.after["api_keys"] if key["id"] not in known]
            assert names == ["Retired automation"], play.row.name


def test_no_secret_is_shown(played: dict[tuple[str, str], Played]) -> None:
    """Neither a result nor the screen has a secret that a task was given, or that was made.

    Facts are what the API shows, so they may have what it does not mask; the screen may not.
    """
    words = re.compile("|".join((MINTED, *map(re.escape, SECRETS))))
    for (name, way), play in played.items():
        shown = {key: one for key, one in play.beats.items() if key[0] != "info"}
        for (task, beat), one in shown.items():
            found = words.search(json.dumps(one.result))
            assert not found, f"{name} ({way}), {task} {beat}: {found and found[0]}"
    for output in {play.output for play in played.values()}:
        found = words.search(output)
        assert not found, output[max(0, found.start() - 300) : found.end() + 20]


def test_no_escape_sequence_reaches_the_terminal(played: dict[tuple[str, str], Played]) -> None:
    assert not any("\x1b" in play.output for play in played.values())


def test_table_is_whole() -> None:
    """Every variant is in a row, and in the table of the issue."""
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {variant for row in ROWS for variant in row.variants} == set(REGISTRY)
    assert set(DOZEN) <= set(names)
    assert all(set(PACKED[name]) <= set(TASKS) for name in PACKED)
    assert {variant for variants in ISSUE.values() for variant in variants} == set(REGISTRY)
    assert len(DOZEN) == 12


def test_dozen_touches_most_kinds() -> None:
    variants = [variant for row in ROWS if row.name in DOZEN for variant in row.variants]
    touched = {REGISTRY[variant].kind for variant in variants}
    assert touched >= set(KINDS) - {
        "channels",
        "settings",
        "mfa",
        "hostile names",
        "hostile bodies",
        "envelopes",
    }
