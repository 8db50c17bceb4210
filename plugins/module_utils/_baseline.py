# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A baseline: all controls of an organization, evaluated over what is read once, and met by one plan.

Endpoints: those of the resources that the controls are about.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.planasonix.admin.plugins.module_utils._account import (
    settle_preferences,
)
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist import (
    Allowlist,
    on_off,
    plan_entries,
)
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_reads import (
    read_allowlist,
)
from ansible_collections.planasonix.admin.plugins.module_utils._allowlist_writes import ALLOWLIST
from ansible_collections.planasonix.admin.plugins.module_utils._channel_writes import CHANNEL
from ansible_collections.planasonix.admin.plugins.module_utils._channels import (
    Channels,
    check_secrets_given,
    same_type,
)
from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._controls import (
    STATUSES,
    Bound,
    Path,
    Unmet,
    Waiver,
    at,
    combine,
    is_among,
    is_number,
    nested,
    parse_waivers,
)
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    InvalidOption,
    PlanasonixError,
    RefusedPlan,
)
from ansible_collections.planasonix.admin.plugins.module_utils._facts import SUBSETS
from ansible_collections.planasonix.admin.plugins.module_utils._fields import (
    NAMES,
    Kind,
    find_kind,
    has_name,
    is_unlimited,
    read_name,
    read_value,
)
from ansible_collections.planasonix.admin.plugins.module_utils._keys import (
    DAY,
    lifetime,
    moment,
    read_key_list,
    scopes_of,
    whole_days,
)
from ansible_collections.planasonix.admin.plugins.module_utils._notifications import (
    read_channel_list,
    read_label,
    read_rules,
    require_names,
)
from ansible_collections.planasonix.admin.plugins.module_utils._organization import SETTINGS_FIELDS
from ansible_collections.planasonix.admin.plugins.module_utils._plan import (
    Change,
    Plan,
    Values,
    as_text,
    merged,
    without,
)
from ansible_collections.planasonix.admin.plugins.module_utils._requirements import (
    ABSOLUTE,
    IDLE,
    WRITABLE,
    Control,
    check_baseline,
    drop_waived,
    merge_allowlist,
    merge_objects,
    parse_controls,
)
from ansible_collections.planasonix.admin.plugins.module_utils._resource import (
    Applied,
    Resource,
    apply_and_confirm,
    return_state,
)
from ansible_collections.planasonix.admin.plugins.module_utils._rule_writes import (
    RULE,
    ChannelIsGone,
)
from ansible_collections.planasonix.admin.plugins.module_utils._rules import Rules
from ansible_collections.planasonix.admin.plugins.module_utils._texts import visible
from ansible_collections.planasonix.admin.plugins.module_utils._validity import (
    is_expired,
    is_gone,
)


@dataclass(frozen=True)
class Organization:
    """What was read.

    :param controls: What it was read for.
    :param values: By resource: facts, and of the allowlist its state.
    :param errors: Why a resource could not be read.
    :param now: When it was read, in UTC.
    """

    controls: tuple[Control, ...]
    values: Values
    errors: Mapping[str, ApiError]
    now: datetime.datetime


@dataclass(frozen=True)
class Step:
    """One resource's part of the plan.

    :param controls: Ids of the controls that it is for.
    :param options: As the resource takes them.
    :param place: Where it stands in the diff.
    """

    controls: tuple[str, ...]
    resource: Resource
    state: t.Any
    options: Values
    plan: Plan
    place: tuple[str, ...]


