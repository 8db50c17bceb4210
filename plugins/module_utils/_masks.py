# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in the configuration of a channel: which keys have them, and what an API shows instead.

Pure functions, no I/O. Everything here fails closed: what may be a secret counts as one, and is
neither sent back nor shown.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

KeyPath = tuple[str, ...]
"""Where a value is in a config: the keys of the mappings around it, and its own."""

PLACEHOLDER = "PLACEHOLDER:"
"""Prefix of what an export writes instead of a secret."""

SECRET_PARTS = (
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "credential",
    "webhook",
    "signing",
    "authorization",
)
"""A name with one of these in a word is the name of a secret."""
SECRET_WORDS = frozenset({"auth", "oauth", "bearer", "dsn", "pass", "pin", "pwd", "cookie"})
SECRET_ENDINGS = frozenset({"url", "urls", "uri", "uris", "endpoint", "hook", "callback"})
"""A name that ends with one of these is the name of an address, which may authorize its user."""
PUBLIC_ADDRESSES = frozenset(
    {"app", "avatar", "base", "dashboard", "docs", "icon", "image", "logo", "runbook", "site"}
)
"""``icon_url`` and the like are addresses that authorize nobody."""
PUBLIC_ENDINGS = frozenset(
    {"algorithm", "at", "count", "enabled", "format", "method", "name", "policy", "type", "version"}
)
"""``token_type`` and the like describe a secret."""

HINT = re.compile(
    r"^(?:has|is)_|_(?:set|configured|present|masked|redacted|hint|preview|fingerprint|hash"
    r"|last_?4|last_four)$"
)
"""What names of fields have that show that there is a secret: ``has_token``, ``token_last4``."""

SYMBOLS = "*\u2022\u2023\u25cf\u25cb\u25e6\u2219\u22c5\u00b7\u25aa\u25a0\u25ae\u2588\u2b24\u26ab"
WORDS = "redacted|masked|filtered|obfuscated|censored|scrubbed|sanitized"
MASKS = (
    # Three symbols in a row anywhere, or nothing but symbols.
    rf"[{SYMBOLS}]{{3}}",
    rf"^[{SYMBOLS}]{{2,}}$",
    rf"^[{SYMBOLS}]{{2,}}\s*\w{{1,8}}$",
    # xxxx, ####, ...., XXXX-1234
    r"^([xX#_.?\-])\1{2,}$",
    r"(?<![A-Za-z])[xX]{4,}",
    # ..., https://..., ...1234, sk-...abcd; but not a sentence that trails off
    r"^\S*\.\.\.\S*$",
    r"^\.\.\.\s?\S{1,8}$",
    # REDACTED, [REDACTED], <hidden>, (sensitive value)
    rf"^\W*_*(?i:{WORDS})(?i:[ _]value)?_*\W*$",
    r"(?<![A-Za-z])REDACTED(?![A-Za-z])",
    rf"[<\[({{]\s*(?i:{WORDS}|hidden|secret|encrypted|protected|private|removed|omitted|sensitive)"
    r"\b[^<>\[\](){}]*[>\])}]",
    r"^VALUE_SPECIFIED_IN_NO_LOG_PARAMETER$",
    # sha256:..., $2b$..., ending in 1234, last 4: 1234
    r"^(?i:sha\d+|md5|hmac[\w-]*|bcrypt|argon2\w*|hash)[:=$]\s*\S+$",
    r"^\$(?:2[aby]|argon2\w*|[156])\$",
    r"^(?i:end(?:ing|s) (?:in|with) |last[ _-]?(?:4|four)\b)",
)
MASK = re.compile("|".join(MASKS))
"""What an API shows in place of a secret, in text that is normalized to NFKC."""
MASK_WORD = re.compile("^hidden$", re.IGNORECASE)
"""A mask under some keys, and an ordinary value under others, such as ``visibility``."""

STATE_KEYS = frozenset(
    {
        "set",
        "is_set",
        "configured",
        "is_configured",
        "present",
        "exists",
        "has_value",
        "hidden",
        "redacted",
        "masked",
        "encrypted",
        "last4",
        "last_4",
        "last_four",
        "fingerprint",
        "hash",
        "hint",
        "preview",
    }
)
"""A mapping of nothing but these describes a secret: ``{"set": true}``."""


def is_secret_name(name: t.Any) -> bool:
    """Return whether a key with this name may have a secret as its value."""
    text = HINT.sub("", "_".join(words_of(str(name))))
    words = text.split("_")
    if not words[-1] or words[-1] in PUBLIC_ENDINGS:
        return False
    if any(part in text for part in SECRET_PARTS):
        return True
    if not SECRET_WORDS.isdisjoint(words) or words[-1].endswith(("key", "keys")):
        return True
    public = len(words) > 1 and words[-2] in PUBLIC_ADDRESSES
    return words[-1] in SECRET_ENDINGS and not public


def words_of(name: str) -> list[str]:
    """Split a name such as ``routingKey``, ``X-Api-Key`` or ``webhook_url`` into its words."""
    return [
        word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+", name)
    ]


def is_masked(value: t.Any) -> bool:
    """Return whether a value, or a part of it, looks hidden by the API, whatever its key."""
    return has_mask(value, (MASK, MASK_WORD))


