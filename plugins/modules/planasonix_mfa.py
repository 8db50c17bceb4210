#!/usr/bin/python
# Copyright (c) Planasonix collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planasonix_mfa
short_description: Manage multi-factor authentication of a Planasonix user
version_added: 1.0.0
description:
  - Enables multi-factor authentication (MFA) by time-based codes (TOTP) for the user that the API key acts as, or disables it.
  - Enrollment needs no one with a phone. The module computes the code from the secret that the API gives, verifies it, and hands over the secret and the
    backup codes, once.
  - The secret is in O(secret_file), if there is one, before the verification is sent, so no user is locked out by a secret that nobody has. The backup codes
    are added after it.
  - If the answer to the verification is lost, the module reads whether MFA is on. If it is, the task succeeds with an empty list of backup codes and a warning.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  state:
    description:
      - Whether MFA is on.
      - V(disabled) needs O(password), and O(totp_secret) or O(code), but only while MFA is on.
    type: str
    choices: [enabled, disabled]
    required: true
  method:
    description: How the user proves who they are. The API knows one method.
    type: str
    choices: [totp]
    default: totp
  totp_secret:
    description:
      - With O(state=disabled), the TOTP secret in Base32, from which the current code is computed.
      - If the code is refused, its half minute may have ended on the way. The next one is then tried once, after up to 30 seconds, which count for
        O(retry_budget). The same holds for enrollment.
    type: str
  password:
    description: With O(state=disabled), the user's password.
    type: str
  code:
    description: With O(state=disabled), a current code instead of O(totp_secret). Quote it, or YAML may read it as another number.
    type: str
  secret_file:
    description:
      - Absolute path, on the host that runs the module, of a file that gets the secret, its C(otpauth) URI and the backup codes, as a JSON object with the keys
        C(secret), C(otpauth_uri) and C(backup_codes). It is written with mode 0600. They are not returned then.
      - It is written on enrollment only. In check mode, the module checks that it could be written.
        Give each user a file of its own.
      - A file that is not empty is only replaced if it contains an earlier enrollment with the same
        O(api_key) and O(api_url). Otherwise the task fails before it starts the enrollment, in
        check mode as well. See O(secret_file_overwrite).
      - The module recognizes its file by a small record, with C(.owner) added to the name and mode
        V(0600). The record contains hashes of the content and of the O(api_key), but no secret.
      - Without it, they are returned. What is displayed and logged of such a result is censored, while C(register) keeps it.
    type: path
  secret_file_overwrite:
    description:
      - Replace what is in O(secret_file), even if the module did not write it for this user.
      - The former content is lost.
    type: bool
    default: false
requirements:
  - pyotp >= 2.9, but not 2.12.0, which refuses secrets as short as those of the API
notes:
  - The clock of the host that runs the module must be right, to within half a minute.
  - With C(async), O(state=enabled) is refused, since Ansible keeps the result of such a task in a
    file that other users may read.
seealso:
  - module: planasonix.admin.planasonix_password
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Enable MFA, and keep the secret and the backup codes in a file
  planasonix.admin.planasonix_mfa:
    api_key: "{{ planasonix_api_key }}"
    state: enabled
    secret_file: /etc/planasonix/mfa.json

- name: Enable MFA, and hand the secret to a secret manager
  planasonix.admin.planasonix_mfa:
    api_key: "{{ planasonix_api_key }}"
    state: enabled
  register: mfa

- name: Hand it on; this task would display it
  ansible.builtin.uri:
    url: https://vault.example.com/v1/secret/planasonix
    method: POST
    body_format: json
    body:
      totp_secret: "{{ mfa.secret }}"
      backup_codes: "{{ mfa.backup_codes }}"
  no_log: true
  when: mfa.secret is defined

- name: Disable MFA
  planasonix.admin.planasonix_mfa:
    api_key: "{{ planasonix_api_key }}"
    state: disabled
    password: "{{ vault_password }}"
    totp_secret: "{{ vault_totp_secret }}"
"""

RETURN = r"""
msg:
  description: What changed, on one line.
  returned: always
  type: str
  sample: "mfa: enabled false -> true, methods [] -> [\"totp\"]"
plan:
  description:
    - What the task changes. It is the same in check mode and in the real run.
    - C(changes) lists the changes in their order. C(resource) is the subset of
      M(planasonix.admin.planasonix_info), C(action) such as V(create), V(update) or V(delete),
      C(object) the name of the object (empty where there is only one), and C(before) and C(after)
      its fields. Secrets are named by their keys, without values.
    - C(controls) has the IDs of the controls that the change is for, with
      M(planasonix.admin.planasonix_baseline).
  returned: success
  type: dict
diff:
  description: Whether MFA is on, and by which methods, before and after.
  returned: success
  type: dict
  sample:
    before: {"enabled": false, "methods": []}
    after: {"enabled": true, "methods": ["totp"]}
mfa:
  description: The MFA status as it now is. In check mode a change leaves C(backup_codes_remaining) out.
  returned: success
  type: dict
  sample: {"enabled": true, "methods": ["totp"], "backup_codes_remaining": 8}
secret:
  description: The TOTP secret in Base32. The result is censored wherever it is displayed or logged.
  returned: on enrollment without O(secret_file), or if it could be kept nowhere else
  type: str
  sample: JBSWY3DPEHPK3PXP
otpauth_uri:
  description: The secret as a URI, as authenticator apps read it.
  returned: as RV(secret)
  type: str
  sample: otpauth://totp/Planasonix:alex.morgan%40example.com?secret=JBSWY3DPEHPK3PXP&issuer=Planasonix
backup_codes:
  description:
    - Codes for use without the authenticator, each once.
    - Empty, with a warning, if the answer with the codes was lost, or contains none.
  returned: as RV(secret), and if there are none
  type: list
  elements: str
  sample: [1111-2222-33, 4444-5555-66]
"""

from ansible_collections.planasonix.admin.plugins.module_utils._mfa import MFA, PYOTP_IMPORT_ERROR
from ansible_collections.planasonix.admin.plugins.module_utils._runner import Module, run_as_module

MODULE = Module(
    manages=MFA,
    options={
        "state": {"type": "str", "choices": ["enabled", "disabled"], "required": True},
        "method": {"type": "str", "choices": ["totp"], "default": "totp"},
        "totp_secret": {"type": "str", "no_log": True},
        "password": {"type": "str", "no_log": True},
        "code": {"type": "str", "no_log": True},
        "secret_file": {"type": "path", "no_log": False},
        "secret_file_overwrite": {"type": "bool", "default": False, "no_log": False},
    },
    rules={"mutually_exclusive": [("totp_secret", "code")]},
    makes_secret=lambda arguments: arguments.get("state") == "enabled",
    library_errors={"pyotp": PYOTP_IMPORT_ERROR},
)


def main() -> None:
    run_as_module(MODULE)


if __name__ == "__main__":
    main()
