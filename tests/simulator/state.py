# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State of one organization, as JSON-able models. A test may read and replace each section."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from .clock import Clock, iso
from .identities import PASSWORD, Identity

SECRET_WORDS = ("key", "token", "secret", "password", "url")
"""What the name of a secret in a channel's config contains."""

FEATURES = ["lineage", "git_integration", "pipeline_agents", "sso"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Organization(Section):
    id: str
    name: str
    slug: str
    plan: str
    created_at: str


class Limits(Section):
    max_pipelines: int = 500
    max_connections: int = 200
    max_concurrent_runs: int = 25
    max_agent_count: int = 50


class Tier(Section):
    tier: str
    billing_period: str = "annual"
    renewal_date: str = "2026-06-01"


class Profile(Section):
    id: str
    email: str = "alex.morgan@example.com"
    display_name: str = "Alex Morgan"
    timezone: str = "America/Los_Angeles"
    locale: str = "en-US"
    avatar_url: str
    organization_id: str
    roles: list[str] = ["admin", "pipeline_editor"]


class Mfa(Section):
    """`enrollments` maps the id of an enrollment that was begun to its TOTP secret; `backup_codes` are the unused ones."""

    enabled: bool = False
    secret: str | None = None
    backup_codes: list[str] = []
    enrollments: dict[str, str] = {}


class ApiKey(Section):
    id: str
    name: str
    secret: str
    prefix: str
    scopes: list[str]
    created_at: str
    last_used_at: str | None = None
    expires_at: str | None = None


class SessionTimeout(Section):
    idle_timeout_minutes: int = 60
    absolute_timeout_minutes: int = 1440
    extend_on_activity: bool = True


class Preference(Section):
    value: Any
    updated_at: str = "2025-03-10T09:00:00Z"


class Settings(Section):
    default_timezone: str = "UTC"
    require_sso: bool = False
    data_residency: str = "us"
    feature_flags: dict[str, bool] = {"lineage_v2": True, "git_integration": True}


class IpEntry(Section):
    id: str
    cidr: str
    label: str
    created_at: str


class IpWhitelist(Section):
    enabled: bool = False
    applies_to: list[str] = ["api", "ui"]
    last_evaluated_at: str
    entries: list[IpEntry] = []


class LogRetention(Section):
    run_logs_days: int = 30
    audit_logs_days: int = 365
    diagnostic_artifacts_days: int = 7


class Channel(Section):
    id: str
    type: str
    name: str
    enabled: bool = True
    config: dict[str, Any] = {}
    created_at: str


class Delivery(Section):
    id: str
    channel_id: str
    created_at: str


class Rule(Section):
    id: str
    name: str
    event: str
    channel_ids: list[str]
    filters: dict[str, Any] = {}
    enabled: bool = True
    created_at: str


class OrganizationState(Section):
    organization: Organization
    features: list[str]
    limits: Limits = Limits()
    tier: Tier
    profile: Profile
    password: str = PASSWORD
    mfa: Mfa = Mfa()
    api_keys: list[ApiKey]
    session_timeout: SessionTimeout = SessionTimeout()
    preferences: dict[str, Preference]
    settings: Settings = Settings()
    ip_whitelist: IpWhitelist
    log_retention: LogRetention = LogRetention()
    channels: list[Channel] = []
    deliveries: list[Delivery] = []
    rules: list[Rule] = []


def fresh_state(identity: Identity, key_id: str, clock: Clock) -> OrganizationState:
    """Return a new organization: defaults of the reference, nothing in its lists but the admin key. The third one has no SSO."""
    plan = "team" if identity.number == 3 else "enterprise"
    user_id = f"usr_01jq8me{'' if identity.number == 1 else identity.number}"
    return OrganizationState(
        organization=Organization(
            id=identity.id,
            name=identity.name,
            slug=identity.slug,
            plan=plan,
            created_at="2024-06-01T00:00:00Z",
        ),
        features=[feature for feature in FEATURES if feature != "sso" or plan == "enterprise"],
        tier=Tier(tier=plan),
        profile=Profile(
            id=user_id,
            avatar_url=f"https://cdn.planasonix.com/avatars/{user_id}.png",
            organization_id=identity.id,
        ),
        api_keys=[
            ApiKey(
                id=key_id,
                name="Administration",
                secret=identity.admin_key,
                prefix=identity.admin_key_prefix,
                scopes=["admin:organization"],
                created_at=iso(clock.creation()),
            )
        ],
        preferences={
            "canvas.snap_to_grid": Preference(value=True),
            "canvas.show_minimap": Preference(value=False),
            "notifications.email_digest": Preference(value="weekly"),
        },
        ip_whitelist=IpWhitelist(last_evaluated_at=clock.text()),
    )
