# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of organizations: what a file may say, where keys come from, what becomes of failures, and what the cache holds."""

from __future__ import annotations

import json
import re
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from ansible import constants as C
from ansible import template
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing import vault
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.doc_fragments import constructed, inventory_cache
from ansible.plugins.loader import lookup_loader
from unit.plugins.fake_api import KEY, FakeApi
from unit.plugins.scripted_server import Answer, ScriptedServer

from ansible_collections.planasonix.admin.plugins.inventory import orgs
from ansible_collections.planasonix.admin.plugins.module_utils import _client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import (
    ApiError,
    NoConnection,
    PlanasonixError,
)
from ansible_collections.planasonix.admin.plugins.module_utils._runner import CONNECTION_SPEC
from ansible_collections.planasonix.admin.plugins.module_utils._transport import Connection
from ansible_collections.planasonix.admin.plugins.plugin_utils._orgs_entries import ENTRY_OPTIONS

SECRET = vault.VaultSecret(b"password of the vault")
DOCUMENTATION = yaml.safe_load(orgs.DOCUMENTATION)
FRAGMENTS = [
    yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)
    for fragment in (constructed, inventory_cache)
]
IS_TRUSTED = getattr(template, "is_trusted_as_template", lambda text: True)


def facts(slug: str, tier: str = "enterprise", **organization: t.Any) -> dict[str, t.Any]:
    """What is read of an organization."""
    return {
        "organization": {"id": f"org_{slug}", "name": slug.title(), "slug": slug, **organization},
        "tier": {"tier": tier, "billing_period": "annual"},
        "features": ["lineage", "sso"] if tier == "enterprise" else ["lineage"],
        "limits": {"max_pipelines": 500 if tier == "enterprise" else 10},
    }


def refused(
    message: str = "Could not read the organization: GET /api/organization answered 401 (no).",
) -> ApiError:
    return ApiError(message, status=401)


@dataclass
class Outcome:
    """What came of parsing a file."""

    inventory: InventoryData
    plugin: orgs.InventoryModule

    @property
    def hosts(self) -> dict[str, dict[str, t.Any]]:
        """The variables of each host."""
        return {name: dict(host.vars) for name, host in self.inventory.hosts.items()}

    @property
    def groups(self) -> dict[str, list[str]]:
        """The hosts of each group that there is not always."""
        return {
            name: [host.name for host in group.hosts]
            for name, group in self.inventory.groups.items()
            if name not in ("all", "ungrouped")
        }


@dataclass
class Fleet:
    """Organizations by their keys, in place of the API, and a folder with an inventory file.

    :ivar secret: The password of the vault.
    :ivar asked: The connections that were made.
    :ivar screen: What was displayed, by method of the display.
    """

    folder: Path
    results: dict[str, dict[str, t.Any] | PlanasonixError] = field(default_factory=dict)
    secret: vault.VaultSecret = SECRET
    asked: list[Connection] = field(default_factory=list)
    screen: list[tuple[str, str]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "fleet.planasonix.yml"

    @property
    def keys(self) -> list[str]:
        return [connection.key for connection in self.asked]

    def read(self, connection: Connection) -> dict[str, t.Any] | PlanasonixError:
        self.asked.append(connection)
        return self.results[connection.key]

    def parse(
        self,
        *organizations: t.Any,
        flush: bool = False,
        text: str | None = None,
        inventory: InventoryData | None = None,
        **options: t.Any,
    ) -> Outcome:
        """Write the file, and parse it as Ansible does.

        :param inventory: What earlier sources of the inventory left, empty by default.
        """
        content = {
            "plugin": "planasonix.admin.orgs",
            "organizations": list(organizations),
            **options,
        }
        self.path.write_text(json.dumps(content) if text is None else text, encoding="utf-8")
        loader: t.Any = DataLoader()
        secrets = [("default", self.secret)]
        loader.set_vault_secrets(secrets)
        if hasattr(vault, "VaultSecretsContext"):
            t.cast(t.Any, vault.VaultSecretsContext)._current = vault.VaultSecretsContext(secrets)
        inventory = inventory or InventoryData()
        plugin: t.Any = orgs.InventoryModule()
        plugin._load_name = plugin.ansible_name = orgs.NAME
        plugin._redirected_names = [orgs.NAME]
        plugin.display = Screen(self.screen)
        plugin.parse(inventory, loader, str(self.path), cache=not flush)
        if plugin.get_option("cache"):
            plugin.update_cache_if_changed()
        inventory.reconcile_inventory()
        return Outcome(inventory, plugin)

    def complaint(self, *organizations: t.Any, **options: t.Any) -> str:
        """The message with which the file is refused."""
        with pytest.raises(AnsibleParserError) as caught:
            self.parse(*organizations, **options)
        return caught.value.message


@dataclass
class Screen:
    """A display that keeps what it is given."""

    shown: list[tuple[str, str]]

    def __getattr__(self, name: str) -> t.Callable[..., None]:
        return lambda message, **more: self.shown.append(
            (f"{name} {more}" if more else name, message)
        )


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """Three organizations, the keys of which are in the environment."""
    definitions = {
        name: option
        for part in (*FRAGMENTS, DOCUMENTATION)
        for name, option in part["options"].items()
    }
    t.cast(t.Any, C.config).initialize_plugin_configuration_definitions(
        "inventory", orgs.NAME, definitions
    )
    fleet = Fleet(
        tmp_path,
        {
            "key-of-acme": facts("acme"),
            "key-of-globex": facts("globex"),
            "key-of-initech": facts("initech", "team"),
        },
    )
    for name in ("acme", "globex", "initech"):
        monkeypatch.setenv(f"{name.upper()}_API_KEY", f"key-of-{name}")
    monkeypatch.setattr(orgs, "read_organization", fleet.read)
    # From a plain checkout, without ansible-core's loader of collections, its own plugins have short names only.
    get = lookup_loader.get
    monkeypatch.setattr(
        lookup_loader,
        "get",
        lambda name, *arguments, **more: get(
            name.removeprefix("ansible.builtin."), *arguments, **more
        ),
    )
    if hasattr(vault, "VaultSecretsContext"):
        monkeypatch.setattr(
            vault.VaultSecretsContext, "_current", None
        )  # each file is parsed with its own, and nothing stays
    return fleet


ACME = {"api_key_env": "ACME_API_KEY"}
GLOBEX = {"api_key_env": "GLOBEX_API_KEY"}
INITECH = {"api_key_env": "INITECH_API_KEY"}


def encrypted(key: str) -> str:
    return t.cast(str, vault.VaultLib([("default", SECRET)]).encrypt(key, SECRET).decode())


def vaulted(key: str, **options: t.Any) -> str:
    """The text of a file with an entry that has an encrypted key."""
    head = "".join(f"{name}: {json.dumps(value)}\n" for name, value in options.items())
    lines = "\n".join(f"      {line}" for line in encrypted(key).splitlines())
    return f"plugin: planasonix.admin.orgs\n{head}organizations:\n  - name: acme\n    api_key: !vault |\n{lines}\n"


# What is wrong with organizations, and what the message says.
WRONG: list[tuple[t.Any, str]] = [
    (None, "organizations must be a list"),
    ("plnx_live_a-key", "organizations must be a list"),
    ({"acme": {"api_key": "plnx_live_a-key"}}, "organizations must be a list"),
    ([], "organizations has no entry"),
    (["plnx_live_a-key"], "entry 1 of organizations: it must be a mapping"),
    (
        [ACME, {"api_key_env": "A", "slug": "plnx_live_a-key"}],
        "entry 2 of organizations: slug is unknown; there are name, api_url, api_key_env,",
    ),
    (
        [{"name": "acme"}],
        "entry 1 of organizations (acme): give exactly one of api_key_env, api_key_file, api_key.",
    ),
    (
        [{"api_key_env": "A", "api_key": "plnx_live_a-key"}],
        "give exactly one of api_key_env, api_key_file, api_key, not api_key_env and api_key.",
    ),
    ([{"name": 5, **ACME}], "entry 1 of organizations: name must be a text that is not empty."),
    ([{"name": None, **ACME}], "entry 1 of organizations: name must be a text that is not empty."),
    ([{"name": " ", **ACME}], "name is empty; is the variable that it comes from set?"),
    ([{"api_url": "", **ACME}], "api_url is empty; is the variable that it comes from set?"),
    ([{"organization": "", **ACME}], "organization is empty; is the variable that it comes from"),
    ([{"organization": 43, **ACME}], "organization must be a text that is not empty."),
    ([{"api_key_file": "\t"}], "api_key_file is empty; is the variable that it comes from set?"),
    ([{"api_key": ""}], "api_key is empty; is the variable that it comes from set?"),
    *(
        ([{"name": name, **ACME}], "name must have no slash, backslash or two dots in a row")
        for name in ("acme/eu", "../evil", "a..b", "/etc/x", "a\\b", ".acme", "-acme")
    ),
    ([{"name": "a\x1b[31m", **ACME}], "name must be plain text"),
    ([{"name": "a" * 101, **ACME}], "name must have at most 100 characters."),
    *(
        ([{"name": name, **ACME}], f"name is {name}, which Ansible or this plugin reserves;")
        for name in (
            "all",
            "ALL",
            "ungrouped",
            "localhost",
            "127.0.0.1",
            "omit",
            "planasonix_unreachable",
            "organization_3",
        )
    ),
    ([{"name": " acme", **ACME}], "name must be plain text"),
    ([{"name": "ac\nme", **ACME}], "entry 1 of organizations: name must be plain text"),
    ([{"name": "{{ acme }}", **ACME}], "name must be plain text, not a template"),
    ([{"api_url": ["https://a"], **ACME}], "api_url must be a text that is not empty."),
    (
        [{"api_url": "https://{{ a }}.example.com", **ACME}],
        "api_url must be plain text, not a template",
    ),
    ([{"api_key_env": ""}], "api_key_env is empty; is the variable that it comes from set?"),
    ([{"api_key_env": ["A"]}], "api_key_env must be a text that is not empty."),
    (
        [{"api_key_env": "A' ~ lookup('pipe', 'id') ~ '"}],
        "api_key_env must be the name of an environment variable",
    ),
    ([{"api_key_env": "plnx_live_a-key"}], "api_key_env looks like a key itself"),
    ([{"api_key_file": "plnx_live_a-key"}], "api_key_file looks like a key itself"),
    ([{"api_key_file": "a}}{{ x"}], "api_key_file has a backslash, a brace,"),
    ([{"api_key_file": "a\\' ~ x"}], "api_key_file has a backslash, a brace,"),
    ([{"api_key_file": "a\"b'c"}], "api_key_file has a backslash, a brace,"),
    ([{"api_key_file": "a\nb"}], "api_key_file has a backslash, a brace,"),
    (
        [{"api_key": "plnx_live_a-key"}],
        "entry 1 of organizations: api_key is in plain text, which is refused;",
    ),
    ([{"api_key": 12345678}], "api_key must be a text"),
    (
        [{"name": "a", **ACME}, {"name": "b", **ACME}, {"name": "a", **GLOBEX}],
        "entry 3 of organizations (a): entry 1 has the same name;",
    ),
]


@pytest.mark.parametrize(
    ("organizations", "complaint"), WRONG, ids=[str(number) for number in range(len(WRONG))]
)
@pytest.mark.parametrize("on_error", ["fail", "skip", "group"])
def test_a_list_that_cannot_be_used(
    fleet: Fleet, organizations: t.Any, complaint: str, on_error: str
) -> None:
    """Whatever on_error says, and before anything is read; ansible-core would quote values of a wrong type."""
    message = fleet.complaint(organizations=organizations, on_error=on_error)
    assert message.startswith("planasonix.admin.orgs: ")
    assert complaint in message
    assert "a-key" not in message and "12345678" not in message and "\n" not in message
    assert fleet.asked == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"on_eror": "skip"}, "on_eror is not an option of this plugin."),
        ({"api_key": "plnx_live_a-key"}, "api_key is not an option of this plugin."),
        ({"concurrency": 0}, "concurrency must be at least 1."),
        ({"retries": -1}, "planasonix.admin.orgs: retries and retry_budget must not be negative"),
        ({"timeout": 0}, "planasonix.admin.orgs: timeout must be greater than 0 seconds"),
        ({"api_url": "http://api.example.com"}, "planasonix.admin.orgs: api_url is plain http://"),
        (
            {"api_url": "https://{{ cell }}.example.com"},
            "planasonix.admin.orgs: api_url must be plain text, not a template",
        ),
        ({"api_url": ""}, "api_url is empty; is the variable that it comes from set?"),
        (
            {"validate_certs": ""},
            "validate_certs is empty; is the variable that it comes from set?",
        ),
        ({"ca_path": ""}, "ca_path is empty; is the variable that it comes from set?"),
        ({"timeout": ""}, "timeout is empty; is the variable that it comes from set?"),
        (
            {"validate_certs": "treu"},
            "validate_certs, or PLANASONIX_VALIDATE_CERTS, must be true or false.",
        ),
    ],
)
def test_options_that_cannot_be_used(
    fleet: Fleet, options: dict[str, t.Any], complaint: str
) -> None:
    message = fleet.complaint(ACME, on_error="skip", **options)
    assert complaint in message
    assert "a-key" not in message
    assert fleet.asked == []