@dataclass
class Verdict:
    """What became of a control.

    :param findings: Why it is not met, or could not be evaluated.
    :param unremedied: Why it is not remediated.
    :param waiver: As the result has it, with ``reason``, ``expires`` and ``expired``.
    :param failure: Why it could not be written.
    """

    status: str
    current: t.Any = None
    findings: tuple[str, ...] = ()
    remediable: bool = False
    unremedied: list[str] = field(default_factory=list)
    waiver: Values | None = None
    failure: str = ""

    def to_data(self) -> Values:
        """Return the verdict as the result has it."""
        return {
            "status": self.status,
            "current": self.current,
            "detail": visible(self.describe()),
            "remediable": self.remediable,
            "unremedied": [visible(reason) for reason in self.unremedied],
            "waiver": self.waiver,
        }

    def describe(self) -> str:
        """Return the verdict in words, for people: no code reads them."""
        findings = join_sentences(self.findings)
        if self.waiver is not None and self.status == "waived":
            until = f"until {self.waiver['expires']}" if self.waiver["expires"] else WITHOUT_END
            return f"waived {until}: {self.waiver['reason']} ({findings or 'it is met'})"
        sentences = list(self.findings)
        fails = self.status in ("fail", "fixed") or self.failure
        if self.waiver is not None and self.waiver["expired"] and fails:
            expires, reason = self.waiver["expires"], self.waiver["reason"]
            sentences.append(f"Its waiver expired on {expires} ({reason})")
        reasons = [reason for reason in self.unremedied if reason not in self.findings]
        if reasons:
            sentences.append(f"Not remediated: {join_sentences(reasons)}")
        return join_sentences([*sentences, *filter(None, [self.failure])])

    def leave(self, reason: str) -> None:
        """Note why the control is not remediated."""
        if reason not in self.unremedied:
            self.unremedied.append(reason)


WITHOUT_END = "with no expiry date"


def join_sentences(texts: Iterable[str]) -> str:
    """Join texts as sentences. Each but the last may lack its full stop."""
    *others, last = ["", *texts]
    return "".join(f"{text.removesuffix('.')}. " for text in others[1:]) + last


@dataclass(frozen=True)
class Assessment:
    """All verdicts, as they are before anything is written, and the steps that would mend what fails."""

    controls: tuple[Control, ...]
    verdicts: Mapping[str, Verdict]
    steps: tuple[Step, ...]

    def result(self) -> Values:
        """The keys of the result."""
        summary = dict.fromkeys(STATUSES, 0)
        for verdict in self.verdicts.values():
            summary[verdict.status] += 1
        controls = [
            {
                **control.given,
                **self.verdicts[control.id].to_data(),
                "expected": control.given["require"],
            }
            for control in self.controls
        ]
        counts = ", ".join(f"{count} {status}" for status, count in summary.items() if count)
        return {
            "controls": controls,
            "summary": summary,
            "compliant": not summary["fail"] and not summary["error"],
            "msg": f"baseline: {counts or 'no controls'}",
        }


# Reading.


READERS: dict[str, t.Callable[[Client], t.Any]] = {
    **{name: lambda client, name=name: SUBSETS[name](client, {}) for name in SUBSETS},  # type: ignore[misc]
    "api_keys": read_key_list,
    "ip_whitelist": lambda client: read_allowlist(client, {}),
    "notification_channels": read_channel_list,
    "notification_rules": read_rules,
}


def needed(controls: Iterable[Control]) -> list[str]:
    """The resources to read: those of the controls, and those that they depend on."""
    names = {control.resource for control in controls} | {
        name for control in controls for name in dependencies(control)
    }
    return [name for name in SUBSETS if name in names]


def dependencies(control: Control) -> tuple[str, ...]:
    """What else must be known to evaluate a control or to write for it."""
    if control.requires_sso:
        return ("features",)
    if control.resource == "notification_rules":
        return ("notification_channels",)
    deletes = control.require.get("purge") or any(
        item.get("replace") for item in control.require.get("present", [])
    )
    return (
        ("notification_rules",) if control.resource == "notification_channels" and deletes else ()
    )


def read_organization(client: Client, options: Values) -> Organization:
    """Read each needed resource once. One that cannot be read is noted, not raised; where that will befall all others as well, they are not tried."""
    values: Values = {}
    errors: dict[str, ApiError] = {}
    hopeless: ApiError | None = None
    controls = parse_controls(options)
    for name in needed(controls):
        if hopeless is not None:
            errors[name] = hopeless
            continue
        try:
            values[name] = READERS[name](client)
            if name == "preferences":
                values[name] = settle_preferences(
                    client, values[name], unmet_preferences(controls, values[name])
                )
        except ApiError as error:
            errors[name] = error
            if error.concerns_all:
                hopeless = error
    return Organization(
        controls,
        values,
        errors,
        client.now(),
    )