def has_mask(value: t.Any, masks: Sequence[re.Pattern[str]] = (MASK,)) -> bool:
    """Return whether a value, or a part of it, has a mask, and is no ordinary word."""
    if isinstance(value, Mapping):
        described = bool(value) and STATE_KEYS.issuperset(map(str, value))
        return described or any(has_mask(item, masks) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_mask(item, masks) for item in value)
    if not isinstance(value, str):
        return False
    text = unicodedata.normalize("NFKC", value).strip()
    return any(mask.search(text) for mask in masks)


def is_unknown(name: t.Any, value: t.Any) -> bool:
    """Return whether nobody can compare a value, since the API may hide the real one.

    Under the name of a secret that is also a value that is no whole secret: null, an empty text,
    a boolean, the last characters, a hash.
    """
    if not is_secret_name(name):
        return has_mask(value)
    if not isinstance(value, str):
        return not value or isinstance(value, (bool, int, float)) or is_masked(value)
    is_hash = re.fullmatch(r"[0-9a-fA-F]{32,}", value) is not None
    return len(value) < 8 or is_hash or is_masked(value)


def is_placeholder(value: t.Any) -> bool:
    """Return whether a value, or a part of it, is what an export writes instead of a secret."""
    if isinstance(value, Mapping):
        return any(map(is_placeholder, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(is_placeholder, value))
    return isinstance(value, str) and value.startswith(PLACEHOLDER)


def hidden_paths(config: Mapping[str, t.Any]) -> list[KeyPath]:
    """Return the keys of a config that have, or may have, a secret that the API does not give.

    Of a field such as ``has_token`` or ``token_last4`` it is the key of the secret, ``token``.
    """
    paths = [(*path[:-1], secret_of(path[-1])) for path in raw_hidden_paths(config)]
    return list(dict.fromkeys(paths))


def secret_of(name: str) -> str:
    """Return the name of the secret that a field describes; any other name as it is."""
    base = HINT.sub("", str(name))
    return base if base and is_secret_name(base) else name


def raw_hidden_paths(config: Mapping[str, t.Any], within_secret: bool = False) -> Iterator[KeyPath]:
    """Yield the keys of a config that are named like a secret or look hidden, as they are."""
    for key, value in config.items():
        is_secret = within_secret or is_secret_name(key)
        describes = isinstance(value, Mapping) and is_masked(dict.fromkeys(value))
        if isinstance(value, Mapping) and value and not describes:
            yield from ((key, *path) for path in raw_hidden_paths(value, is_secret))
        elif is_secret or is_masked(value) or hides_element(value):
            yield (key,)


def hides_element(value: t.Any) -> bool:
    """Return whether a list has an element with a secret: then it cannot be sent back at all."""
    if not isinstance(value, (list, tuple)):
        return False
    return any(
        hides_element(item) or (isinstance(item, Mapping) and hides_value(item)) for item in value
    )


def hides_value(item: Mapping[str, t.Any]) -> bool:
    """Return whether an element has a secret: as a key, or as the value of a named pair."""
    label = next((item[key] for key in ("name", "key", "header") if key in item), None)
    if "value" in item and isinstance(label, str):
        return is_secret_name(label) or is_masked(item["value"])
    return bool(hidden_paths(item))


def without_hidden(config: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a config without the keys that have or may have a secret."""
    return without_paths(config, list(raw_hidden_paths(config)))


def without_paths(values: Mapping[str, t.Any], paths: list[KeyPath]) -> dict[str, t.Any]:
    """Return a mapping without some of its keys; a mapping that loses all of its keys goes too."""
    kept: dict[str, t.Any] = {}
    for key, value in values.items():
        inner = [path[1:] for path in paths if path[0] == key]
        if () in inner:
            continue
        if inner and isinstance(value, Mapping):
            value = without_paths(value, inner)
            if not value:
                continue
        kept[key] = value
    return kept


def leaf_paths(values: Mapping[str, t.Any]) -> Iterator[KeyPath]:
    """Yield the keys of a mapping, through the mappings in it."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from ((key, *path) for path in leaf_paths(value))
        else:
            yield (key,)


def has_path(values: t.Any, path: KeyPath) -> bool:
    """Return whether a mapping sets a key: itself, or by a value that is no mapping above it."""
    for key in path:
        if not isinstance(values, Mapping):
            return True
        if key not in values:
            return False
        values = values[key]
    return True


def placeholder_paths(secrets: Mapping[str, t.Any]) -> list[KeyPath]:
    """Return the keys of ``secret_config`` that have a placeholder instead of a secret."""
    paths = []
    for key, value in secrets.items():
        if isinstance(value, Mapping):
            paths += [(key, *path) for path in placeholder_paths(value)]
        elif is_placeholder(value):
            paths.append((key,))
    return paths


def placeholders(name: str, paths: list[KeyPath]) -> dict[str, t.Any]:
    """Return a ``secret_config`` with a placeholder for each secret of a channel."""
    result: dict[str, t.Any] = {}
    for path in sorted(paths, key=len):
        if has_path(result, path):
            continue
        place = result
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = f"{PLACEHOLDER}{name}.{'.'.join(map(str, path))}"
    return result


def list_paths(paths: list[KeyPath]) -> str:
    """Return keys as text: ``headers.Authorization, url``."""
    return ", ".join(sorted(".".join(map(str, path)) for path in paths))