def test_a_choice_that_there_is_not(fleet: Fleet) -> None:
    with pytest.raises(AnsibleError, match="on_error"):
        fleet.parse(ACME, on_error="ignore")


def test_an_url_of_an_entry_that_cannot_be_used(fleet: Fleet) -> None:
    message = fleet.complaint(
        ACME, {"name": "globex", "api_url": "http://api.example.com", **GLOBEX}, on_error="skip"
    )
    assert (
        "entry 2 of organizations (globex): api_url is plain http:// to api.example.com" in message
    )


def test_a_folder_that_cannot_be_used(fleet: Fleet, tmp_path: Path) -> None:
    fleet.folder = tmp_path / "a{{b}}"
    fleet.folder.mkdir()
    assert "entry 1 of organizations: api_key_file has a backslash, a brace" in fleet.complaint(
        {"api_key_file": "key"}
    )


def test_a_missing_library(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_client, "REQUESTS_IMPORT_ERROR", "Traceback")
    assert "requests" in fleet.complaint(ACME) and "Traceback" not in fleet.complaint(ACME)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.planasonix.yml", True),
        ("a.planasonix.yaml", True),
        ("planasonix.yml", False),
        ("a.yml", False),
        ("a.planasonix.json", False),
    ],
)
def test_files_are_known_by_their_names(fleet: Fleet, name: str, wanted: bool) -> None:
    (fleet.folder / name).touch()
    assert t.cast(t.Any, orgs.InventoryModule()).verify_file(str(fleet.folder / name)) is wanted


def test_a_file_that_is_not_there(fleet: Fleet) -> None:
    assert t.cast(t.Any, orgs.InventoryModule()).verify_file(str(fleet.path)) is False


def test_variables_of_a_host(fleet: Fleet) -> None:
    outcome = fleet.parse(
        ACME, {"name": "the other", "api_url": "https://globex.example.com/v1", **GLOBEX}
    )
    read = facts("acme")
    assert list(outcome.hosts) == ["acme", "the other"]
    assert {
        name: value
        for name, value in outcome.hosts["acme"].items()
        if name.startswith("planasonix_")
    } == {
        "planasonix_api_url": "https://api.planasonix.com",
        "planasonix_api_key": "{{ lookup('ansible.builtin.env', 'ACME_API_KEY') }}",
        **{
            f"planasonix_{subset}": read[subset]
            for subset in ("organization", "tier", "features", "limits")
        },
    }
    assert outcome.hosts["the other"]["planasonix_api_url"] == "https://globex.example.com/v1"
    assert outcome.groups == {}
    assert {(connection.url, connection.key) for connection in fleet.asked} == {
        ("https://api.planasonix.com", "key-of-acme"),
        ("https://globex.example.com/v1", "key-of-globex"),
    }
    assert fleet.screen == []


