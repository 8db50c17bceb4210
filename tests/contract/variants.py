# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two sides of the tests of variants: tasks, and what is right where the API is otherwise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

CREATED = "2025-01-01T00:00:00Z"
HOOK_SECRET = "https://hooks.example.com/canary-hook"
PARTNER_SECRET = "https://hooks.example.com/canary-partner"
ROUTING_KEY = "canary-routing-key"
PASSWORD = "hunter2-not-really"
NEW_PASSWORD = "canary-of-a-new-password"
SECRETS = (HOOK_SECRET, NEW_PASSWORD)
"""What no result may show: the tasks give these values where secrets belong."""

FOLDER = "FOLDER"
"""Stands in arguments for a folder of the task's own."""

ID = "ID "
"""Stands in arguments before an id, which some variants show as a number."""

SLOWEST = 20.0
"""Seconds that a task may take."""

State = dict[str, Any]
Change = Callable[[State], None]


def make_channel(name: str, kind: str, **config: Any) -> dict[str, Any]:
    return {
        "id": f"nch_{name.lower()}",
        "type": kind,
        "name": name,
        "enabled": True,
        "config": config,
        "created_at": CREATED,
    }


def make_rule(name: str, **filters: Any) -> dict[str, Any]:
    return {
        "id": f"nrl_{name.lower()}",
        "name": name,
        "event": "pipeline.run.failed",
        "channel_ids": ["nch_chat"],
        "filters": filters,
        "enabled": True,
        "created_at": CREATED,
    }


def make_entry(name: str, cidr: str) -> dict[str, Any]:
    entry_id = f"ipw_{cidr.partition('/')[0]}"
    return {"id": entry_id, "cidr": cidr, "label": name, "created_at": CREATED}


def make_key(name: str, *scopes: str) -> dict[str, Any]:
    secret = f"plnx_live_{name.lower().replace(' ', '_')}_of_long_ago"
    return {
        "id": f"key_{name.lower().replace(' ', '_')}",
        "name": name,
        "secret": secret,
        "prefix": secret[:14],
        "scopes": list(scopes),
        "created_at": CREATED,
    }


START: State = {
    "channels": [
        make_channel("Partner", "webhook", url=PARTNER_SECRET),
        make_channel("Chat", "slack", workspace="acme", channel="C01"),
        make_channel("Hook", "webhook", url=HOOK_SECRET, method="POST"),
        make_channel("Pager", "pagerduty", routing_key=ROUTING_KEY, severity="high"),
        make_channel("Gone", "email", recipients=["gone@example.com"]),
    ],
    "rules": [
        make_rule("Partner", pipeline_ids=["pl_1"]),
        make_rule("Late", threshold=1),
        make_rule("Weekly"),
    ],
    "ip_whitelist": {
        "enabled": False,
        "last_evaluated_at": CREATED,
        "entries": [
            make_entry("Partner", "198.51.100.0/24"),
            make_entry("Retired office", "192.0.2.0/24"),
            make_entry("Office", "203.0.113.0/24"),
        ],
    },
}
"""Sections that each organization begins with; most of what tasks manage is not on a first page."""

KEYS = [
    make_key("Partner", "pipelines:read"),
    make_key("Retired automation", "pipelines:read"),
    make_key("ci", "pipelines:read"),
    make_key("Old", "pipelines:read"),
    make_key("Wide", "*"),
]
"""Keys of each organization, after the one that the tasks use."""


def find(state: State, section: str, name: str) -> dict[str, Any]:
    """Return the object of a name."""
    return next(one for one in state[section] if one["name"] == name)


def remove(section: str, name: str) -> Change:
    def change(state: State) -> None:
        state[section].remove(find(state, section, name))

    return change


def set_fields(section: str, **fields: Any) -> Change:
    def change(state: State) -> None:
        state[section].update(fields)

    return change


def set_object(section: str, name: str, **fields: Any) -> Change:
    def change(state: State) -> None:
        find(state, section, name).update(copy.deepcopy(fields))

    return change


def append(section: str, **fields: Any) -> Change:
    def change(state: State) -> None:
        state[section].append(copy.deepcopy(fields))

    return change


def add_entries(*entries: tuple[str, str], enabled: bool | None = None) -> Change:
    def change(state: State) -> None:
        allowlist = state["ip_whitelist"]
        networks = {cidr for cidr, _label in entries}
        kept = [entry for entry in allowlist["entries"] if entry["cidr"] not in networks]
        new = [{"cidr": cidr, "label": label} for cidr, label in entries]
        allowlist["entries"] = [*kept, *new]
        if enabled is not None:
            allowlist["enabled"] = enabled

    return change


def set_preferences(state: State) -> None:
    state["preferences"]["canvas.snap_to_grid"] = {"value": False}
    state["preferences"]["report.columns"] = {"value": [1, None]}


