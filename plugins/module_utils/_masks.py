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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Config = Mapping[str, t.Any]
KeyPath = tuple[str, ...]
"""Where a value is in a config: the keys of the mappings around it, and its own."""

PLACEHOLDER = "PLACEHOLDER:"
"""Prefix of what an export writes instead of a secret."""

SECRET_PARTS = (
    *("secret", "token", "password", "passwd", "passphrase", "credential", "webhook"),
    *("signing", "authorization"),
)
"""A name with one of these in a word is the name of a secret."""
SECRET_WORDS = frozenset({"auth", "oauth", "bearer", "dsn", "pass", "pin", "pwd", "cookie"})
SECRET_ENDINGS = frozenset({"url", "urls", "uri", "uris", "endpoint", "hook", "callback"})
"""A name that ends with one of these is the name of an address, which may authorize its user."""
PUBLIC_ADDRESSES = frozenset(
    {"app", "avatar", "base", "dashboard", "docs", "icon", "image", "logo", "runbook", "site"}
)
"""``icon_url`` and the like are addresses that grant no access."""
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
HIDDEN_WORDS = f"{WORDS}|hidden|secret|encrypted|protected|private|removed|omitted|sensitive"
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
    rf"[<\[({{]\s*(?i:{HIDDEN_WORDS})"
    r"\b[^<>\[\](){}]*[>\])}]",
    r"^VALUE_SPECIFIED_IN_NO_LOG_PARAMETER$",
    # sha256:..., $2b$..., ending in 1234, last 4: 1234
    r"^(?i:sha\d+|md5|hmac[\w-]*|bcrypt|argon2\w*|hash)[:=$]\s*\S+$",
    r"^\$(?:2[aby]|argon2\w*|[156])\$",
    r"^(?i:end(?:ing|s) (?:in|with) |last[ _-]?(?:4|four)\b)",
)
MASK = re.compile("|".join(MASKS))
"""What an API may show in place of a secret, in text that is normalized to NFKC."""
CLEAR_MASKS = (
    # ****, ****1234, sk-****abcd, \u2022\u2022 1234, https://example.com/****; but no *** ALERT ***
    rf"^[{SYMBOLS}]{{2,}}$",
    rf"^\S{{0,8}}[{SYMBOLS}]{{3,}}\S{{0,8}}$",
    rf"^[{SYMBOLS}]{{2,}}\s?\d{{2,4}}$",
    rf"^\w+://\S*[{SYMBOLS}]{{3}}\S*$",
    # xxxxxxxx, XXXX-XXXX-1234
    r"^[xX]{8,}$",
    r"^(?:[xX]{4}[- ])+\w{2,4}$",
    # ..., https://..., ...1234, sk-...abcd; but not a word that trails off
    r"^(?:\w+://\S*|\S{0,3})\.\.\.\S{0,8}$",
    # REDACTED, [hidden], (sensitive value), as the whole value
    rf"^[\W_]*(?i:{WORDS})(?i:[ _]value)?[\W_]*$",
    rf"^[<\[({{]\s*(?i:{HIDDEN_WORDS})(?i:[ _]value)?\s*[>\])}}]$",
    r"^VALUE_SPECIFIED_IN_NO_LOG_PARAMETER$",
    r"^(?i:sha\d+|md5|hmac[\w-]*|bcrypt|argon2\w*|hash)[:=$]\s*\S+$",
    r"^\$(?:2[aby]|argon2\w*|[156])\$",
)
CLEAR_MASK = re.compile("|".join(CLEAR_MASKS))
"""What no ordinary text is: it counts as a mask under any key."""
MASK_WORD = re.compile("^hidden$", re.IGNORECASE)
"""A mask under some keys, and an ordinary value under others, such as ``visibility``."""

STATE_KEYS = frozenset(
    {
        *("set", "is_set", "configured", "is_configured", "present", "exists", "has_value"),
        *("hidden", "redacted", "masked", "encrypted", "last4", "last_4", "last_four"),
        *("fingerprint", "hash", "hint", "preview"),
    }
)
"""A mapping of nothing but these describes a secret: ``{"set": true}``."""

HASH = re.compile(r"[0-9a-fA-F]{32,}")
"""A hash in hexadecimal digits, or a key that looks like one."""