def unmet_preferences(controls: Iterable[Control], preferences: Values) -> list[str]:
    """Return the keys that controls are about and that the list does not show as required."""
    keys: dict[str, None] = {}
    for control in controls:
        if control.resource != "preferences":
            continue
        for path, bound in control.bounds.items():
            found = at(preferences, path)
            if path and (not found or bound.unmet(found[0])):
                keys[path[0]] = None
    return list(keys)


# Evaluating and planning.


def assess(current: Organization, options: Values) -> Assessment:
    """Evaluate all controls, and plan what mends those that fail and nobody waived."""
    controls = current.controls
    waivers = parse_waivers(options.get("waivers", []), [control.id for control in controls])
    today = current.now.date()
    foreseen = with_pending_channels(current)
    verdicts = {control.id: evaluate(control, foreseen) for control in controls}
    active = [
        control
        for control in drop_waived(controls, waivers, today)
        if verdicts[control.id].status in ("pass", "fail")
    ]
    for control in controls:
        apply_waiver(verdicts[control.id], waivers.get(control.id), today)
    steps: list[Step] = []
    for resource in WRITABLE:
        steps += plan_object(
            resource,
            [control for control in active if control.resource == resource],
            current,
            verdicts,
        )
    steps += plan_allowlist_step(
        [control for control in active if control.resource == "ip_whitelist"],
        current,
        options,
        verdicts,
    )
    steps += plan_notifications(active, current, verdicts)
    return Assessment(controls, verdicts, tuple(steps))


def with_pending_channels(current: Organization) -> Organization:
    """The organization with the channels that the same controls require, so that rules may already name them."""
    listed = current.values.get("notification_channels")
    if listed is None:
        return current
    names = {
        item["name"]
        for control in current.controls
        for item in control.require.get("present", ())
        if control.resource == "notification_channels"
    }
    pending = [
        {"id": pending_id(name), "name": name}
        for name in sorted(names - {read_name(channel) for channel in listed})
    ]
    return replace(current, values={**current.values, "channels_of_rules": [*listed, *pending]})


def pending_id(name: str) -> str:
    """What stands for the id of a channel that is yet to be made."""
    return f"(new) {name}"


def apply_waiver(verdict: Verdict, waiver: Waiver | None, today: datetime.date) -> None:
    """Note the waiver of a control, and apply it if it is active."""
    if waiver is None:
        return
    verdict.waiver = waiver.to_data(today)
    if waiver.holds(today) and verdict.status in ("pass", "fail"):
        verdict.status = "waived"


def evaluate(control: Control, current: Organization) -> Verdict:
    """The verdict on one control, before anything is written."""
    for name in (control.resource, *dependencies(control)):
        if name in current.errors:
            return Verdict(
                "error",
                findings=(current.errors[name].message,),
                remediable=control.remediable,
            )
    if control.requires_sso and not is_among("sso", current.values["features"], NAMES.same):
        return Verdict(
            "not_entitled",
            current_of(control, current),
            ("single sign-on is not among the features of the organization's plan",),
        )
    try:
        found, texts = EVALUATIONS.get(control.resource, evaluate_bounds)(control, current)
    except ApiError as error:
        return Verdict("error", findings=(error.message,), remediable=control.remediable)
    except InvalidOption as error:  # where nobody waived it, the plan says so
        return Verdict("fail", findings=(error.message,))
    return Verdict("fail" if texts else "pass", found, tuple(texts), control.remediable)


def current_of(control: Control, current: Organization) -> t.Any:
    """The values that bounds are about, nested as the control names them."""
    value = current.values[control.resource]
    found = {path: at(value, path) for path in control.bounds}
    if () in found:
        return value
    return nested({path: one[0] for path, one in found.items() if one})


def evaluate_bounds(control: Control, current: Organization) -> tuple[t.Any, list[str]]:
    """What the values are, and why they do not meet the bounds.

    :raises ApiError: if the answer lacks a field. A preference that is not set is no such field.
    """
    value = current.values[control.resource]
    texts = []
    for path, bound in control.bounds.items():
        found = read_at(control.resource, value, path)
        name = ".".join(path) or control.resource
        if not found and control.resource == "preferences":
            texts.append(f"{name} is not set")
            continue
        if not found:
            raise ApiError(
                f"The API's answer for the {control.resource.replace('_', ' ')} has no field {name!r}; is it spelt right in the control?"
            )
        check_comparable(found[0], bound, find_kind(control.resource, path), name)
        equal = find_kind(control.resource, path).same
        texts += [f"{name} is {as_text(found[0])}, {text}" for text in bound.unmet(found[0], equal)]
    return current_of(control, current), texts