def set_flag(state: State) -> None:
    state["settings"]["default_timezone"] = "Europe/Berlin"
    state["settings"]["feature_flags"]["lineage_v2"] = False


def renew_ci_id(state: State) -> None:
    del find(state, "api_keys", "ci")["id"]


def recreate_ci(state: State) -> None:
    find(state, "api_keys", "ci")["scopes"] = ["pipelines:run"]
    renew_ci_id(state)


def keep(dummy_state: State) -> None:
    """Leave the state as it is."""


@dataclass(frozen=True)
class Task:
    """One task, which runs in check mode, then runs, then runs again.

    :param module: Name without the prefix.
    :param change: What a run makes of the state of an organization.
    :param writes: The requests of a run: methods and patterns of paths.
    :param again: Arguments of the second run, where they differ.
    :param changes: Whether a first run changes something.
    :param repeats: Whether each further run changes something again.
    """

    module: str
    arguments: dict[str, Any]
    change: Change
    writes: tuple[str, ...]
    again: dict[str, Any] = field(default_factory=dict)
    changes: bool = True
    repeats: bool = False


CHANNEL_PATH = "/api/notifications/channels"
POST_CHANNEL = f"POST {CHANNEL_PATH}"
PUT_CHANNEL = f"PUT {CHANNEL_PATH}/*"
POST_RULE = "POST /api/notifications/rules"
POST_ENTRY = "POST /api/settings/ip-whitelist"
DELETE_ENTRY = "DELETE /api/settings/ip-whitelist/*"
TOGGLE = "POST /api/settings/ip-whitelist/toggle"
POST_KEY = "POST /api/user/api-keys"
DELETE_KEY = "DELETE /api/user/api-keys/*"
POST_SETTINGS = "POST /api/settings"
PUT_PROFILE = "PUT /api/user/profile"
MAIL = {"type": "email", "config": {"recipients": ["ops@example.com"]}}
SECRET_FILE = {"secret_file": f"{FOLDER}/secret"}
SSO = {"id": "SSO", "resource": "settings", "require": {"require_sso": True}}
RETENTION = {
    "id": "LOGS",
    "resource": "log_retention",
    "require": {"audit_logs_days": {"at_least": 400}},
}
SCOPES = {"id": "SCOPES", "resource": "api_keys", "require": {"forbidden_scopes": ["*"]}}
CONTROLS = [SSO, RETENTION, SCOPES]
HOOK = {
    "id": "HOOK",
    "resource": "notification_channels",
    "require": {"present": [{"name": "Hook", "config": {"method": "PUT"}}]},
}
FACTS = {
    "api_keys": 1 + len(KEYS),
    "ip_whitelist": len(START["ip_whitelist"]["entries"]),
    "notification_channels": len(START["channels"]),
    "notification_rules": len(START["rules"]),
}
"""Subsets of facts that are lists, and how many objects each organization begins with."""


def create_channel(name: str, **more: Any) -> Task:
    """Return the task that creates a channel for mail."""
    arguments = {"name": name, **MAIL, **more}
    stored = {"type": "email", "name": name, "enabled": True, "config": arguments["config"]}
    return Task("notification_channel", arguments, append("channels", **stored), (POST_CHANNEL,))


def create_rule(name: str, **filters: Any) -> Task:
    """Return the task that creates a rule."""
    shared = {"name": name, "event": "dlq.threshold_exceeded"}
    arguments = {**shared, "channels": ["Chat"], **({"filters": filters} if filters else {})}
    change = append("rules", **shared, channel_ids=["nch_chat"], filters=filters, enabled=True)
    return Task("notification_rule", arguments, change, (POST_RULE,))


def create_key(name: str, scopes: Iterable[str], **more: Any) -> Task:
    """Return the task that creates a key."""
    scopes = list(scopes)
    change = append("api_keys", name=name, scopes=sorted(scopes), expires=bool(more))
    arguments = {"name": name, "scopes": scopes, **more, **SECRET_FILE}
    return Task("api_key", arguments, change, (POST_KEY,))


