# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts: what can be read of an organization, by subset.

This file is private to the collection; it can change at any time.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.planasonix.admin.plugins.module_utils._client import Client
from ansible_collections.planasonix.admin.plugins.module_utils._errors import ApiError
from ansible_collections.planasonix.admin.plugins.module_utils._plan import Values
from ansible_collections.planasonix.admin.plugins.module_utils._policies import POLICIES
from ansible_collections.planasonix.admin.plugins.module_utils._subsets import choose_subsets


def read_facts(
    client: Client, gather_subset: Iterable[str], skip_forbidden: bool
) -> tuple[Values, Values]:
    """Read the chosen subsets over one connection.

    :param skip_forbidden: Whether to list an unavailable subset instead of failing.
    :returns: The facts by subset, and the unavailable subsets with ``status``, ``code``, ``msg``.
    :raises ApiError: if a subset cannot be read.
    """
    read: Values = {}
    facts: Values = {}
    unavailable: Values = {}
    for name in choose_subsets(gather_subset):
        try:
            if name not in read:
                read[name] = POLICIES[name].read_facts(client, read)
            facts[name] = read[name]
        except ApiError as error:
            if not skip_forbidden or not is_unavailable(error):
                raise
            unavailable[name] = {"status": error.status, "code": error.code, "msg": error.message}
    return facts, unavailable


def is_unavailable(error: ApiError) -> bool:
    """Return whether a subset is forbidden, missing, or of another shape than documented."""
    if error.status is None:
        return error.answered
    return error.status in (403, 404) or 200 <= error.status < 300


def gather(client: Client, options: Values) -> Values:
    """Read the facts that ``gather_subset`` names, and return them as a result."""
    skip = options["on_forbidden"] == "skip"
    facts, unavailable = read_facts(client, options["gather_subset"], skip)
    message = f"read {len(facts)} subsets"
    if unavailable:
        message += f", unavailable: {', '.join(unavailable)}"
    return {"changed": False, "msg": message, "planasonix": facts, "unavailable": unavailable}