def test_options_of_the_connection(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANASONIX_API_URL", "https://cell.example.com/v1")
    monkeypatch.setenv("PLANASONIX_TIMEOUT", "7.5")
    monkeypatch.setenv("PLANASONIX_VALIDATE_CERTS", "false")
    monkeypatch.setenv("PLANASONIX_CA_PATH", "/certificates")
    fleet.parse(ACME, retries=1, retry_budget=2.5)
    assert fleet.asked == [
        Connection(
            "https://cell.example.com/v1", "key-of-acme", False, "/certificates", 7.5, 1, 2.5
        )
    ]
    fleet.parse(ACME, api_url="https://other.example.com", timeout=3, validate_certs=True)
    assert (fleet.asked[1].url, fleet.asked[1].timeout, fleet.asked[1].validate_certs) == (
        "https://other.example.com",
        3,
        True,
    )


def test_the_documentation_tells_the_options_of_the_modules() -> None:
    def of_module(option: dict[str, t.Any]) -> tuple[t.Any, ...]:
        return option["type"], option.get("default"), option.get("fallback", (None, []))[1]

    def of_plugin(option: dict[str, t.Any]) -> tuple[t.Any, ...]:
        return (
            option["type"],
            option.get("default"),
            [source["name"] for source in option.get("env", [])],
        )

    names = set(CONNECTION_SPEC) - {"api_key"}
    assert {name: of_plugin(DOCUMENTATION["options"][name]) for name in names} == {
        name: of_module(CONNECTION_SPEC[name]) for name in names
    }
    suboptions = DOCUMENTATION["options"]["organizations"]["suboptions"]
    assert tuple(sorted(suboptions)) == tuple(sorted(ENTRY_OPTIONS))


def test_the_example_can_be_used() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!vault", lambda loader, node: "{{ encrypted }}")
    example = yaml.load(orgs.EXAMPLES, Loader)
    orgs.check_organizations(example["organizations"])
    assert set(example) <= {
        name for part in (*FRAGMENTS, DOCUMENTATION) for name in part["options"]
    }


@pytest.mark.parametrize("name", ["key", "a key", "it's", 'say "hi"', "schlüssel", "100%", "#1"])
def test_a_key_in_a_file(fleet: Fleet, name: str) -> None:
    """The lookup gives the same as the plugin read, whatever the file is called."""
    (fleet.folder / "keys").mkdir()
    (fleet.folder / "keys" / name).write_text("key-of-acme\r\n\n", encoding="utf-8")
    outcome = fleet.parse({"api_key_file": f"keys/{name}"})
    assert fleet.keys == ["key-of-acme"]
    variable = outcome.hosts["acme"]["planasonix_api_key"]
    assert str(fleet.folder / "keys" / name) in variable and "key-of-acme" not in variable
    assert IS_TRUSTED(variable)
    assert t.cast(t.Any, outcome.plugin).templar.template(variable) == "key-of-acme"


def test_a_key_in_the_home_folder(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "key").write_text("key-of-acme", encoding="utf-8")
    outcome = fleet.parse({"api_key_file": "~/key"})
    assert (
        outcome.hosts["acme"]["planasonix_api_key"]
        == f"{{{{ lookup('ansible.builtin.file', '{tmp_path}/home/key') }}}}"
    )


def test_a_key_by_a_template(fleet: Fleet) -> None:
    written = "{{ lookup('ansible.builtin.env', 'ACME_API_KEY') | trim }}"
    outcome = fleet.parse({"api_key": written})
    assert fleet.keys == ["key-of-acme"]
    assert outcome.hosts["acme"]["planasonix_api_key"] == written
    assert IS_TRUSTED(outcome.hosts["acme"]["planasonix_api_key"])


def test_a_key_in_the_environment_is_a_trusted_template(fleet: Fleet) -> None:
    assert IS_TRUSTED(fleet.parse(ACME).hosts["acme"]["planasonix_api_key"])


def test_an_encrypted_key_stays_encrypted(fleet: Fleet) -> None:
    outcome = fleet.parse(text=vaulted("key-of-acme"))
    assert fleet.keys == ["key-of-acme"]
    variable = outcome.hosts["acme"]["planasonix_api_key"]
    assert isinstance(variable, orgs.Encrypted)
    assert "$ANSIBLE_VAULT" in str(variable._ciphertext)


@pytest.mark.parametrize(
    "literal",
    ["{{ 'key-of-acme' }}", "{{ lookup('ansible.builtin.env', 'NONE') or 'key-of-acme' }}"],
)
def test_a_template_that_holds_the_key(fleet: Fleet, literal: str) -> None:
    message = fleet.complaint({"name": "acme", "api_key": literal}, on_error="skip")
    assert (
        message
        == "planasonix.admin.orgs: entry 1 of organizations (acme): api_key contains the key in plain text, which is refused; use a lookup."
    )


UNUSABLE_KEYS: list[tuple[dict[str, str], str]] = [
    ({"api_key_env": "NOT_THERE"}, "The environment variable NOT_THERE is not set, or is empty."),
    ({"api_key_env": "EMPTY"}, "The environment variable EMPTY is not set, or is empty."),
    (
        {"api_key_env": "WITH_BLANK"},
        "api_key holds a space, a line break or another character that no API key has; is there a line break at its end?",
    ),
    (
        {"api_key_file": "not-there"},
        "The file {folder}/not-there does not exist, or cannot be read.",
    ),
    ({"api_key_file": "empty"}, "The file {folder}/empty is empty."),
    (
        {
            "api_key": "{{ lookup('ansible.builtin.file', lookup('ansible.builtin.env', 'ACME_API_KEY')) }}"
        },
        "The template of api_key cannot be rendered;",
    ),
    (
        {"api_key": "{{ not_there }}"},
        "The template of api_key cannot be rendered; run with -vvv to see why.",
    ),
    ({"api_key": "{{ '' }}"}, "The template of api_key gives an empty text."),
]


@pytest.mark.parametrize(
    ("entry", "reason"), UNUSABLE_KEYS, ids=[str(number) for number in range(len(UNUSABLE_KEYS))]
)
def test_a_key_that_cannot_be_used(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, entry: dict[str, str], reason: str
) -> None:
    """It counts as an organization that cannot be read. What a template says of its failure is for -vvv alone."""
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("WITH_BLANK", "key-of-acme\n")
    (fleet.folder / "empty").write_text("\n", encoding="utf-8")
    reason = reason.format(folder=fleet.folder)
    message = fleet.complaint(entry, GLOBEX)
    assert (
        message.startswith(
            "planasonix.admin.orgs: 1 of 2 organizations could not be read. entry 1 of organizations: "
        )
        and reason in message
    )
    outcome = fleet.parse(entry, GLOBEX, on_error="group")
    assert outcome.hosts["organization_1"]["planasonix_error"].startswith(reason)
    shown = [text for kind, text in fleet.screen if kind != "vvv"]
    assert "key-of-acme" not in message + str(outcome.hosts) + str(shown)


def test_a_vault_password_that_is_wrong(fleet: Fleet) -> None:
    fleet.secret = vault.VaultSecret(b"another password")
    outcome = fleet.parse(text=vaulted("key-of-acme", on_error="group"))
    assert (
        "cannot be decrypted; give the vault password" in outcome.hosts["acme"]["planasonix_error"]
    )
    assert isinstance(outcome.hosts["acme"]["planasonix_api_key"], orgs.Encrypted)


@pytest.fixture
def broken(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """The second and the third of four organizations cannot be read."""
    fleet.results |= {
        "key-of-globex": refused(),
        "dead": NoConnection(
            "Could not read the organization: no connection to x (refused {{ 1 }})."
        ),
    }
    monkeypatch.setenv("DEAD", "dead")
    return fleet


UNKNOWN_SLUG = (
    "planasonix.admin.orgs: The slug of entry 3 of organizations is not known. Unless organization "
    "is the slug, another organization that took the slug gets the host variables. Give the entry "
    "a name."
)
FOUR = (ACME, {"name": "globex", **GLOBEX}, {"api_key_env": "DEAD"}, INITECH)


def test_failures_make_the_file_unusable(broken: Fleet) -> None:
    with pytest.raises(AnsibleParserError) as caught:
        broken.parse(*FOUR)
    assert caught.value.message == (
        "planasonix.admin.orgs: 2 of 4 organizations could not be read. "
        "entry 2 of organizations (globex): Could not read the organization: GET /api/organization answered 401 (no). "
        "entry 3 of organizations: Could not read the organization: no connection to x (refused {{ 1 }})."
    )
    assert len(broken.asked) == 4, "all are told at once"


def test_failures_are_skipped(broken: Fleet) -> None:
    outcome = broken.parse(*FOUR, on_error="skip")
    assert (list(outcome.hosts), outcome.groups) == (["acme", "initech"], {})
    assert [kind for kind, _text in broken.screen] == ["warning"] * 3
    assert broken.screen[0][1] == UNKNOWN_SLUG
    assert "entry 2 of organizations (globex) is left out. Could not read" in broken.screen[1][1]


def test_failures_are_grouped(broken: Fleet) -> None:
    """They are in no other group, since nothing is known of them."""
    outcome = broken.parse(
        *FOUR,
        on_error="group",
        strict=True,
        groups={"everybody": "true"},
        compose={"slug": "planasonix_organization.slug"},
    )
    assert list(outcome.hosts) == ["acme", "globex", "organization_3", "initech"]
    assert outcome.groups == {
        "planasonix_unreachable": ["globex", "organization_3"],
        "everybody": ["acme", "initech"],
    }
    assert {
        name: value
        for name, value in outcome.hosts["organization_3"].items()
        if name.startswith("planasonix_")
    } == {
        "planasonix_api_url": "https://api.planasonix.com",
        "planasonix_api_key": "{{ lookup('ansible.builtin.env', 'DEAD') }}",
        "planasonix_error": "Could not read the organization: no connection to x (refused {{ 1 }}).",
    }
    assert "slug" not in outcome.hosts["globex"]
    assert broken.screen == [("warning", UNKNOWN_SLUG)]


def test_the_group_of_failures_is_there_even_if_there_are_none(fleet: Fleet) -> None:
    assert fleet.parse(ACME, on_error="group").groups == {"planasonix_unreachable": []}


@pytest.mark.parametrize("slug", [None, "", "a b", "{{ x }}", "-a", "a,b", "a[1:3]"])
def test_a_slug_that_is_no_name(fleet: Fleet, slug: t.Any) -> None:
    fleet.results["key-of-acme"] = {**facts("acme"), "organization": {"name": "Acme", "slug": slug}}
    assert "give the entry a name" in fleet.complaint(ACME)
    assert list(fleet.parse({"name": "acme", **ACME}).hosts) == ["acme"]


KEYED = [{"prefix": "tier", "key": "planasonix_tier.tier"}, {"key": "planasonix_features"}]
NAMES: dict[str, tuple[str, str]] = {
    "reserved": ("all", "The slug all is a name that Ansible or this plugin reserves"),
    "in another case": ("LocalHost", "The slug LocalHost is a name that Ansible or this plugin"),
    "of this plugin": ("planasonix_unreachable", "is a name that Ansible or this plugin reserves"),
    "placeholder": ("organization_3", "is a name that Ansible or this plugin reserves"),
    "keyed group": ("tier_team", "The slug tier_team is the name of a group"),
    "group of a condition": ("small", "The slug small is the name of a group"),
    "group of nobody": ("nobody", "The slug nobody is the name of a group"),
    "group from before": ("production", "The slug production is the name of a group"),
    "host with a key": ("db1", "The slug db1 is a host of another inventory source"),
    "name of another": ("initech", "The slug initech is also what entry 3 of organizations (init"),
    "file of variables": ("initech.yml", "is what a file with variables of another host may be"),
    "path": ("../evil", "The slug '../evil' is not plain enough for the name of a host"),
    "long": ("a" * 101, "is not plain enough for the name of a host"),
}


def earlier_sources() -> InventoryData:
    """An inventory with a group, and with a host that has a key."""
    inventory = InventoryData()
    inventory.add_group("production")
    inventory.add_host("db1", "production")
    inventory.set_variable("db1", "planasonix_api_key", "of another source")
    return inventory


@pytest.mark.parametrize(("slug", "reason"), NAMES.values(), ids=NAMES)
def test_a_slug_with_another_meaning(fleet: Fleet, slug: str, reason: str) -> None:
    """It is refused for that organization alone, and no name has two meanings."""
    fleet.results["key-of-globex"] = facts(slug, id="org_globex")
    entries = (ACME, GLOBEX, {"name": "initech", **INITECH})
    options: dict[str, t.Any] = {
        "keyed_groups": KEYED,
        "groups": {"small": "planasonix_limits.max_pipelines < 50", "nobody": "false"},
    }

    message = fleet.complaint(*entries, inventory=earlier_sources(), **options)
    assert message.startswith(
        "planasonix.admin.orgs: 1 of 3 organizations cannot be used. entry 2 of organizations: "
    )
    assert reason in message and message.endswith("; give the entry a name.")

    skipped = fleet.parse(
        *entries, inventory=earlier_sources(), on_error="skip", strict=True, **options
    )
    assert list(skipped.hosts) == ["db1", "acme", "initech"]
    assert set(skipped.hosts) & set(skipped.groups) == set()
    assert [kind for kind, _text in fleet.screen] == ["warning"]
    assert "entry 2 of organizations is left out. The" in fleet.screen[0][1]

    grouped = fleet.parse(*entries, inventory=earlier_sources(), on_error="group", **options)
    assert list(grouped.hosts) == ["db1", "acme", "organization_2", "initech"]
    assert grouped.groups["planasonix_unreachable"] == ["organization_2"]
    assert reason in grouped.hosts["organization_2"]["planasonix_error"]
    assert "GLOBEX" in grouped.hosts["organization_2"]["planasonix_api_key"]
    for outcome in (skipped, grouped):
        assert outcome.hosts["db1"]["planasonix_api_key"] == "of another source"
        assert outcome.groups["production"] == ["db1"]
        assert outcome.groups["tier_enterprise"] == ["acme"]
        assert "INITECH" in outcome.hosts["initech"]["planasonix_api_key"]
        assert not outcome.inventory.groups["tier_team"].vars


def test_a_host_of_another_source_is_not_named_after_a_slug(fleet: Fleet) -> None:
    """Its variables may be secrets, also if there is no key among them."""
    inventory = InventoryData()
    inventory.add_host("acme")
    inventory.set_variable("acme", "db_password", "secret")
    assert fleet.complaint(ACME, inventory=inventory).endswith(
        "The slug acme is a host of another inventory source; give the entry a name."
    )
    assert list(inventory.hosts["acme"].vars) == ["inventory_file", "inventory_dir", "db_password"]
    outcome = fleet.parse({"name": "acme", **ACME}, inventory=inventory)
    assert "ACME" in outcome.hosts["acme"]["planasonix_api_key"]
    assert outcome.hosts["acme"]["db_password"] == "secret"


@pytest.mark.parametrize("slug", ["acme-analytics", "7", "A.b_c-D", "a" * 100, "organization-3"])
def test_a_slug_that_is_a_plain_name(fleet: Fleet, slug: str) -> None:
    fleet.results["key-of-acme"] = facts(slug)
    assert list(fleet.parse(ACME, keyed_groups=KEYED, strict=True).hosts) == [slug]


def test_two_organizations_of_one_slug(fleet: Fleet) -> None:
    """Nobody can say whose it is, so neither gets it, unless the file says it."""
    fleet.results["key-of-globex"] = facts("Acme")
    message = fleet.complaint(ACME, GLOBEX, INITECH)
    assert "2 of 3 organizations cannot be used." in message
    assert "The slug acme is also what entry 2 of organizations is called; give" in message
    assert "The slug Acme is also what entry 1 of organizations is called; give" in message
    assert list(fleet.parse(ACME, GLOBEX, INITECH, on_error="skip").hosts) == ["initech"]
    for entries in (
        ({"organization": "acme", **ACME}, GLOBEX),
        ({"name": "acme", **ACME}, GLOBEX),
        ({"name": "acme", **ACME}, {"organization": "Acme", **GLOBEX}),
    ):
        outcome = fleet.parse(*entries, on_error="skip")
        assert list(outcome.hosts) == ["acme"]
        assert "ACME" in outcome.hosts["acme"]["planasonix_api_key"]
    assert list(fleet.parse(ACME, {"name": "second", **GLOBEX}).hosts) == ["acme", "second"]


@pytest.mark.parametrize("pin", [{"name": "globex"}, {"organization": "globex"}])
def test_nobody_takes_the_slug_of_one_that_is_out_of_reach(
    fleet: Fleet, pin: dict[str, str]
) -> None:
    fleet.results |= {"key-of-acme": facts("globex", id="org_acme"), "key-of-globex": refused()}
    outcome = fleet.parse(ACME, {**GLOBEX, **pin}, on_error="skip")
    assert outcome.hosts == {}
    assert "The slug globex is also what entry 2 of organizations" in str(fleet.screen)


def test_a_group_with_the_name_that_the_file_gives_a_host(fleet: Fleet) -> None:
    """Whoever names itself into such a group has to go, and not the host."""
    fleet.results["key-of-acme"] = facts("acme", name="initech")
    keyed = [{"key": "planasonix_organization.name", "separator": ""}]
    entries = (ACME, GLOBEX, {"name": "initech", **INITECH})
    for on_error, hosts in (
        ("skip", ["globex", "initech"]),
        ("group", ["organization_1", "globex", "initech"]),
    ):
        outcome = fleet.parse(*entries, on_error=on_error, keyed_groups=keyed)
        assert list(outcome.hosts) == hosts
        assert "initech" not in outcome.groups
        assert "INITECH" in outcome.hosts["initech"]["planasonix_api_key"]
    assert (
        "It is in the group initech, which has the name of a host (entry 3 of organizations"
        in outcome.hosts["organization_1"]["planasonix_error"]
    )
    fleet.results["key-of-initech"] = facts("i", name="initech")
    assert list(fleet.parse(*entries, on_error="skip", keyed_groups=keyed).hosts) == ["globex"]


@pytest.mark.parametrize("on_error", ["skip", "group"])
def test_nobody_hides_in_the_group_of_those_that_cannot_be_used(
    fleet: Fleet, on_error: str
) -> None:
    """An audit of all others would not see the organization."""
    fleet.results["key-of-acme"] = facts("acme", name="planasonix_unreachable")
    keyed = [{"key": "planasonix_organization.name", "separator": ""}]
    outcome = fleet.parse(ACME, GLOBEX, on_error=on_error, keyed_groups=keyed)
    if on_error == "group":
        assert list(outcome.hosts) == ["organization_1", "globex"]
        reason = outcome.hosts["organization_1"]["planasonix_error"]
        assert "An expression puts it into the group planasonix_unreachable" in reason
    else:
        assert list(outcome.hosts) == ["globex"]
        assert "entry 1 of organizations is left out. An expression" in fleet.screen[0][1]


@pytest.mark.parametrize("options", [{}, {"groups": {"production": "false"}}])
@pytest.mark.parametrize("on_error", ["fail", "skip", "group"])
def test_a_name_in_the_file_that_is_a_group(
    fleet: Fleet, options: dict[str, t.Any], on_error: str
) -> None:
    entry = {"name": "production", **ACME}
    inventory = InventoryData() if options else earlier_sources()
    assert (
        "entry 1 of organizations (production): production is the name of a group, so it cannot be"
        in fleet.complaint(entry, inventory=inventory, on_error=on_error, **options)
    )


def test_two_keys_of_one_organization(fleet: Fleet) -> None:
    """One of them is mistyped. No task may use either, or one is audited twice and one never."""
    fleet.results["key-of-globex"] = facts("acme")
    entries = ({"name": "acme", **ACME}, {"name": "globex", **GLOBEX}, INITECH)
    assert fleet.complaint(*entries) == (
        "planasonix.admin.orgs: 2 of 3 organizations cannot be used. "
        "entry 1 of organizations (acme): Its key and the key of entry 2 of organizations (globex) "
        "belong to the same organization, Acme (org_acme). "
        "Correct one of the keys, or remove one of the entries. "
        "entry 2 of organizations (globex): Its key and the key of entry 1 of organizations (acme) "
        "belong to the same organization, Acme (org_acme). "
        "Correct one of the keys, or remove one of the entries."
    )
    assert list(fleet.parse(*entries, on_error="skip").hosts) == ["initech"]
    outcome = fleet.parse(*entries, on_error="group")
    assert outcome.groups == {"planasonix_unreachable": ["acme", "globex"]}
    templar = t.cast(t.Any, outcome.plugin).templar
    templar.available_variables = outcome.hosts["acme"]
    with pytest.raises(AnsibleError, match="The key is withheld; see planasonix_error."):
        templar.template(orgs.mark_trusted("{{ planasonix_api_key | default('another key') }}"))

    same = {"organization": "org_acme"}
    assert list(fleet.parse(entries[0], {**entries[1], **same}, on_error="skip").hosts) == [
        "globex"
    ]
    both = fleet.parse({**entries[0], **same}, {**entries[1], **same})
    assert list(both.hosts) == ["acme", "globex"]
    elsewhere = {"api_url": "https://cell.example.com"}
    assert len(fleet.parse(entries[0], {**entries[1], **elsewhere}).hosts) == 2
    fleet.results |= {key: facts("acme", id=1) for key in ("key-of-acme", "key-of-globex")}
    assert "belong to the same organization, Acme (1)." in fleet.complaint(*entries)


def test_a_key_of_another_organization(fleet: Fleet) -> None:
    entries = ({"name": "acme", "organization": "org_acme", **GLOBEX}, INITECH)
    message = (
        "The key belongs to Globex (org_globex), not to org_acme. "
        "Correct the place of the key, or organization."
    )
    assert message in fleet.complaint(*entries)
    assert list(fleet.parse(*entries, on_error="skip").hosts) == ["initech"]
    host = fleet.parse(*entries, on_error="group").hosts["acme"]
    assert host["planasonix_error"] == message
    assert "withheld" in host["planasonix_api_key"]
    for pin in ("org_globex", "globex"):
        assert list(fleet.parse({"organization": pin, **GLOBEX}).hosts) == ["globex"]


def things(inventory: InventoryData) -> dict[str, t.Any]:
    """All that an inventory has, by the names of its hosts and groups."""
    found: dict[str, t.Any] = {}
    for host in inventory.hosts.values():
        found[str(host)] = [dict(host.vars), *map(str, host.get_groups())]
    for group in inventory.groups.values():
        others = (group.hosts, group.get_hosts(), group.child_groups, group.parent_groups)
        found[str(group)] = [dict(group.vars), group.depth, *map(str, others)]
    return found


UNEQUAL = "{'acme': 1}[planasonix_organization.slug]"


@pytest.mark.parametrize(
    "options",
    [
        {"compose": {"found": UNEQUAL}},
        {"groups": {"found": UNEQUAL}},
        {"keyed_groups": [{"prefix": "found", "key": f"{UNEQUAL} | string"}]},
        {"keyed_groups": [{"key": "planasonix_limits.nothing | default('')"}]},
        {
            "keyed_groups": [
                {
                    "key": "planasonix_organization.slug",
                    "parent_group": "{{ {'acme': '_globex', 'globex': '_acme'}["
                    "planasonix_organization.slug] }}",
                }
            ]
        },
    ],
    ids=["compose", "groups", "keyed_groups", "no name of a group", "a loop of groups"],
)
@pytest.mark.parametrize("on_error", ["fail", "skip", "group"])
def test_the_inventory_is_whole_or_not_there(
    fleet: Fleet, options: dict[str, t.Any], on_error: str
) -> None:
    """An expression fails for the second organization, after the first was added."""
    inventory = earlier_sources()
    inventory.add_host("acme", "production")
    inventory.set_variable("acme", "color", "blue")
    before = things(inventory)
    entries = ({"name": "acme", **ACME}, GLOBEX)
    message = fleet.complaint(
        *entries, inventory=inventory, on_error=on_error, strict=True, **options
    )
    assert re.match(r"planasonix.admin.orgs: entry [12] of organizations( \(acme\))?: ", message)
    assert things(inventory) == before
    assert fleet.screen == []
    inventory.reconcile_inventory()
    assert inventory.get_groups_dict()["all"] == ["db1", "acme"]


@pytest.mark.parametrize(
    ("tier", "keyed"),
    [
        ("_loop", {"key": "planasonix_tier.tier", "separator": "", "parent_group": "_loop"}),
        ("_b", {"key": "planasonix_tier.tier", "separator": "", "parent_group": "_a"}),
    ],
    ids=["a group in itself", "a loop of groups"],
)
def test_an_expression_that_ansible_refuses_for_one(
    fleet: Fleet, tier: str, keyed: dict[str, t.Any]
) -> None:
    """Without strict it costs that organization, and no other."""
    fleet.results["key-of-globex"] = facts("globex", tier)
    inventory = InventoryData()
    for name in ("_a", "_b"):
        inventory.add_group(name)
    inventory.add_child("_b", "_a")
    outcome = fleet.parse(
        ACME, GLOBEX, INITECH, inventory=inventory, on_error="skip", keyed_groups=[keyed]
    )
    assert list(outcome.hosts) == ["acme", "initech"]
    assert "entry 2 of organizations is left out. " in fleet.screen[0][1]
    assert set(outcome.groups) - {"_a", "_b", "_loop"} == {"enterprise", "team"}


def test_expressions_that_ansible_refuses_for_all(fleet: Fleet) -> None:
    """That is a mistake in the file, whatever on_error says."""
    keyed = [{"key": "planasonix_tier.tier", "default_value": "a", "trailing_separator": False}]
    message = fleet.complaint(ACME, GLOBEX, on_error="skip", keyed_groups=keyed)
    assert "entry 1 of organizations: parameters are mutually exclusive" in message


def test_expressions_that_fail_without_strict(fleet: Fleet) -> None:
    outcome = fleet.parse(ACME, GLOBEX, compose={"found": UNEQUAL})
    assert [str(host.get("found")) for host in outcome.hosts.values()] == ["1", "None"]
    assert all("planasonix_api_key" in host for host in outcome.hosts.values())


def test_groups_and_variables_from_expressions(fleet: Fleet) -> None:
    outcome = fleet.parse(
        ACME,
        INITECH,
        strict=True,
        keyed_groups=[
            {"prefix": "tier", "key": "planasonix_tier.tier"},
            {"prefix": "feature", "key": "planasonix_features"},
        ],
        groups={"small": "planasonix_limits.max_pipelines < 50", "not-safe": "slug == 'acme'"},
        compose={"slug": "planasonix_organization.slug"},
    )
    assert outcome.groups == {
        "tier_enterprise": ["acme"],
        "tier_team": ["initech"],
        "feature_lineage": ["acme", "initech"],
        "feature_sso": ["acme"],
        "small": ["initech"],
        "not_safe": ["acme"],
    }
    assert outcome.hosts["acme"]["slug"] == "acme"


@pytest.mark.parametrize(
    "options",
    [
        {"compose": {"found": "planasonix_api_key"}},
        {"keyed_groups": [{"key": "planasonix_api_key"}]},
        {"groups": {"found": "planasonix_api_key is search('acme')"}},
        {"compose": {"planasonix_api_key": "'key-of-acme'"}},
    ],
)
def test_no_expression_gets_at_a_key(fleet: Fleet, options: dict[str, t.Any]) -> None:
    outcome = fleet.parse(ACME, **options)
    assert outcome.groups == {}
    assert "found" not in outcome.hosts["acme"]
    assert (
        outcome.hosts["acme"]["planasonix_api_key"]
        == "{{ lookup('ansible.builtin.env', 'ACME_API_KEY') }}"
    )


def test_nothing_that_the_api_says_is_a_template(fleet: Fleet) -> None:
    trap = "{{ lookup('ansible.builtin.env', 'ACME_API_KEY') }}"
    fleet.results["key-of-acme"] = facts("acme", name=trap) | {"features": [trap]}
    outcome = fleet.parse(ACME, compose={"found": "planasonix_organization.name"})
    templar = t.cast(t.Any, outcome.plugin).templar
    templar.available_variables = outcome.hosts["acme"]
    for expression in ("planasonix_organization.name", "planasonix_features[0]", "found"):
        rendered = templar.template(orgs.mark_trusted("{{ " + expression + " }}"))
        assert rendered == trap


@pytest.mark.parametrize(
    ("variable", "option", "value"),
    [
        ("PLANASONIX_API_URL", "url", "https://api.planasonix.com"),
        ("PLANASONIX_VALIDATE_CERTS", "validate_certs", True),
        ("PLANASONIX_CA_PATH", "ca_path", None),
        ("PLANASONIX_TIMEOUT", "timeout", 30),
        ("PLANASONIX_DEADLINE", "deadline", 120),
    ],
)
def test_an_empty_environment_variable_is_unset(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, variable: str, option: str, value: t.Any
) -> None:
    monkeypatch.setenv(variable, "")
    fleet.parse(ACME)
    fleet.parse(ACME, timeout=7, deadline=8)
    assert getattr(fleet.asked[0], option) == value
    assert (fleet.asked[1].timeout, fleet.asked[1].deadline) == (7, 8)


CACHE: dict[str, t.Any] = {"cache": True, "cache_plugin": "jsonfile", "cache_timeout": 3600}


def cached(fleet: Fleet) -> str:
    """Everything that the cache's files hold."""
    return "".join(path.read_text(encoding="utf-8") for path in (fleet.folder / "cache").iterdir())


def test_the_cache(fleet: Fleet) -> None:
    options: dict[str, t.Any] = {**CACHE, "cache_connection": str(fleet.folder / "cache")}
    first = fleet.parse(ACME, GLOBEX, **options)
    assert sorted(fleet.keys) == ["key-of-acme", "key-of-globex"]
    assert "key-of" not in cached(fleet) and "acme" in cached(fleet)

    fleet.asked.clear()
    assert fleet.parse(ACME, GLOBEX, **options).hosts == first.hosts
    assert fleet.keys == [], "nothing is read again"

    fleet.parse(INITECH, ACME, GLOBEX, **options)
    assert fleet.keys == ["key-of-initech"], "what was added later is read"

    fleet.asked.clear()
    fleet.results["key-of-acme"] = facts("acme", "team")
    assert (
        fleet.parse(ACME, INITECH, flush=True, **options).hosts["acme"]["planasonix_tier"]["tier"]
        == "team"
    )
    assert sorted(fleet.keys) == ["key-of-acme", "key-of-initech"], "flushed"

    fleet.asked.clear()
    assert fleet.parse(ACME, GLOBEX, **options).hosts["acme"]["planasonix_tier"]["tier"] == "team"
    assert fleet.keys == ["key-of-globex"], "what was not in the file is not kept"

    fleet.asked.clear()
    fleet.parse(
        {"name": "acme", "api_key": "{{ lookup('ansible.builtin.env', 'ACME_API_KEY') }}"},
        **options,
    )
    fleet.parse({"name": "acme", "api_url": "https://cell.example.com", **ACME}, **options)
    assert fleet.keys == ["key-of-acme"] * 2, (
        "another place of the key, or another URL, is another organization"
    )


def test_the_cache_holds_no_secret_of_any_source(fleet: Fleet) -> None:
    options: dict[str, t.Any] = {**CACHE, "cache_connection": str(fleet.folder / "cache")}
    template_with_secret = (
        "{{ 'opens-the-manager' and lookup('ansible.builtin.env', 'ACME_API_KEY') }}"
    )
    fleet.parse({"api_key": template_with_secret}, **options)
    assert "opens-the-manager" not in cached(fleet)
    fleet.parse(text=vaulted("key-of-acme", **options))
    fleet.asked.clear()
    fleet.parse(text=vaulted("key-of-acme", **options))
    assert fleet.keys == ["key-of-acme"], "encrypted anew, it may be another key"
    text = fleet.path.read_text(encoding="utf-8")
    fleet.parse(text=text)
    assert fleet.keys == ["key-of-acme"]
    assert "key-of" not in cached(fleet)
    assert fleet.path.read_text(encoding="utf-8").splitlines()[-1].strip() not in cached(fleet)


def test_a_cached_organization_needs_no_key(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, t.Any] = {**CACHE, "cache_connection": str(fleet.folder / "cache")}
    fleet.parse(ACME, **options)
    monkeypatch.delenv("ACME_API_KEY")
    assert list(fleet.parse(ACME, **options).hosts) == ["acme"]


def take_slug(fleet: Fleet) -> None:
    """Acme takes the slug of Globex, whose key is dead."""
    fleet.results |= {"key-of-acme": facts("Globex", id="org_acme"), "key-of-globex": refused()}


@pytest.mark.parametrize("on_error", ["skip", "group"])
@pytest.mark.parametrize("pin", [{}, {"organization": "org_globex"}], ids=["no-pin", "id"])
@pytest.mark.parametrize("timeout", [0, 60], ids=["for-ever", "expired"])
def test_nobody_becomes_the_host_that_another_was(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, on_error: str, pin: dict[str, str], timeout: int
) -> None:
    """The cache knows it, however old it is, and however often the organization fails."""
    folder = str(fleet.folder / "cache")
    options = {**CACHE, "cache_connection": folder, "cache_timeout": timeout, "on_error": on_error}
    entries = (ACME, {**GLOBEX, **pin}, INITECH)
    assert list(fleet.parse(*entries, **options).hosts) == ["acme", "globex", "initech"]
    take_slug(fleet)
    later = time.time() + 1_000_000
    monkeypatch.setattr(time, "time", lambda: later)
    for _run in range(3):
        fleet.screen.clear()
        outcome = fleet.parse(*entries, flush=not timeout, **options)
        failed = [name for name, host in outcome.hosts.items() if "planasonix_error" in host]
        expected = {"skip": [], "group": ["organization_1", "organization_2"]}[on_error]
        assert (failed, set(outcome.hosts) - set(failed)) == (expected, {"initech"})
        reason = "The slug Globex was also what entry 2 of organizations was called when"
        assert reason in str(fleet.screen) + str(outcome.hosts)
        assert "is not known" not in str(fleet.screen)

    fleet.results["key-of-globex"] = facts("globex")
    outcome = fleet.parse(*entries, flush=True, **options)
    assert "GLOBEX" in outcome.hosts["globex"]["planasonix_api_key"], "it is read, and keeps it"
    assert "The slug Globex is also what entry 2 of organizations is called" in (
        str(fleet.screen) + str(outcome.hosts)
    )
    named = {"name": "acme", **ACME}
    assert list(fleet.parse(named, *entries[1:], **options).hosts) == ["acme", "globex", "initech"]


def test_nobody_becomes_the_host_of_one_that_was_refused(fleet: Fleet) -> None:
    """Acme takes the slug of Globex and is refused; Initech then takes that of Acme."""
    options = {**CACHE, "cache_connection": str(fleet.folder / "cache"), "on_error": "skip"}
    fleet.parse(ACME, GLOBEX, INITECH, **options)
    take_slug(fleet)
    fleet.results["key-of-initech"] = facts("acme", id="org_initech")
    for _run in range(2):
        assert fleet.parse(ACME, GLOBEX, INITECH, flush=True, **options).hosts == {}


def test_an_organization_keeps_its_host_when_its_key_moves(fleet: Fleet) -> None:
    options = {**CACHE, "cache_connection": str(fleet.folder / "cache")}
    fleet.parse(ACME, GLOBEX, **options)
    fleet.results |= {"key-of-acme": facts("globex"), "key-of-globex": facts("acme")}
    outcome = fleet.parse(ACME, GLOBEX, flush=True, **options)
    assert "ACME" in outcome.hosts["globex"]["planasonix_api_key"]
    assert list(outcome.hosts) == ["globex", "acme"]


@pytest.mark.parametrize("on_error", ["skip", "group"])
def test_without_a_cache_an_unknown_slug_is_a_warning(fleet: Fleet, on_error: str) -> None:
    take_slug(fleet)
    entries = (ACME, INITECH, GLOBEX)
    assert "Globex" in fleet.parse(*entries, on_error=on_error).hosts
    assert [text for _kind, text in fleet.screen if "slug" in text] == [UNKNOWN_SLUG]
    fleet.screen.clear()
    named = ({"name": "acme", **ACME}, {"name": "initech", **INITECH})
    for safe in ((*entries[:2], {"name": "globex", **GLOBEX}), (*named, GLOBEX)):
        fleet.parse(*safe, on_error=on_error)
    assert UNKNOWN_SLUG not in str(fleet.screen)


@pytest.mark.parametrize(
    "item",
    [
        None,
        {"facts": []},
        {"facts": {"organization": ["id", "slug"]}},
        {"facts": {"organization": {"id": "org_1", "slug": 5}}},
        {"facts": {"organization": {"slug": "acme"}}},
    ],
)
def test_a_cache_that_does_not_say_what_an_organization_was(item: t.Any) -> None:
    assert orgs.recall_identity({"facts": {"organization": {"id": 1, "slug": "acme"}}}) == {
        "id": "1",
        "slug": "acme",
    }
    assert orgs.recall_identity(item) == {}


def test_failures_are_not_cached(broken: Fleet) -> None:
    options: dict[str, t.Any] = {
        **CACHE,
        "cache_connection": str(broken.folder / "cache"),
        "on_error": "skip",
    }
    broken.parse(*FOUR, **options)
    broken.asked.clear()
    broken.results["dead"] = facts("alive")
    assert list(broken.parse(*FOUR, **options).hosts) == ["acme", "alive", "initech"]
    assert sorted(broken.keys) == ["dead", "key-of-globex"]


def test_what_was_read_is_cached_though_one_failure_makes_the_file_unusable(broken: Fleet) -> None:
    options: dict[str, t.Any] = {**CACHE, "cache_connection": str(broken.folder / "cache")}
    with pytest.raises(AnsibleParserError, match="2 of 4 organizations could not be read"):
        broken.parse(*FOUR, **options)
    broken.asked.clear()
    with pytest.raises(AnsibleParserError, match="2 of 4 organizations could not be read"):
        broken.parse(*FOUR, **options)
    assert sorted(broken.keys) == ["dead", "key-of-globex"]


def test_what_is_cached_gets_old(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """An organization that is added does not make the others young again."""
    options: dict[str, t.Any] = {**CACHE, "cache_connection": str(fleet.folder / "cache")}
    start = time.time()
    monkeypatch.setattr(orgs.time, "time", lambda: start - 3000)
    fleet.parse(ACME, **options)
    monkeypatch.setattr(orgs.time, "time", lambda: start)
    fleet.parse(ACME, GLOBEX, **options)
    assert fleet.keys == ["key-of-acme", "key-of-globex"]
    monkeypatch.setattr(orgs.time, "time", lambda: start + 1000)
    fleet.parse(ACME, GLOBEX, **options)
    assert fleet.keys == ["key-of-acme", "key-of-globex", "key-of-acme"]
    monkeypatch.setattr(orgs.time, "time", lambda: start + 1_000_000)
    fleet.parse(ACME, GLOBEX, **{**options, "cache_timeout": 0})
    assert len(fleet.asked) == 3, "0 is for ever"


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        {},
        {"read_at": 2e9},
        {"read_at": 2e9, "facts": {"organization": {}}},
        {"facts": facts("acme")},
    ],
)
def test_what_another_version_cached_is_read_again(item: t.Any) -> None:
    assert orgs.recall({"read_at": 2e9, "facts": facts("acme")}, 1e9)
    assert not orgs.recall(item, 1e9)


POISONS: dict[str, dict[str, t.Any]] = {
    "no facts": {"facts": None},
    "no time": {"read_at": "soon"},
    "NaN": {"facts": {**facts("acme"), "limits": {"max_pipelines": float("nan")}}},
    "deep": {"facts": {**facts("acme"), "limits": json.loads("[" * 90 + "]" * 90)}},
    "a template": {
        "facts": {**facts("acme"), "tier": {"__ansible_type": "TrustedAsTemplate", "value": "x"}}
    },
    "a broken tag": {"facts": {**facts("acme"), "tier": {"__ansible_type": "Trust", "x": "y"}}},
    "an encrypted value": {"facts": {**facts("acme"), "tier": {"t": {"__ansible_vault": "x"}}}},
    "no id": {"facts": facts("acme", id=None)},
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_a_poisoned_cache(fleet: Fleet, poison: dict[str, t.Any]) -> None:
    """What could not have been read is read again. So is all if ansible-core refuses the cache."""
    options: dict[str, t.Any] = {**CACHE, "cache_connection": str(fleet.folder / "cache")}
    fleet.parse(ACME, GLOBEX, **options)
    poison_cache(fleet, "ACME_API_KEY", poison)
    fleet.asked.clear()
    assert list(fleet.parse(ACME, GLOBEX, on_error="skip", **options).hosts) == ["acme", "globex"]
    assert sorted(fleet.keys) in (["key-of-acme"], ["key-of-acme", "key-of-globex"])
    refused = "the cache cannot be read, so all organizations are read again" in str(fleet.screen)
    assert len(fleet.keys) == 1 + refused


def poison_cache(fleet: Fleet, place: str, poison: dict[str, t.Any]) -> None:
    """Change what the cache holds of an organization."""
    (path,) = (fleet.folder / "cache").iterdir()
    content = json.loads(path.read_text(encoding="utf-8"))
    stored = content if place in str(list(content)) else content["__payload__"]
    if isinstance(stored, str):
        stored = json.loads(stored)
    (identity,) = (identity for identity in stored if place in identity)
    stored[identity] |= poison
    if stored is not content:
        content["__payload__"] = json.dumps(stored)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("slug", ["all", "production", "globex", "tier_enterprise", "db1"])
def test_a_cached_slug_is_checked_as_one_that_was_read(fleet: Fleet, slug: str) -> None:
    options: dict[str, t.Any] = {
        **CACHE,
        "cache_connection": str(fleet.folder / "cache"),
        "keyed_groups": KEYED,
        "on_error": "skip",
    }
    entries = (ACME, {"name": "globex", **GLOBEX})
    fleet.parse(*entries, **options)
    poison_cache(fleet, "ACME_API_KEY", {"facts": facts(slug, id="org_acme")})
    fleet.asked.clear()
    outcome = fleet.parse(*entries, inventory=earlier_sources(), **options)
    assert fleet.asked == []
    assert list(outcome.hosts) == ["db1", "globex"]
    assert outcome.hosts["db1"]["planasonix_api_key"] == "of another source"


TRAP = "{{ lookup('ansible.builtin.env', 'ACME_API_KEY') }}"
TAGS = [{"__ansible_type": "TrustedAsTemplate"}]


@pytest.mark.parametrize(
    "name", [TRAP, {"__ansible_type": "_AnsibleTaggedStr", "value": TRAP, "tags": TAGS}]
)
def test_no_cached_text_is_a_template_or_an_escape_sequence(fleet: Fleet, name: t.Any) -> None:
    """Also where the cache says that Ansible may trust it."""
    options: dict[str, t.Any] = {**CACHE, "cache_connection": str(fleet.folder / "cache")}
    fleet.results["key-of-acme"] = facts("acme", name="as read", plan=r"\u001b[31m")
    fleet.parse(ACME, **options)
    poison_cache(fleet, "ACME_API_KEY", {"facts": facts("acme", name=name, plan="\x1b[31m")})
    outcome = fleet.parse(ACME, **options)
    templar = t.cast(t.Any, outcome.plugin).templar
    templar.available_variables = outcome.hosts["acme"]
    rendered = templar.template(orgs.mark_trusted("{{ planasonix_organization.name }}"))
    assert rendered == (TRAP if len(fleet.asked) == 1 else "as read")
    assert outcome.hosts["acme"]["planasonix_organization"]["plan"] == r"\u001b[31m"


def connection(key: str = KEY) -> Connection:
    return Connection("https://api.planasonix.com", key, retries=1, retry_budget=5)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """The API behind the real client."""
    api = FakeApi()
    read = facts("acme")
    paths = {"organization": "organization", "tier": "tier", "features/limits": "limits"}
    api.objects |= {path: read[subset] for path, subset in paths.items()} | {
        "features": {"features": read["features"]}
    }
    monkeypatch.setattr(orgs, "Client", api.client)
    return api


def test_an_organization_is_read_by_four_requests(api: FakeApi) -> None:
    assert orgs.read_organization(connection()) == facts("acme")
    assert sorted(path for _method, path, _body in api.log) == [
        "/api/features",
        "/api/features/limits",
        "/api/organization",
        "/api/tier",
    ]
    assert api.writes == []


@pytest.mark.parametrize(
    ("fault", "requests", "complaint"),
    [
        ("401 before", 1, "answered 401"),
        ("refused", 2, "no connection to"),
        ("lost before", 2, "gave no whole answer"),
    ],
)
def test_an_organization_is_not_asked_further(
    api: FakeApi, fault: str, requests: int, complaint: str
) -> None:
    api.fail("GET *", fault, times=99)
    result = orgs.read_organization(connection())
    assert isinstance(result, PlanasonixError)
    assert complaint in result.message and KEY not in result.message
    assert [path for _method, path, _body in api.log] == ["/api/organization"] * requests


def test_an_organization_of_which_a_part_is_forbidden(api: FakeApi) -> None:
    api.fail("GET /api/tier", "403 before")
    result = orgs.read_organization(connection())
    assert (
        isinstance(result, PlanasonixError)
        and "Could not read the subscription tier" in result.message
    )


def echo(key: str) -> dict[str, Answer]:
    """Answers that quote the key, by where they do."""
    page = f"<html><title>{key}</title></html>"
    organization = {"id": "org_1", "slug": "acme", "name": f"{key}\x1b[2J", "x": {key: 1}}
    return {
        "code": Answer(403, {"error": {"code": f"E_{key}\x1b[2J", "message": "no"}}),
        "message": Answer(403, {"error": {"code": "E", "message": f"\x1b[2J{key}\nok: x"}}),
        "both, flat": Answer(422, {"code": key, "message": json.dumps(key) + "\u202e"}),
        "Location": Answer(302, headers={"Location": f"https://x.example.com/{key}"}),
        "title": Answer(200, page, headers={"Content-Type": "text/html"}),
        "facts": Answer(200, {"data": organization}),
    }


@pytest.mark.parametrize("where", echo(""))
def test_a_key_that_the_server_quotes_is_shown_nowhere(where: str) -> None:
    answers = (echo(KEY)[where], Answer(200, {"data": {"features": [KEY]}}))
    with ScriptedServer(*answers) as server:
        result = orgs.read_organization(Connection(server.url, KEY, retries=0))
    shown = result.message if isinstance(result, PlanasonixError) else json.dumps(result)
    assert "********" in shown
    assert KEY not in shown and shown.isprintable()


def test_a_fault_of_the_collection_is_told_without_its_text(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts_by_key: dict[str, t.Any] = {}
    monkeypatch.setattr(orgs, "read_facts", lambda *arguments, **more: facts_by_key[KEY])
    result = orgs.read_organization(connection())
    assert isinstance(result, PlanasonixError)
    assert "Unexpected KeyError" in result.message and KEY not in result.message


@dataclass
class Crowd:
    """Counts who reads at the same time."""

    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, connection: Connection) -> dict[str, t.Any]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        return facts(connection.key)


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_so_many_are_read_at_a_time(monkeypatch: pytest.MonkeyPatch, concurrency: int) -> None:
    crowd = Crowd()
    monkeypatch.setattr(orgs, "read_organization", crowd.read)
    keys = [f"key-{number}" for number in range(16)]
    found = orgs.read_all([connection(key) for key in keys], concurrency, lambda done: None)
    assert found == [facts(key) for key in keys], "in order"
    assert crowd.most == concurrency


def test_a_long_read_tells_how_far_it_is(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, since ansible-inventory prints JSON on the other."""
    go_on = threading.Event()

    def read(connection: Connection) -> dict[str, t.Any]:
        if connection.key == "key-of-globex":
            assert go_on.wait(10)
        return facts(connection.key.removeprefix("key-of-"))

    def display(message: str, **more: t.Any) -> None:
        fleet.screen.append((str(more), message))
        go_on.set()

    monkeypatch.setattr(orgs, "read_organization", read)
    monkeypatch.setattr(orgs, "PROGRESS_SECONDS", 0.05)
    monkeypatch.setattr(Screen, "display", staticmethod(display), raising=False)
    fleet.parse(ACME, GLOBEX)
    assert fleet.screen == [
        ("{'stderr': True}", "planasonix.admin.orgs: 1 of 2 organizations read")
    ]


def test_progress_is_told_while_keys_are_looked_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(orgs, "PROGRESS_SECONDS", 0)
    monkeypatch.setattr(
        Screen, "display", staticmethod(lambda text, **_options: shown.append(text)), raising=False
    )
    fleet.parse(ACME, GLOBEX)
    assert [text for text in shown if "keys" in text] == [
        f"planasonix.admin.orgs: looked for the keys of {number} of 2 organizations"
        for number in (0, 1)
    ]


def test_whoever_interrupts_does_not_wait_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    go_on = threading.Event()

    def read(connection: Connection) -> dict[str, t.Any]:
        begun.append(connection.key)
        assert go_on.wait(10)
        return facts("acme")

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(orgs, "read_organization", read)
    monkeypatch.setattr(orgs, "PROGRESS_SECONDS", 0.05)
    with pytest.raises(KeyboardInterrupt):
        orgs.read_all([connection(f"key-{number}") for number in range(9)], 2, interrupt)
    go_on.set()
    time.sleep(0.05)
    assert len(begun) == 2