TASKS = {
    "settings": Task(
        "settings",
        {
            "default_timezone": "Europe/Berlin",
            "extra": {"feature_flags": {"lineage_v2": False}},
        },
        set_flag,
        (POST_SETTINGS,),
    ),
    "settings_zone": Task(
        "settings",
        {"default_timezone": "US/Eastern"},
        set_fields("settings", default_timezone="US/Eastern"),
        (POST_SETTINGS,),
    ),
    "settings_residency": Task(
        "settings",
        {"data_residency": "eu"},
        set_fields("settings", data_residency="eu"),
        (POST_SETTINGS,),
    ),
    "session_timeout": Task(
        "session_timeout",
        {"idle_timeout_minutes": 30},
        set_fields("session_timeout", idle_timeout_minutes=30),
        ("PUT /api/session-timeout",),
    ),
    "log_retention": Task(
        "log_retention",
        {"run_logs_days": 14},
        set_fields("log_retention", run_logs_days=14),
        ("PUT /api/settings/log-retention",),
    ),
    "profile": Task(
        "profile",
        {"timezone": "Europe/Berlin"},
        set_fields("profile", timezone="Europe/Berlin"),
        (PUT_PROFILE,),
    ),
    "profile_locale": Task(
        "profile", {"locale": "de-de"}, set_fields("profile", locale="de-de"), (PUT_PROFILE,)
    ),
    "profile_mars": Task(
        "profile",
        {"timezone": "Mars/Base"},
        set_fields("profile", timezone="Mars/Base"),
        (PUT_PROFILE,),
    ),
    "preferences": Task(
        "preferences",
        {"preferences": {"canvas.snap_to_grid": False, "report.columns": [1, None]}},
        set_preferences,
        ("PUT /api/user-preferences/*",) * 2,
    ),
    "entries": Task(
        "ip_whitelist",
        {
            "entries": [
                {"cidr": "127.0.0.1", "label": "Automation"},
                {"cidr": "203.0.113.0/24", "label": "Office"},
            ],
            "enabled": True,
            "protected_addresses": ["127.0.0.1", "203.0.113.7"],
        },
        add_entries(("127.0.0.1/32", "Automation"), enabled=True),
        (POST_ENTRY, TOGGLE),
    ),
    "entry_label": Task(
        "ip_whitelist",
        {
            "entries": [{"cidr": "203.0.113.0/24", "label": "New office"}],
            "protected_addresses": ["127.0.0.1"],
        },
        add_entries(("203.0.113.0/24", "New office")),
        (POST_ENTRY, DELETE_ENTRY),
    ),
    "entry_add": Task(
        "ip_whitelist",
        {"entries": [{"cidr": "203.0.113.8", "label": "VPN"}]},
        add_entries(("203.0.113.8/32", "VPN")),
        (POST_ENTRY,),
    ),
    "entry_blank": Task(
        "ip_whitelist",
        {"entries": [{"cidr": "203.0.113.8/32", "label": " VPN "}]},
        add_entries(("203.0.113.8/32", "VPN")),
        (POST_ENTRY,),
    ),
    "entry_cover": Task(
        "ip_whitelist",
        {"enabled": True, "protected_addresses": ["192.0.2.5"]},
        add_entries(enabled=True),
        (TOGGLE,),
    ),
    "channel_create": create_channel("On-call"),
    "channel_capitals": create_channel("On-call", config={"recipients": ["Ops@Example.com"]}),
    "channel_nfd": create_channel("Cafe\u0301"),
    "channel_blank": create_channel(" On-call "),
    "channel_entity": create_channel("R&D"),
    "channel_secret": Task(
        "notification_channel",
        {"name": "Hook", "config": {"method": "PUT"}},
        set_object("channels", "Hook", config={"url": HOOK_SECRET, "method": "PUT"}),
        (PUT_CHANNEL,),
    ),
    "channel_update": Task(
        "notification_channel",
        {"name": "Hook", "config": {"method": "PUT"}, "secret_config": {"url": HOOK_SECRET}},
        set_object("channels", "Hook", config={"url": HOOK_SECRET, "method": "PUT"}),
        (PUT_CHANNEL,),
    ),
    "channel_disable": Task(
        "notification_channel",
        {"name": "Pager", "enabled": False},
        set_object("channels", "Pager", enabled=False),
        (PUT_CHANNEL,),
    ),
    "channel_absent": Task(
        "notification_channel",
        {"channel_id": f"{ID}nch_gone", "state": "absent"},
        remove("channels", "Gone"),
        (f"DELETE {CHANNEL_PATH}/*",),
    ),
    "rule_create": create_rule("Growth"),
    "rule_objects": create_rule("Sorted", steps=[{"b": 2}, {"b": 1}]),
    "rule_update": Task(
        "notification_rule",
        {"name": "Late", "filters": {"threshold": 2}},
        set_object("rules", "Late", filters={"threshold": 2}),
        (POST_RULE,),
    ),
    "rule_disable": Task(
        "notification_rule",
        {"name": "Weekly", "enabled": False},
        set_object("rules", "Weekly", enabled=False),
        (POST_RULE,),
    ),
    "key_create": create_key(
        "Deployment", ("pipelines:run", "connections:read"), expires_in_days=90
    ),
    "key_retired": create_key("Retired automation", ("pipelines:read",)),
    "key_expired": replace(
        create_key("Retired automation", ("pipelines:read",)), writes=(POST_KEY, DELETE_KEY)
    ),
    "key_keep": Task(
        "api_key",
        {
            "name": "ci",
            "scopes": ["pipelines:read"],
            "rotate_after_days": 3650,
            "renew_before_days": 10,
        },
        keep,
        (),
        changes=False,
    ),
    "key_absent": Task(
        "api_key",
        {"key_id": f"{ID}key_old", "state": "absent"},
        remove("api_keys", "Old"),
        (DELETE_KEY,),
    ),
    "key_recreate": Task(
        "api_key",
        {"name": "ci", "scopes": ["pipelines:run"], "on_mismatch": "recreate", **SECRET_FILE},
        recreate_ci,
        (POST_KEY, DELETE_KEY),
    ),
    "key_rotate": Task(
        "api_key",
        {"name": "ci", "rotate": True, **SECRET_FILE},
        renew_ci_id,
        ("POST /api/user/api-keys/*/regenerate",),
        repeats=True,
    ),
    "password": Task(
        "password",
        {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
        lambda state: state.update(password=NEW_PASSWORD),
        ("POST /api/user/password",),
        again={"current_password": NEW_PASSWORD, "new_password": NEW_PASSWORD},
    ),
    "mfa": Task(
        "mfa",
        {"state": "enabled", "secret_file": f"{FOLDER}/mfa"},
        set_fields("mfa", enabled=True),
        ("POST /api/user/mfa/enable", "POST /api/user/mfa/verify"),
    ),
    "baseline": Task("baseline", {"controls": CONTROLS}, keep, (POST_SETTINGS, "PUT *")),
    "baseline_logs": Task("baseline", {"controls": [RETENTION]}, keep, (), changes=False),
    "baseline_scopes": Task("baseline", {"controls": [SCOPES]}, keep, (), changes=False),
    "baseline_secret": Task("baseline", {"controls": [HOOK]}, keep, (), changes=False),
    "info": Task("info", {"gather_subset": list(FACTS)}, keep, (), changes=False),
}

ONE = ("settings", "session_timeout", "log_retention", "profile", "preferences")
LISTED = ("key_create", "key_absent", "channel_create", "channel_absent", "rule_update", "entries")
READ = ("info", *LISTED)
CHANNEL_TASKS = ("channel_create", "channel_update", "channel_disable", "channel_absent")
RULE_TASKS = ("rule_create", "rule_update", "rule_disable")
KEY_TASKS = ("key_create", "key_keep", "key_absent", "key_recreate")
ALL = (
    *ONE,
    "entries",
    *CHANNEL_TASKS,
    *RULE_TASKS,
    *KEY_TASKS,
    "password",
    "mfa",
    "baseline",
)


@dataclass(frozen=True)
class Outcome:
    """What is right for one task, with a phrase that the message of a failure must have.

    :param kind: `refused`: it fails, in check mode too, and writes nothing.
        `undone`: it fails, and the state is as before.
        `kept`: it fails, and says so, since the API did something else or something more.
        `either`: it is done, or it fails.
        `first`: it fails in check mode, the first time that it asks, and is done after that.
    """

    kind: str
    phrase: str


@dataclass(frozen=True)
class Row:
    """Variants of one organization, and the tasks that it meets.

    :param outcomes: What is right, where it is not that the task is done.
    :param stored: Changes the expected state where the server normalizes what it stores.
    :param free: Sections whose state is not compared.
    :param state: Sections to begin with, instead of those of `START`.
    :param statuses: Right statuses of the controls of the baseline, where there are several.
    :param resends: Whether a request is sent more than once.
    """

    variants: tuple[str, ...]
    tasks: tuple[str, ...]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    stored: Change = keep
    free: tuple[str, ...] = ()
    state: State = field(default_factory=dict)
    statuses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    resends: bool = False

    @property
    def name(self) -> str:
        return "+".join(self.variants) or "documented"


def refused(phrase: str) -> Outcome:
    return Outcome("refused", phrase)


def undone(phrase: str) -> Outcome:
    return Outcome("undone", phrase)


def kept(phrase: str) -> Outcome:
    return Outcome("kept", phrase)


def either(phrase: str) -> Outcome:
    return Outcome("either", phrase)


def for_each(tasks: Iterable[str], outcome: Outcome) -> dict[str, Outcome]:
    return dict.fromkeys(tasks, outcome)


SECRET_TASKS = (
    "channel_create",
    "channel_secret",
    "baseline_secret",
    "channel_update",
    "channel_disable",
)
MASKS = (
    "redacted",
    "brackets",
    "angle_brackets",
    "xxxx",
    "hidden",
    "null",
    "empty",
    "ellipsis",
    "first_four",
    "last_four",
    "sha256",
    "true",
    "set",
    "two_stars",
    "stars",
    "bullets",
    "circles",
    "full_width",
    "host",
    "host_ellipsis",
    "left_out",
)
FOLLOWED = (
    "documented",
    "top_cursor",
    "cursor_next",
    "meta_pagination",
    "pagination",
    "camel_case",
    "has_more_cursor",
    "links",
    "link_header",
    "last_false",
    "last_null_text",
    "overlap",
    "limit_50",
)
"""Forms of paging that are followed."""

FOLLOWED_OR_REFUSED = ("numbers", "cursor_url")
CUT = ("has_more", "meta_has_more", "total", "total_header", "content_range")
"""Forms that say that there is more, but not where."""

SSO_READ: dict[str, tuple[str, ...]] = {"SSO": ("fixed", "error")}
SCOPES_READ: dict[str, tuple[str, ...]] = {"SCOPES": ("fail", "error")}


def lose_secret(state: State) -> None:
    """Lose what the module cannot restore: it never read the secret."""
    find(state, "channels", "Pager")["config"] = {"severity": "high"}


def renew_rule_ids(state: State) -> None:
    for name in ("Late", "Weekly"):
        del find(state, "rules", name)["id"]


def add_defaults(state: State) -> None:
    for name in ("On-call", "Hook"):
        config = find(state, "channels", name)["config"]
        config.update(attempts=3, verify_tls=True)


def store_zones(state: State) -> None:
    state["settings"]["default_timezone"] = "America/New_York"


def clamp_days(state: State) -> None:
    state["log_retention"]["run_logs_days"] = 10


def store_region(state: State) -> None:
    state["settings"]["data_residency"] = "eu-central-1"


def store_locale(state: State) -> None:
    state["profile"]["locale"] = "de-DE"


def compose_name(state: State) -> None:
    find(state, "channels", "Cafe\u0301")["name"] = "Caf\u00e9"


def trim_name(state: State) -> None:
    find(state, "channels", " On-call ")["name"] = "On-call"


def lower_recipients(state: State) -> None:
    find(state, "channels", "On-call")["config"] = {"recipients": ["ops@example.com"]}


def lower_rule(state: State) -> None:
    find(state, "rules", "Growth")["name"] = "growth"


def sort_steps(state: State) -> None:
    find(state, "rules", "Sorted")["filters"] = {"steps": [{"b": 1}, {"b": 2}]}


def end_with(*changes: Change) -> Change:
    """Return a change that makes several."""

    def change(state: State) -> None:
        for one in changes:
            one(state)

    return change


ROWS = [
    Row((), ("info", *ALL)),
    *(
        Row(
            (f"mask_{name}",),
            SECRET_TASKS,
            {
                "channel_secret": refused("secret_config"),
                "baseline_secret": either("secret_config"),
            },
        )
        for name in MASKS
    ),
    Row(
        ("put_loses_config",),
        ("channel_update", "channel_disable"),
        {"channel_disable": kept("routing_key")},
        stored=lose_secret,
    ),
    Row(("put_merges_config",), CHANNEL_TASKS),
    Row(("config_defaults",), CHANNEL_TASKS, stored=add_defaults),
    Row(
        ("rules_replaced_as_set",),
        ("rule_create",),
        {"rule_create": kept("Weekly")},
        free=("rules",),
    ),
    Row(("rules_get_new_ids",), RULE_TASKS, stored=renew_rule_ids),
    *(
        Row((name,), RULE_TASKS)
        for name in (
            "filters_left_out",
            "filters_with_defaults",
            "filters_with_nulls",
            "channel_ids_as_objects",
        )
    ),
    *(
        Row((f"preferences_{name}",), ("preferences",))
        for name in ("nested", "known_only", "hidden", "lag")
    ),
    Row(("flags_replaced",), ("settings",)),
    Row(("settings_without_residency",), ("settings_zone", "settings_residency")),
    Row(("entry_posted_again_moves",), ("entry_label",)),
    Row(("key_metadata_forbidden",), KEY_TASKS),
    Row(
        ("ids_as_numbers",),
        ("info", *CHANNEL_TASKS, *RULE_TASKS, *KEY_TASKS) + ("entries", "entry_label", "profile"),
    ),
    Row(("regenerated_key_gets_new_id",), ("key_rotate",)),
    Row(("numbers_as_text",), (*ONE, "entries", "baseline")),
    Row(("numbers_as_floats",), (*ONE, "entries", "baseline")),
    Row(("booleans_as_numbers",), (*ONE, "entries", "channel_disable", "rule_disable")),
    Row(
        ("booleans_as_text",),
        (*ONE, "entries", "channel_disable", "rule_disable"),
        {"entries": either("enabled")},
    ),
    Row(("extra_fields",), ("info", *ALL)),
    Row(("extra_nulls",), ("info", *ALL)),
    Row(("null_for_empty",), ("info", *ALL)),
    *(
        Row(
            (f"scopes_as_{name}",),
            ("key_keep", "key_create", "baseline_scopes"),
            for_each(("key_keep", "key_create"), either("scopes")),
            statuses=SCOPES_READ,
        )
        for name in ("text", "objects")
    ),
    Row(
        ("config_as_text",),
        ("baseline_secret", "channel_update", "channel_create"),
        for_each(("baseline_secret", "channel_update", "channel_create"), either("config")),
    ),
    Row(("names_null",), (*READ, "rule_create", "baseline")),
    Row(("profile_without_names",), ("profile",)),
    *(
        Row(
            (f"unlimited_is_{name}",),
            ("session_timeout", "log_retention", "baseline_logs"),
            {
                "session_timeout": either("absolute_timeout_minutes"),
                "log_retention": either("audit_logs_days"),
            },
            statuses={"LOGS": ("fail", "error")},
        )
        for name in ("zero", "minus_one", "null")
    ),
    *(
        Row((f"times_{name}",), (*KEY_TASKS, "entries", "baseline"))
        for name in (
            "epoch",
            "epoch_ms",
            "date",
            "rfc2822",
            "minutes",
            "basic",
            "lower",
            "offset",
        )
    ),
    Row(("never_is_year_1",), (*KEY_TASKS, "baseline")),
    Row(("never_is_empty",), (*KEY_TASKS, "baseline")),
    Row(
        ("never_is_left_out",),
        (*KEY_TASKS, "baseline"),
        for_each(("key_keep", "key_recreate"), either("expires_at")),
    ),
    Row(("features_as_objects",), ("baseline",), statuses=SSO_READ),
    Row(("features_as_map",), ("baseline",), statuses=SSO_READ),
    Row(("features_in_capitals",), ("baseline",)),
    Row(("enforcement_as_text",), ("entries",), {"entries": refused("enabled")}),
    Row(("enforcement_as_number",), ("entries",)),
    Row(("mfa_methods_left_out",), ("mfa",)),
    Row(("mfa_methods_as_objects",), ("mfa",), {"mfa": either("methods")}),
    Row(("mfa_methods_in_capitals",), ("mfa",)),
    Row(("mfa_codes_renamed",), ("mfa",), {"mfa": either("backup")}),
    Row(("names_trimmed",), ("channel_blank",), stored=trim_name),
    Row(
        ("names_lower",),
        ("channel_create", "key_create", "rule_create"),
        {
            "channel_create": undone("on-call"),
            "key_create": undone("deployment"),
            "rule_create": kept("growth"),
        },
        stored=lower_rule,
    ),
    Row(("names_composed",), ("channel_nfd",), stored=compose_name),
    Row(("names_escaped",), ("channel_entity",), {"channel_entity": undone("R&amp;D")}),
    Row(
        ("names_unique",),
        ("channel_create", "key_create", "key_recreate"),
        {"key_recreate": undone("rotate")},
    ),
    Row(("recipients_lower",), ("channel_capitals",), stored=lower_recipients),
    Row(("zones_canonical",), ("settings_zone",), stored=store_zones),
    Row(
        ("locale_canonical",),
        ("profile_locale",),
        {"profile_locale": either("de-DE")},
        stored=store_locale,
    ),
    Row(("scopes_sorted",), KEY_TASKS),
    Row(("scopes_expanded",), ("key_create",), {"key_create": undone("pipelines:read")}),
    Row(("filters_sorted",), ("rule_objects",), stored=sort_steps),
    Row(("labels_trimmed",), ("entry_blank",)),
    Row(
        ("labels_lower",),
        ("entry_label",),
        {"entry_label": either("new office")},
        free=("ip_whitelist",),
    ),
    Row(("days_clamped",), ("log_retention",), {"log_retention": kept("10")}, stored=clamp_days),
    Row(
        ("residency_canonical",),
        ("settings_residency",),
        {"settings_residency": kept("eu-central-1")},
        stored=store_region,
    ),
    Row(("key_lifetime_capped",), ("key_create",), {"key_create": undone("30 days")}),
    Row(("expiry_at_end_of_day",), ("key_create", "key_keep")),
    Row(("lag_one_read",), ALL),
    Row(("lag_two_reads",), ALL),
    Row(("lag_seconds",), ALL),
    Row(("lag_deletions",), ("key_absent", "key_recreate", "channel_absent", "entry_label")),
    Row(("toggle_later",), ("entries",)),
    *(
        Row((f"deleted_stay_with_{name}",), ("key_absent", "key_recreate", "channel_absent"))
        for name in ("state", "time", "active")
    ),
    *(
        Row((f"key_{name}",), ("key_retired", "key_keep"), free=("api_keys",))
        for name in ("revoked", "disabled")
    ),
    Row(("key_expired",), ("key_expired", "key_keep"), free=("api_keys",)),
    *(
        Row((f"entry_{name}",), ("entry_cover",), {"entry_cover": refused("192.0.2.5")})
        for name in ("inactive", "not_enabled", "disabled", "expired")
    ),
    Row(("lone_surrogate",), (*READ, "rule_create", "baseline")),
    Row(("escape_sequences",), (*READ, "rule_create", "baseline")),
    *(Row((f"page_{name}",), (*READ, "baseline")) for name in FOLLOWED),
    *(
        Row(
            (f"page_{name}",),
            (*READ, "baseline"),
            for_each(READ, either("page")),
            statuses=SCOPES_READ,
        )
        for name in FOLLOWED_OR_REFUSED
    ),
    *(
        Row(
            (f"page_{name}",),
            (*READ, "baseline"),
            {**for_each(LISTED, refused("page")), "info": either("page")},
            statuses={"SCOPES": ("error",)},
        )
        for name in CUT
    ),
    Row(("page_no_mark",), ("entries",), {"entries": refused("entry_count")}),
    Row(
        ("empty_list_is_null",),
        ("channel_create", "entry_add"),
        state={
            "channels": [],
            "rules": [],
            "ip_whitelist": {"enabled": False, "last_evaluated_at": CREATED, "entries": []},
        },
    ),
    Row(("bare_lists",), READ, for_each(READ, either("list"))),
    Row(("bare_objects",), ONE, for_each(ONE, either("documented"))),
    Row(("byte_order_mark",), ONE, for_each(ONE, either("JSON"))),
    *(
        Row(
            (f"write_{name}",),
            (*ONE, "entries", *CHANNEL_TASKS, *RULE_TASKS, "key_create", "key_absent")
            + ("password", "mfa", "baseline"),
            {
                "key_create": undone("secret"),
                "password": either("password"),
                "mfa": undone("secret"),
            },
        )
        for name in ("204", "empty_object", "null", "ok", "true", "message", "text")
    ),
    Row(("write_202",), ALL),
    Row(("write_200",), ALL),
    Row(
        ("write_bare",),
        ALL,
        {
            **for_each(("key_create", "key_recreate", "mfa"), either("secret")),
            "password": either("password"),
        },
    ),
    Row(("key_without_secret",), ("key_create",), {"key_create": undone("secret")}),
    *(
        Row(
            (f"first_{status}_{moment}",),
            ALL,
            {"password": either(f"{status}"), "mfa": either(f"{status}")},
            resends=True,
        )
        for status in (408, 520, 521, 522, 523, 524)
        for moment in ("before", "after")
    ),
    Row(
        ("retry_after_hour",),
        ("session_timeout",),
        {"session_timeout": Outcome("first", "3600")},
    ),
    Row(
        ("retry_after_milliseconds",),
        ("session_timeout",),
        {"session_timeout": Outcome("first", "1500")},
    ),
    Row(("retry_after_zero",), (*ONE, *LISTED)),
    *(
        Row((f"errors_{name}",), ("profile_mars",), {"profile_mars": undone("IANA")})
        for name in ("listed", "by_name", "described")
    ),
    Row(("cookies_need_token",), (*ONE, *LISTED)),
    Row(("connection_closed_after_answer",), ALL, resends=True),
    Row(("connection_dropped_when_reused",), ALL, resends=True),
    Row(("byte_a_second",), ("session_timeout",), {"session_timeout": refused("deadline")}),
    Row(
        ("gzip_bomb",),
        ("key_create", "channel_create", "entries"),
        for_each(("key_create", "channel_create", "entries"), refused("MiB")),
    ),
    *(
        Row(
            (name,),
            ("session_timeout", *LISTED),
            for_each(("session_timeout", *LISTED), either("JSON")),
        )
        for name in ("deep_json", "not_a_number", "huge_integer")
    ),
    # Variants of different resources, together: one organization of the dozen has them all.
    Row(
        ("filters_with_defaults", "preferences_nested"),
        (*RULE_TASKS, "preferences"),
    ),
    Row(
        ("numbers_as_text", "never_is_year_1", "features_in_capitals"),
        ("session_timeout", "log_retention", "key_keep", "baseline"),
    ),
    Row(
        ("deleted_stay_with_state", "entry_inactive"),
        ("key_absent", "key_recreate", "channel_absent", "entry_cover"),
        {"entry_cover": refused("192.0.2.5")},
    ),
    Row(
        ("names_composed", "recipients_lower", "scopes_sorted", "zones_canonical"),
        ("channel_nfd", "channel_capitals", "key_create", "settings_zone"),
        stored=end_with(compose_name, lower_recipients, store_zones),
    ),
]
"""Every variant in at least one row. The row without variants is the documented API."""

SOME = ("session_timeout", "entries", "channel_create", "rule_update", "key_create", "key_absent")
"""One task for each way of writing."""

DOZEN: dict[str, tuple[str, ...]] = {
    "mask_redacted": SECRET_TASKS,
    "page_link_header": (*READ, "baseline"),
    "page_has_more": (*READ, "baseline"),
    "filters_with_defaults+preferences_nested": (*RULE_TASKS, "preferences"),
    "ids_as_numbers": ("channel_absent", "rule_update", "key_absent", "key_create", "entry_label"),
    "numbers_as_text+never_is_year_1+features_in_capitals": (
        "session_timeout",
        "log_retention",
        "key_keep",
        "baseline",
    ),
    "write_204": (*SOME, "password", "mfa"),
    "lag_seconds": (*SOME, "settings"),
    "deleted_stay_with_state+entry_inactive": ("key_absent", "key_recreate", "entry_cover"),
    "names_composed+recipients_lower+scopes_sorted+zones_canonical": (
        "channel_nfd",
        "channel_capitals",
        "key_create",
        "settings_zone",
    ),
    "first_520_after": SOME,
    "connection_dropped_when_reused": SOME,
}
"""The rows, and their tasks, of every run of the tests: each kind that loses something."""

PACKED = {
    "mask_redacted": ("channel_secret", "channel_update"),
    "ids_as_numbers": ("key_absent", "channel_absent"),
    "page_has_more": ("key_absent",),
}
"""Rows and tasks that also run as packed modules, each in a process of its own."""


def name_kind(prefix: str, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{prefix}_{name}" for name in names)


NOT_IN_FORCE = (
    *name_kind("key", ("revoked", "expired", "disabled")),
    *name_kind("entry", ("inactive", "not_enabled", "disabled", "expired")),
)
DELETED = name_kind("deleted_stay_with", ("state", "time", "active"))
WRITE_ANSWERS = name_kind(
    "write",
    ("204", "empty_object", "null", "ok", "true", "message", "text", "202", "200", "bare"),
)
TIMES = name_kind(
    "times",
    ("epoch", "epoch_ms", "date", "rfc2822", "minutes", "basic", "lower", "offset"),
)

ISSUE: dict[str, tuple[str, ...]] = {
    "1: a secret is overwritten by its mask": (*name_kind("mask", MASKS), "put_loses_config"),
    "2: a list is silently cut": (
        *name_kind("page", (*FOLLOWED, *FOLLOWED_OR_REFUSED, *CUT, "no_mark")),
        "names_null",
    ),
    "3: a rule deletes all others": ("rules_replaced_as_set",),
    "4: a preference is hidden from the list": name_kind(
        "preferences", ("nested", "known_only", "hidden", "lag")
    ),
    "5: feature flags are merged or replaced": ("flags_replaced",),
    "6: a value has another shape": (
        "channel_ids_as_objects",
        "ids_as_numbers",
        "numbers_as_text",
        "numbers_as_floats",
        "booleans_as_numbers",
        "booleans_as_text",
        "scopes_as_text",
        "scopes_as_objects",
        "config_as_text",
        "features_as_objects",
        "features_as_map",
        "features_in_capitals",
        "enforcement_as_text",
        "enforcement_as_number",
        "page_overlap",
        "never_is_year_1",
        *name_kind("unlimited_is", ("zero", "minus_one", "null")),
        *NOT_IN_FORCE,
    ),
    "7: eventual consistency": (
        "lag_one_read",
        "lag_two_reads",
        "lag_seconds",
        "lag_deletions",
        "toggle_later",
        *DELETED,
    ),
    "8: a connection that the server closed": (
        "connection_closed_after_answer",
        "connection_dropped_when_reused",
    ),
    "9: values that the server normalizes": (
        "scopes_sorted",
        "scopes_expanded",
        "recipients_lower",
        "zones_canonical",
        "locale_canonical",
        "config_defaults",
        "labels_trimmed",
        "labels_lower",
        "days_clamped",
        "residency_canonical",
        "key_lifetime_capped",
        "expiry_at_end_of_day",
    ),
    "10: answers to writes": (*WRITE_ANSWERS, "key_without_secret"),
    "11: times": TIMES,
    "12: null, defaults, names, never": (
        "empty_list_is_null",
        "null_for_empty",
        "extra_nulls",
        "profile_without_names",
        "filters_left_out",
        "filters_with_defaults",
        "filters_with_nulls",
        "names_trimmed",
        "names_lower",
        "names_composed",
        "names_escaped",
        "never_is_empty",
        "never_is_left_out",
    ),
    "24: hostile or broken servers": (
        "byte_a_second",
        "gzip_bomb",
        "deep_json",
        "not_a_number",
        "huge_integer",
        "lone_surrogate",
        "escape_sequences",
        "retry_after_hour",
        "retry_after_zero",
        "retry_after_milliseconds",
        *(f"first_{status}_before" for status in (408, 520, 521, 522, 523, 524)),
        *(f"first_{status}_after" for status in (408, 520, 521, 522, 523, 524)),
    ),
    "smaller ones": (
        "rules_get_new_ids",
        "put_merges_config",
        "settings_without_residency",
        "entry_posted_again_moves",
        "key_metadata_forbidden",
        "regenerated_key_gets_new_id",
        "extra_fields",
        "filters_sorted",
        "names_unique",
        "mfa_methods_left_out",
        "mfa_methods_as_objects",
        "mfa_methods_in_capitals",
        "mfa_codes_renamed",
        "bare_lists",
        "bare_objects",
        "byte_order_mark",
        "errors_listed",
        "errors_by_name",
        "errors_described",
        "cookies_need_token",
    ),
}
"""Which variants prove each numbered demand of the issue "Met in the field"."""
