#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_api_key
short_description: Manage an API key of a Planasonix organization
version_added: 1.0.0
description:
  - Creates, replaces, rotates and revokes one API key.
  - The API shows a secret only once. The module therefore checks that it can store the secret
    before it creates the key, and stores the secret first. If it cannot store the secret, it
    deletes the new key. If the answer to a creation is lost, the module finds and deletes that key
    before it creates another.
  - The module refuses to delete, replace or regenerate the key that the task itself uses, if its
    prefix identifies it.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
attributes:
  idempotent:
    support: partial
    details:
      - Each run with O(rotate=true) creates a new secret.
options:
  name:
    description:
      - Name of the key. If several keys have this name, the module uses the newest one that has not
        expired, and returns the IDs of the others in RV(superseded).
      - With O(key_id) the key must already have this name, because the API cannot rename keys.
      - One of O(name) and O(key_id) is required.
    type: str
  key_id:
    description:
      - ID of an existing key. With O(state=absent), an ID that no key has changes nothing, and
        RV(msg) says so.
    type: str
  state:
    description:
      - Whether the key must exist.
      - With V(present), a key that has expired is replaced by a new one, as if it were recreated.
        RV(msg) then says C(expired).
      - A key that the API still lists, but as revoked or deleted, counts as absent.
      - A key that is switched off does not count as present. V(absent) deletes it.
      - V(absent) fails if several keys that are not switched off have the O(name), and lists their
        IDs.
    type: str
    choices: [present, absent]
    default: present
  scopes:
    description:
      - Scopes of the key, such as V(pipelines:read). Required to create a key.
      - The API cannot change the scopes of a key. See O(on_mismatch).
    type: list
    elements: str
  expires_in_days:
    description:
      - Days until a new key expires. At least 1 and at most 36500. Only for a new key.
      - By default, a key that replaces another key gets the lifetime of the old key, and any other
        new key does not expire.
      - If the API gives the key another lifetime, the module deletes the new key again and fails. A
        difference of less than one day, such as an expiry at the end of the day, is accepted.
    type: int
  on_mismatch:
    description:
      - What to do if an existing key has other O(scopes).
      - V(fail) changes nothing and says so.
      - V(recreate) replaces the key with a new key.
    type: str
    choices: [fail, recreate]
    default: fail
  rotate_after_days:
    description:
      - Replace the key when it is older than this number of days, based on its C(created_at).
      - At least 1 and at most 36500.
    type: int
  renew_before_days:
    description:
      - Replace the key when it expires within this number of days. At least 1 and at most 36500.
      - If the API gives the new key no longer lifetime than this, the module deletes the new key
        again and fails.
    type: int
  rotate:
    description:
      - Give the key a new secret now. The key keeps its ID, and the old secret is invalid at once.
      - Each run is changed. For an idempotent rotation, use O(rotate_after_days) or
        O(renew_before_days).
    type: bool
    default: false
  revoke_old:
    description:
      - Delete the replaced key and the older keys of its name after the new secret is stored.
      - With V(false) the old key stays valid, and its ID is in RV(superseded). Delete it later with
        O(state=absent) and O(key_id).
    type: bool
    default: true
  secret_file:
    description:
      - Write a new secret to this file on the host that runs the module. The path must be absolute,
        and its folder must exist. The file contains only the secret, has mode V(0600), and is
        written before the task ends.
      - A file that is not empty is only replaced if it contains a secret of this very key.
        Otherwise the task fails before it creates a key, in check mode as well. See
        O(secret_file_overwrite).
      - The module recognizes its file by a small record, with C(.owner) added to the name and mode
        V(0600). The record contains the name and ID of the key, the API URL, and hashes of the
        secret and of the O(api_key), but no secret.
      - The file, the record and the note must be regular files of the user that runs the module.
        Symbolic links are refused.
      - If the record names a key that the API does not list, the module reads that key by its ID.
        If the key exists, the module waits until it is listed and creates no other key.
      - Before the module creates a key, it writes a note next to the file, with C(.pending) added
        to the name. It removes the note after the secret is stored and the replaced keys are
        revoked. After a killed run, the next run finds the note and cleans up.
      - A missing file does not cause a new key.
    type: path
  secret_file_overwrite:
    description:
      - Replace what is in O(secret_file), even if the module did not write it for this key.
      - The former content is lost.
    type: bool
    default: false
  return_secret:
    description:
      - Return a new secret. Ansible then censors the output of the task, and C(register) has the
        secret.
      - The default is V(true) without O(secret_file), and V(false) with it. V(false) requires
        O(secret_file).
    type: bool