def read_at(resource: str, value: t.Any, path: Path) -> tuple[t.Any, ...]:
    """Return the value at a path of an object, read by its documented type.

    :returns: The value in a tuple of one, or an empty tuple if there is none.
    :raises ApiError: if it is of another type.
    """
    found = at(value, path)
    if not found:
        return ()
    subject = f"the {resource.replace('_', ' ')}"
    name = ".".join(path) or resource
    return (read_value(found[0], find_kind(resource, path), name, subject),)


def check_comparable(value: t.Any, bound: Bound, kind: Kind, name: str) -> None:
    """Refuse to compare what is documented otherwise, since the verdict could be false.

    :raises ApiError: if a number may mean no limit, or a list has objects for texts.
    """
    if kind.positive and is_unlimited(value) and not bound.names(value):
        raise ApiError(
            f"{name} is {as_text(value)}; the API documents numbers from 1 on, "
            "so it may mean no limit. It is neither compared nor changed: "
            "set it in the product, or allow it in one_of."
        )
    if bound.wants_list and has_objects(value) and not has_objects(bound.contains + bound.excludes):
        raise ApiError(
            f"{name} is a list of objects, where the control names plain values, "
            "so they cannot be compared; check api_url and the API's version."
        )


def has_objects(value: t.Any) -> bool:
    """Return whether it is a list with a mapping or a list in it."""
    return isinstance(value, (list, tuple)) and any(
        isinstance(item, (dict, list)) for item in value
    )


def evaluate_allowlist(control: Control, current: Organization) -> tuple[t.Any, list[str]]:
    """Return the entries in force, and what of the allowlist is not as required.

    :raises ApiError: if a listed network cannot be read, so it might be a forbidden one.
    """
    allowlist: Allowlist = current.values["ip_whitelist"]
    required = {"state": "present", **control.require}
    planned = plan_entries(allowlist.entries, required, allowlist.unsettled)
    inactive = {entry["cidr"] for entry in allowlist.inactive}
    texts: list[str] = []
    for entry in planned.additions:
        cidr = entry["cidr"]
        if cidr in planned.relabeled:
            texts.append(f"{cidr} has another label")
        elif cidr in inactive:
            texts.append(f"{cidr} is listed, but not in force")
        else:
            texts.append(f"{cidr} is not listed")
    for entry in planned.removals:
        if entry["cidr"] not in planned.relabeled:
            texts.append(f"{entry['cidr']} is listed, which is not allowed")
    if control.require.get("enabled", allowlist.enabled) != allowlist.enabled:
        texts.append(f"enforcement is {on_off(allowlist.enabled)}")
    result = allowlist.to_result()
    entries = [{"cidr": entry["cidr"], "label": entry.get("label")} for entry in result["entries"]]
    return {"enabled": result["enabled"], "entries": entries}, texts


def evaluate_keys(control: Control, current: Organization) -> tuple[t.Any, list[str]]:
    """List the API keys that offend, by name and ID, each with what is wrong with it.

    A key that is listed but expired, revoked or switched off does not count.

    :raises ApiError: if the answer lacks a time or the scopes that are asked for.
    """
    offenders, texts = [], []
    for key in current.values["api_keys"]:
        if is_gone(key, current.now) or is_expired(key, current.now):
            continue
        reasons = offences(key, control.require, current.now)
        if reasons:
            offenders.append({"name": key["name"], "id": key["id"], "reasons": reasons})
            texts.append(f"{key['name']!r} ({key['id']}) {', '.join(reasons)}")
    return offenders, texts