def is_secret_name(name: t.Any) -> bool:
    """Return whether a key with this name may have a secret as its value."""
    text = HINT.sub("", "_".join(split_words(str(name))))
    words = text.split("_")
    if not words[-1] or words[-1] in PUBLIC_ENDINGS:
        return False
    if any(part in text for part in SECRET_PARTS):
        return True
    if not SECRET_WORDS.isdisjoint(words) or words[-1].endswith(("key", "keys")):
        return True
    public = len(words) > 1 and words[-2] in PUBLIC_ADDRESSES
    return words[-1] in SECRET_ENDINGS and not public


def split_words(name: str) -> list[str]:
    """Split a name such as ``routingKey``, ``X-Api-Key`` or ``webhook_url`` into its words."""
    return [
        word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+", name)
    ]


def is_masked(value: t.Any) -> bool:
    """Return whether a value, or a part of it, looks hidden by the API, whatever its key."""
    return has_mask(value, (MASK, MASK_WORD))


def is_clearly_masked(value: t.Any) -> bool:
    """Return whether a value, or a part of it, is a mask that no ordinary text looks like."""
    return has_mask(value, (CLEAR_MASK,))


def is_description(value: t.Any) -> bool:
    """Return whether a value describes a secret instead of giving it: ``{"set": true}``."""
    if not isinstance(value, Mapping):
        return False
    return bool(value) and STATE_KEYS.issuperset(map(str, value))


def has_mask(value: t.Any, masks: Sequence[re.Pattern[str]]) -> bool:
    """Return whether a value, or a part of it, has one of these masks or describes a secret."""
    if isinstance(value, Mapping):
        return is_description(value) or any(has_mask(item, masks) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_mask(item, masks) for item in value)
    if not isinstance(value, str):
        return False
    text = unicodedata.normalize("NFKC", value).strip()
    return any(mask.search(text) for mask in masks)


def is_unknown(name: t.Any, value: t.Any, desired: t.Any = None) -> bool:
    """Return whether a value cannot be compared with another, since the API may hide the real one.

    Under the name of a secret this is also a value that may be no whole secret: null, an empty
    text, a boolean or a number instead of a text, the last characters, a hash. It is compared with
    a value of its own kind: a number with a number, a short text with a short one.
    """
    if not is_secret_name(name):
        return is_clearly_masked(value)
    if isinstance(value, (bool, int, float)):
        is_flag = isinstance(value, bool)
        return not isinstance(desired, (bool, int, float)) or is_flag != isinstance(desired, bool)
    if not isinstance(value, str):
        return not value or is_masked(value)
    if not value.strip() or is_masked(value):
        return True
    other = desired if isinstance(desired, str) else None
    if HASH.fullmatch(value):
        return other is None or len(other) != len(value) or HASH.fullmatch(other) is None
    return len(value) < 8 and (other is None or len(other) >= 8)