notes:
  - With C(async), O(state=present) is refused, since Ansible keeps the result of such a task in a
    file that other users may read. Even with O(secret_file), a new secret is in the result if the
    file cannot be written.
seealso:
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Create a key for the deployment pipeline, and write its secret to a file
  planasonix.admin.planasonix_api_key:
    api_key: "{{ planasonix_api_key }}"
    name: Deployment pipeline
    scopes:
      - pipelines:read
      - connections:read
    expires_in_days: 90
    secret_file: /etc/planasonix/deployment.key

- name: Replace the key two weeks before it expires
  planasonix.admin.planasonix_api_key:
    api_key: "{{ planasonix_api_key }}"
    name: Deployment pipeline
    renew_before_days: 14
    secret_file: /etc/planasonix/deployment.key

- name: Create a key and return its secret
  planasonix.admin.planasonix_api_key:
    api_key: "{{ planasonix_api_key }}"
    name: Airflow production
    scopes:
      - pipelines:run
  register: airflow_key

- name: Revoke a key
  planasonix.admin.planasonix_api_key:
    api_key: "{{ planasonix_api_key }}"
    name: Former contractor
    state: absent
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "API key 'Deployment pipeline': created"
plan:
  description:
    - The changes of the task, the same in check mode and in the real run.
    - C(changes) lists the changes in their order. C(resource) is the subset of
      M(planasonix.admin.planasonix_info), C(action) such as V(create), V(update) or V(delete),
      C(object) the name of the object (empty where there is only one), and C(before) and C(after)
      its fields. Of secrets, only the keys are listed.
    - C(controls) has the IDs of the controls that the change is for, with
      M(planasonix.admin.planasonix_baseline).
  returned: success
  type: dict
diff:
  description: The key, before and after.
  returned: success
  type: dict
  sample:
    before: {}
    after: {"name": "Deployment pipeline", "scopes": ["pipelines:read"], "expires_in_days": 90}
api_key:
  description:
    - The key after the task. Empty after its deletion.
    - In check mode a key that would be created has only C(name) and C(scopes).
  returned: success
  type: dict
  sample:
    id: key_01jq8new
    name: Deployment pipeline
    prefix: plnx_live_01jq
    scopes: [pipelines:read]
    created_at: "2026-03-27T15:00:00Z"
    last_used_at:
    expires_at: "2026-06-25T15:00:00Z"
secret:
  description: The secret of the key. Ansible censors the result in its output and logs.
  returned: if a secret was created and O(return_secret) allows it, or it could not be stored
  type: str
  sample: plnx_live_01jq8fullsecretshownonce
superseded:
  description:
    - IDs of the other keys of the same name that are listed and not revoked, including expired
      keys.
    - With O(key_id), the IDs of the older keys.
  returned: success and O(state=present)
  type: list
  elements: str
  sample: [key_01jq8old]
"""

from ansible_collections.planasonix.admin.plugins.module_utils._api_keys import API_KEY
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module

MODULE = Module(
    manages=API_KEY,
    options={
        "name": {"type": "str"},
        "key_id": {"type": "str", "no_log": False},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "scopes": {"type": "list", "elements": "str"},
        "expires_in_days": {"type": "int"},
        "on_mismatch": {"type": "str", "choices": ["fail", "recreate"], "default": "fail"},
        "rotate_after_days": {"type": "int"},
        "renew_before_days": {"type": "int"},
        "rotate": {"type": "bool", "default": False},
        "revoke_old": {"type": "bool", "default": True},
        "secret_file": {"type": "path", "no_log": False},
        "secret_file_overwrite": {"type": "bool", "default": False, "no_log": False},
        "return_secret": {"type": "bool", "no_log": False},
    },
    rules={"required_one_of": [("name", "key_id")]},
    makes_secret=lambda arguments: arguments.get("state") != "absent",
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