def offences(key: Values, require: Values, now: datetime.datetime) -> list[str]:
    """Return what is wrong with one key.

    :raises ApiError: if the answer lacks a time or the scopes that are asked for.
    """
    reasons = []
    created = None
    if {"max_age_days", "unused_days"} & require.keys():
        created = moment(key, "created_at")
    if "max_age_days" in require:
        if created is None:
            reasons.append("has no known age")
        elif now - created > require["max_age_days"] * DAY:
            reasons.append(f"is older than {require['max_age_days']} days")
    if require.get("must_expire") or "max_lifetime_days" in require:
        if moment(key, "expires_at") is None:
            reasons.append("never expires")
        elif "max_lifetime_days" in require and lives_too_long(key, require["max_lifetime_days"]):
            reasons.append(f"lives longer than {require['max_lifetime_days']} days")
    if "unused_days" in require:
        used = moment(key, "last_used_at") or created
        if used is None or now - used > require["unused_days"] * DAY:
            reasons.append(f"was not used for {require['unused_days']} days")
    if "forbidden_scopes" in require:
        scopes = scopes_of(key)
        forbidden = [scope for scope in require["forbidden_scopes"] if scope in scopes]
        if forbidden:
            reasons.append(f"has {', '.join(forbidden)}")
    return reasons


def lives_too_long(key: Values, days: int) -> bool:
    """Whether a key lives longer than a number of days.

    A part of a day is tolerated: an API may let a key of 90 days expire a moment later than 90
    days after it was created, or at the end of that day.

    :raises ApiError: if the API does not say so.
    """
    if moment(key, "created_at") is None:
        return True
    length = lifetime(key)
    return length is not None and whole_days(length) > days


def evaluate_channels(control: Control, current: Organization) -> tuple[t.Any, list[str]]:
    """Return the channels that are required or not allowed, and what is wrong.

    A channel without a name is left alone: no control can allow it.
    """
    channels = current.values["notification_channels"]
    require_names(channels, "notification channel")
    items = control.require.get("present", [])
    names = [item["name"] for item in items]
    texts = []
    for item in items:
        options = {"state": "present", **item}
        texts += object_texts(CHANNEL, channels_state(current), options)
    extra = (
        [read_name(channel) for channel in unlisted(channels, names)]
        if control.require.get("purge")
        else []
    )
    texts += [f"notification channel {name!r} is not allowed" for name in extra]
    return shown_objects(channels, [*names, *extra], ("type", "name", "enabled")), texts


def unlisted(channels: Iterable[Values], names: Sequence[str]) -> list[Values]:
    """Return the channels that have a name which is not among those that may stay."""
    return [channel for channel in channels if read_name(channel) not in (None, *names)]


def shown_objects(
    items: Iterable[Values], names: Sequence[str | None], fields: Sequence[str]
) -> list[Values]:
    """Return some fields of the channels or rules with these names."""
    return [
        {name: item[name] for name in fields if name in item}
        for item in items
        if read_name(item) in names and read_name(item) is not None
    ]


def evaluate_rules(control: Control, current: Organization) -> tuple[t.Any, list[str]]:
    """The rules that are not as required."""
    state = Rules(
        tuple(current.values["notification_rules"]), tuple(current.values["channels_of_rules"])
    )
    items = control.require["present"]
    texts: list[str] = []
    for item in items:
        texts += object_texts(RULE, state, item)
    names = [item["name"] for item in items]
    return shown_objects(state.rules, names, ("name", "event", "enabled")), texts


def object_texts(resource: Resource, state: t.Any, options: Values) -> list[str]:
    """Why one channel or rule is not as required: the change that would make it so, or why there can be none."""
    try:
        resource.check(options)
        plan = resource.make_plan(state, options)
    except (InvalidOption, RefusedPlan) as error:
        return [error.message]
    if plan.result.get("not_compared"):
        return [plan.message.removeprefix("no change: ")]
    if not plan.changed:
        return []
    return [plan.message if plan.before else f"{plan.message.rpartition(':')[0]} does not exist"]


EVALUATIONS: dict[str, t.Callable[[Control, Organization], tuple[t.Any, list[str]]]] = {
    "ip_whitelist": evaluate_allowlist,
    "api_keys": evaluate_keys,
    "notification_channels": evaluate_channels,
    "notification_rules": evaluate_rules,
}