def is_placeholder(value: t.Any) -> bool:
    """Return whether a value, or a part of it, is what an export writes instead of a secret."""
    if isinstance(value, Mapping):
        return any(map(is_placeholder, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(is_placeholder, value))
    return isinstance(value, str) and value.startswith(PLACEHOLDER)


def walk(
    values: Config, is_leaf: Callable[[t.Any], bool] = lambda dummy_value: False
) -> Iterator[tuple[KeyPath, t.Any]]:
    """Yield the values of a mapping and of the mappings in it, each with its path.

    :param is_leaf: Whether a mapping counts as one value, as an empty one does.
    """
    for key, value in values.items():
        if isinstance(value, Mapping) and value and not is_leaf(value):
            yield from (((key, *path), leaf) for path, leaf in walk(value, is_leaf))
        else:
            yield (key,), value


def list_paths(values: Config) -> list[KeyPath]:
    """Return the paths of all values of a mapping."""
    return [path for path, _value in walk(values)]


def find_secret_paths(config: Config) -> list[KeyPath]:
    """Return the paths of the secrets that a config has or may have, although the API hides them.

    A field such as ``has_token`` or ``token_last4`` stands for the secret ``token``.
    """
    paths = [(*path[:-1], find_secret_name(path[-1])) for path in find_hidden_paths(config)]
    return list(dict.fromkeys(paths))


def find_secret_name(name: str) -> str:
    """Return the name of the secret that a field describes; any other name as it is."""
    base = HINT.sub("", str(name))
    return base if base and is_secret_name(base) else name


def find_hidden_paths(config: Config) -> list[KeyPath]:
    """Return the paths in a config that are named like a secret or look hidden, as they are."""
    return [
        path
        for path, value in walk(config, is_description)
        if any(map(is_secret_name, path))
        or has_mask(value, (CLEAR_MASK, MASK_WORD))
        or hides_element(value)
    ]


def find_masked_paths(values: Config, within_secret: bool = False) -> list[KeyPath]:
    """Return the paths that a task sets to a mask where a secret belongs."""
    return [
        path
        for path, value in walk(values, is_description)
        if masks_secret(value, within_secret or any(map(is_secret_name, path)))
    ]


def masks_secret(value: t.Any, is_secret: bool) -> bool:
    """Return whether a value is a mask of a secret, or a list with one."""
    if isinstance(value, (list, tuple)):
        return any(masks_secret(item, is_secret) for item in value)
    if isinstance(value, Mapping) and not is_secret:
        return bool(find_masked_paths(value, is_secret_name(read_pair_name(value) or "")))
    return is_secret and is_clearly_masked(value)


def find_blank_paths(values: Config, within_secret: bool = False) -> list[KeyPath]:
    """Return the paths of secrets that have no value: null, an empty text, or a list with one.

    :param within_secret: Whether all keys are those of secrets, whatever their names.
    """
    return [
        path
        for path, value in walk(values)
        if (within_secret or is_secret_name(path[-1])) and is_blank(value)
    ]


def is_blank(value: t.Any) -> bool:
    """Return whether a value, or an element of it, is null or an empty text."""
    if isinstance(value, (list, tuple)):
        return any(map(is_blank, value))
    if isinstance(value, Mapping):
        return any(map(is_blank, value.values()))
    return value is None or (isinstance(value, str) and not value.strip())


def hides_element(value: t.Any) -> bool:
    """Return whether a list has an element with a secret: then it cannot be sent back at all."""
    if not isinstance(value, (list, tuple)):
        return False
    return any(
        hides_element(item) or (isinstance(item, Mapping) and hides_value(item)) for item in value
    )


def hides_value(item: Config) -> bool:
    """Return whether an element has a secret: as a key, or as the value of a named pair."""
    name = read_pair_name(item)
    if name is not None:
        return is_secret_name(name) or has_mask(item["value"], (CLEAR_MASK, MASK_WORD))
    return bool(find_hidden_paths(item))


def read_pair_name(item: Config) -> str | None:
    """Return the name in a pair such as ``{name, value}``; ``None`` if it is no pair."""
    name = next((item[key] for key in ("name", "key", "header") if key in item), None)
    return name if "value" in item and isinstance(name, str) else None


def drop_hidden(config: Config) -> dict[str, t.Any]:
    """Return a config without the keys that have or may have a secret."""
    return drop_paths(config, find_hidden_paths(config))


def drop_paths(values: Config, paths: Sequence[KeyPath]) -> dict[str, t.Any]:
    """Return a mapping without some paths; a mapping in it that loses all of its keys goes too."""
    kept: dict[str, t.Any] = {}
    for key, value in values.items():
        inner = [path[1:] for path in paths if path[0] == key]
        if () in inner:
            continue
        if inner and isinstance(value, Mapping):
            value = drop_paths(value, inner)
            if not value:
                continue
        kept[key] = value
    return kept


def has_path(values: t.Any, path: KeyPath) -> bool:
    """Return whether a mapping sets a key: itself, or by a value that is no mapping above it."""
    for key in path:
        if not isinstance(values, Mapping):
            return True
        if key not in values:
            return False
        values = values[key]
    return True


def find_placeholder_paths(secrets: Config) -> list[KeyPath]:
    """Return the paths of ``secret_config`` that have a placeholder instead of a secret."""
    return [path for path, value in walk(secrets) if is_placeholder(value)]


def build_placeholders(name: str, paths: Iterable[KeyPath]) -> dict[str, t.Any]:
    """Return a ``secret_config`` with a placeholder for each secret of a channel."""
    result: dict[str, t.Any] = {}
    for path in sorted(paths, key=len):
        if not has_path(result, path):
            place = result
            for key in path[:-1]:
                place = place.setdefault(key, {})
            place[path[-1]] = f"{PLACEHOLDER}{name}.{join_path(path)}"
    return result


def join_path(path: KeyPath) -> str:
    """Return a path as text: ``headers.Authorization``."""
    return ".".join(map(str, path))


def join_paths(paths: Iterable[KeyPath]) -> str:
    """Return each path once, as text: ``headers.Authorization, url``."""
    return ", ".join(sorted(set(map(join_path, paths))))
