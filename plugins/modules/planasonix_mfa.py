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
  - Enables multi-factor authentication (MFA) by time-based codes (TOTP) for the user of the API
    key, or disables it.
  - Enrollment does not require a phone. The module computes the code from the secret of the API,
    verifies it, and returns the secret and the backup codes once.
  - With O(secret_file), the module writes the secret before it sends the verification, so that a
    lost secret does not lock out the user. It adds the backup codes afterwards.
  - If the answer to the verification is lost, the module reads whether MFA is on. If it is, the
    task succeeds with an empty list of backup codes and a warning.
author:
  - Planasonix collection contributors (@planasonix)
extends_documentation_fragment:
  - planasonix.admin.attributes
  - planasonix.admin.connection
options:
  state:
    description:
      - Whether MFA is on.
      - V(disabled) requires O(password), and O(totp_secret) or O(code), but only while MFA is on.
    type: str
    choices: [enabled, disabled]
    required: true
  method:
    description: Method of authentication. The API has one method.
    type: str
    choices: [totp]
    default: totp
  totp_secret:
    description:
      - With O(state=disabled), the TOTP secret in Base32, from which the current code is computed.
      - If the API refuses the code, its 30 seconds may have ended. The module then tries the next
        code once, after up to 30 seconds, which count for O(retry_budget). Enrollment does the
        same.
    type: str
  password:
    description: With O(state=disabled), the user's password.
    type: str
  code:
    description:
      - With O(state=disabled), a current code instead of O(totp_secret). Quote it, or YAML may read
        it as another number.
    type: str
  secret_file:
    description:
      - Write the secret, its C(otpauth) URI and the backup codes to this file on the host that runs
        the module, instead of returning them. The path must be absolute. The file is a JSON object
        with the keys C(secret), C(otpauth_uri) and C(backup_codes), and has mode 0600.
      - The module writes it only on enrollment. In check mode, the module checks that it could
        write it. Use a separate file for each user.
      - A file that is not empty is only replaced if it contains an earlier enrollment with the same
        O(api_key) and O(api_url). Otherwise the task fails before it starts the enrollment, in
        check mode as well. See O(secret_file_overwrite).
      - The module recognizes its file by a small record, with C(.owner) added to the name and mode
        V(0600). The record contains hashes of the content and of the O(api_key), but no secret.
      - Without it, the result has them. Ansible then censors the result in its output and logs, and
        C(register) has it.
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
  - The clock of the host that runs the module must be right, to within 30 seconds.
  - With C(async), O(state=enabled) is refused, since Ansible keeps the result of such a task in a
    file that other users may read.
seealso:
  - module: planasonix.admin.planasonix_password
  - module: planasonix.admin.planasonix_info
"""

EXAMPLES = r"""
- name: Enable MFA, and write the secret and the backup codes to a file
  planasonix.admin.planasonix_mfa:
    api_key: "{{ planasonix_api_key }}"
    state: enabled
    secret_file: /etc/planasonix/mfa.json

- name: Enable MFA, and return the secret
  planasonix.admin.planasonix_mfa:
    api_key: "{{ planasonix_api_key }}"
    state: enabled
  register: mfa

- name: Store the secret in a secret manager, without displaying it
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
  description: Whether MFA is on, and by which methods, before and after.
  returned: success
  type: dict
  sample:
    before: {"enabled": false, "methods": []}
    after: {"enabled": true, "methods": ["totp"]}
mfa:
  description: The MFA status after the task, in check mode without C(backup_codes_remaining) if it
    changes.
  returned: success
  type: dict
  sample: {"enabled": true, "methods": ["totp"], "backup_codes_remaining": 8}
secret:
  description: The TOTP secret in Base32. Ansible censors the result in its output and logs.
  returned: on enrollment without O(secret_file), or if it could not be stored
  type: str
  sample: JBSWY3DPEHPK3PXP
otpauth_uri:
  description: The secret as a URI, as authenticator apps read it.
  returned: as RV(secret)
  type: str
  sample: otpauth://totp/Planasonix:alex?secret=JBSWY3DPEHPK3PXP&issuer=Planasonix
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