def channels_state(current: Organization) -> Channels:
    """The channels, with the rules where they were read."""
    rules = current.values.get("notification_rules")
    return Channels(
        tuple(current.values["notification_channels"]), None if rules is None else tuple(rules)
    )


def channel_options(item: Values, channels: Iterable[Values]) -> Values:
    """Return the options of one channel's resource.

    :raises InvalidOption: if the channel is to be made and a placeholder stands for its secret.
        That fails the whole task, since nothing that the organization has can be meant.
    """
    found = next((channel for channel in channels if has_name(channel, item["name"])), None)
    replaces = item.get("replace") and not same_type((found or {}).get("type"), item.get("type"))
    if found is None or replaces:
        check_secrets_given(item)
    return {"state": "present", **item}


def plan_object(
    resource: str,
    controls: Sequence[Control],
    current: Organization,
    verdicts: Mapping[str, Verdict],
) -> list[Step]:
    """Plan the values of one object that meet all of its controls and are nearest to what it has."""
    if not any(verdicts[control.id].status == "fail" for control in controls):
        return []
    state = current.values[resource]
    manager, fields = WRITABLE[resource]
    bounds = combine((control.id, control.bounds) for control in controls)
    step: Step | None = None
    chosen: dict[Path, t.Any] = {}
    ids: list[str] = []

    def add(control: Control) -> None:
        nonlocal step, chosen
        targets = chosen | targets_of(control, bounds, state, fields)
        if resource == "session_timeout":
            targets = with_lower_idle(targets, bounds, state)
        options = options_of(resource, nested(targets), state)
        manager.check(options)
        plan = manager.make_plan(state, options)
        chosen = targets
        ids.append(control.id)
        step = Step(tuple(ids), manager, state, options, plan, (resource,))

    for control_id, reason in refusals_of(
        [control for control in controls if verdicts[control.id].status == "fail"], add
    ).items():
        verdicts[control_id].remediable = False
        verdicts[control_id].leave(reason)
    return [step] if step else []


def refusals_of(waiting: Sequence[Control], add: t.Callable[[Control], None]) -> dict[str, str]:
    """Add one control after the other to a plan, again as long as that helps: what is refused by itself may be safe once another one is met.

    :param add: Plans a control beside those that were added before; it raises where that cannot be.
    :returns: The controls that remain, by id, each with the reason. What they ask for is left out, and the rest is done.
    """
    refusals: dict[str, str] = {}
    while waiting:
        refusals = {}
        for control in waiting:
            try:
                add(control)
            except PlanasonixError as error:
                refusals[control.id] = error.message
        if len(refusals) == len(waiting):
            break
        waiting = [control for control in waiting if control.id in refusals]
    return refusals


def targets_of(
    control: Control,
    bounds: Mapping[Path, Bound],
    state: Values,
    fields: Mapping[str, t.Any] | None,
) -> dict[Path, t.Any]:
    """The values to set, so that a control is met.

    :raises Unmet: if one of them cannot be set.
    """
    targets: dict[Path, t.Any] = {}
    for path, bound in control.bounds.items():
        found = read_at(control.resource, state, path)
        value = found[0] if found else None
        equal = find_kind(control.resource, path).same
        if found and not bound.unmet(value, equal):
            continue
        if not path or (fields is not None and (len(path) > 1 or path[0] not in fields)):
            raise Unmet(f"the API cannot change {'.'.join(path) or control.resource}")
        targets[path] = bounds[path].nearest(value, equal)
        if not found and targets[path] is None and not bounds[path].equals:
            raise Unmet(f"nothing says what {'.'.join(path)} should be")
        if isinstance(targets[path], Mapping) and merged(value, targets[path]) != targets[path]:
            raise Unmet(f"no write takes out what {'.'.join(path)} holds beside that")
    return targets


def with_lower_idle(
    targets: dict[Path, t.Any], bounds: Mapping[Path, Bound], state: Values
) -> dict[Path, t.Any]:
    """The values of the session timeout, with idle lowered along where absolute goes below it and no control forbids that."""
    (present,) = read_at("session_timeout", state, IDLE) or (None,)
    idle: t.Any = targets.get(IDLE, present)
    absolute: t.Any = targets.get(ABSOLUTE)
    if not (is_number(idle) and is_number(absolute)) or idle <= absolute:
        return targets
    try:
        return targets | {
            IDLE: bounds.get(IDLE, Bound()).both(Bound(at_most=absolute)).nearest(idle)
        }
    except (InvalidOption, Unmet):
        return targets  # then the resource refuses it, and says why


def options_of(resource: str, values: Values, state: Values) -> Values:
    """Nested values as the options of a resource."""
    if resource == "settings":
        named = {name: value for name, value in values.items() if name in SETTINGS_FIELDS}
        extra = {name: value for name, value in values.items() if name not in SETTINGS_FIELDS}
        return named | ({"extra": extra} if extra else {})
    if resource == "preferences":
        return {
            "preferences": {key: merged(state.get(key), value) for key, value in values.items()}
        }
    return values


def plan_allowlist_step(
    controls: Sequence[Control],
    current: Organization,
    options: Values,
    verdicts: Mapping[str, Verdict],
) -> list[Step]:
    """Plan the allowlist. What the guard refuses is left out, and the rest is done. Controls that only add are tried first, and those that remove last."""
    failing = [control for control in controls if verdicts[control.id].status == "fail"]
    if not failing:
        return []
    state = current.values["ip_whitelist"]
    protection: Values = {
        name: options[name] for name in ("protected_addresses", "allow_lockout") if name in options
    }
    chosen = [control for control in controls if control not in failing]
    step: Step | None = None

    def add(control: Control) -> None:
        nonlocal step
        wanted = merge_allowlist([*chosen, control]) | protection
        plan = ALLOWLIST.make_plan(state, wanted)
        chosen.append(control)
        step = Step(
            tuple(one.id for one in failing if one in chosen),
            ALLOWLIST,
            state,
            wanted,
            plan,
            ("ip_whitelist",),
        )

    order = sorted(
        failing,
        key=lambda one: (
            bool(one.require.get("purge") or one.require.get("forbid")),
            bool(one.require.get("enabled")),
        ),
    )
    for control_id, reason in refusals_of(order, add).items():
        verdicts[control_id].leave(reason)
    return [step] if step else []


def plan_notifications(
    controls: Sequence[Control], current: Organization, verdicts: Mapping[str, Verdict]
) -> list[Step]:
    """Plan channels, then rules, then the removal of channels that no rule uses by then."""
    of = {
        name: [control for control in controls if control.resource == name]
        for name in ("notification_channels", "notification_rules")
    }
    steps: list[Step] = []
    if not any(
        verdicts[control.id].status == "fail" for control in controls if control.resource in of
    ):
        return steps
    channels = list(current.values["notification_channels"])
    rules = list(current.values.get("notification_rules", ()))
    for name, (item, ids) in merge_objects(of["notification_channels"]).items():
        plan = try_step(
            steps,
            CHANNEL,
            channels_state(current),
            channel_options(item, channels),
            ids,
            ("notification_channels", name),
            verdicts,
        )
        if plan is not None and any(change.action == "create" for change in plan.changes):
            channels = [
                *(channel for channel in channels if not has_name(channel, name)),
                {"id": pending_id(name), **plan.predicted},
            ]
    for name, (item, ids) in merge_objects(of["notification_rules"]).items():
        plan = try_step(
            steps,
            RULE,
            Rules(tuple(rules), tuple(channels)),
            item,
            ids,
            ("notification_rules", name),
            verdicts,
        )
        if plan is not None:
            old: Values = next((rule for rule in rules if has_name(rule, name)), {})
            others = (rule for rule in rules if not has_name(rule, name))
            rules = [*others, {**old, **plan.predicted}]
    for control in of["notification_channels"]:
        if not control.require.get("purge"):
            continue
        names = [item["name"] for item in control.require.get("present", [])]
        for channel in unlisted(current.values["notification_channels"], names):
            try_step(
                steps,
                CHANNEL,
                Channels(tuple(channels), tuple(rules)),
                {"state": "absent", "channel_id": channel["id"]},
                (control.id,),
                ("notification_channels", read_label(channel)),
                verdicts,
            )
    return steps


def try_step(
    steps: list[Step],
    resource: Resource,
    state: t.Any,
    options: Values,
    ids: tuple[str, ...],
    place: tuple[str, ...],
    verdicts: Mapping[str, Verdict],
) -> Plan | None:
    """Add the step of one channel or rule, if there is something to change; returns its plan, if there is one."""
    try:
        resource.check(options)
        plan = resource.make_plan(state, options)
    except PlanasonixError as error:
        for control_id in ids:
            verdict = verdicts[control_id]
            verdict.remediable = False
            verdict.leave(error.message)
        return None
    if plan.result.get("not_compared"):
        for control_id in ids:
            verdicts[control_id].remediable = False
    if plan.changed:
        steps.append(Step(ids, resource, state, options, plan, place))
    return plan


def plan_baseline(current: Organization, options: Values) -> Plan:
    """Plan the whole organization. What is reported in check mode is the state that was found."""
    assessment = assess(current, options)
    before: Values = {}
    after: Values = {}
    calls: list[t.Any] = []
    changes: list[Change] = []
    for step in assessment.steps:
        calls += step.plan.calls
        changes += step.plan.changes
        before = merged(before, nested({step.place: step.plan.before}))
        after = merged(after, nested({step.place: step.plan.after}))
    result = assessment.result()
    return Plan(
        before,
        after,
        tuple(calls),
        message=result["msg"],
        result=without(result, "msg"),
        changes=tuple(changes),
    )


def apply_baseline(
    client: Client, dummy_plan: Plan, current: Organization, options: Values
) -> Applied:
    """Send the steps one after the other, each read back before the next. At the first that fails nothing more is sent.

    :raises PlanasonixError: with the verdicts, if a step fails.
    """
    assessment = assess(current, options)
    if not assessment.steps:
        return Applied()
    left = list(assessment.steps)
    blocked = {
        control.id
        for control in assessment.controls
        if not assessment.verdicts[control.id].remediable
    }
    is_refused = False
    is_changed = False
    try:
        while left:
            try:
                perform(client, left[0], replan=is_refused)
            except (ChannelIsGone, RefusedPlan) as error:  # nothing was written
                blocked |= note_refusal(left.pop(0), error, assessment.verdicts)
                is_refused = True
                continue
            done = left.pop(0)
            is_changed = True
            for control_id in done.controls:
                verdict = assessment.verdicts[control_id]
                if (
                    verdict.status == "fail"
                    and control_id not in blocked
                    and not any(control_id in step.controls for step in left)
                ):
                    verdict.status = "fixed"
    except PlanasonixError as error:
        for step in reversed(left):
            for control_id in step.controls:
                verdict = assessment.verdicts[control_id]
                if verdict.status not in ("fail", "error"):
                    continue  # it was met all along
                verdict.status = "error"
                verdict.failure = (
                    error.message
                    if step is left[0]
                    else "Not written, since an earlier write failed"
                )
        error.details = {**without(assessment.result(), "msg"), **error.details}
        raise
    return Applied({**assessment.result(), "changed": is_changed})


def note_refusal(
    step: Step, error: PlanasonixError, verdicts: Mapping[str, Verdict]
) -> frozenset[str]:
    """Note that the API refused one rule for its own sake, so that others can follow.

    :returns: The ids of its controls.
    """
    for control_id in step.controls:
        verdict = verdicts[control_id]
        if verdict.status == "fail":
            verdict.remediable = False
            verdict.leave(error.message)
    return frozenset(step.controls)


def perform(client: Client, step: Step, replan: bool = False) -> None:
    """Send one step, and read back what came of it.

    A rule is planned again, since channels that were made before it have ids by now.

    :param replan: Whether channels are planned again as well: a step before was refused, so a rule
        may still use a channel that is to be deleted.
    :raises PlanasonixError: if the API refuses it, or it has no effect.
    """
    state, plan = step.state, step.plan
    if step.resource is RULE or (replan and step.resource is CHANNEL):
        state = step.resource.read(client, step.options)
        plan = step.resource.make_plan(state, step.options)
        if not plan.changed:
            return  # somebody else made it so
    apply_and_confirm(client, step.resource, plan, state, step.options)


BASELINE = Resource(
    None,
    read_organization,
    plan_baseline,
    return_state,
    None,
    apply_baseline,
    check_baseline,
)
