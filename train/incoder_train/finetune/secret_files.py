"""Which files of a repository may hold what nobody should be told, so that no model can learn it. Two tables: names, by which
a file is never opened, and patterns that hardly anything but a secret has. A path or a text goes in, what it betrays comes out.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

# Of a file, or of a folder it lies in, in lower case -> what is kept there.
NAMES = {
    ".env": "environment variables",
    ".env.*": "environment variables",
    "*.env": "environment variables",
    ".envrc": "environment variables",
    "*.pem": "keys",
    "*.key": "keys",
    "*.p12": "keys",
    "*.pfx": "keys",
    "*.jks": "keys",
    "*.keystore": "keys",
    "*.ppk": "keys",
    "*.asc": "keys",
    "*.gpg": "keys",
    "id_rsa*": "SSH keys",
    "id_dsa*": "SSH keys",
    "id_ecdsa*": "SSH keys",
    "id_ed25519*": "SSH keys",
    ".ssh": "SSH keys",
    ".gnupg": "keys",
    ".aws": "a cloud account",
    ".azure": "a cloud account",
    ".gcloud": "a cloud account",
    ".kube": "a cloud account",
    "*.tfstate*": "a cloud account",
    "*.tfvars": "a cloud account",
    ".docker": "passwords",
    ".npmrc": "passwords",
    ".pypirc": "passwords",
    ".netrc": "passwords",
    "_netrc": "passwords",
    ".pgpass": "passwords",
    ".htpasswd": "passwords",
    ".git-credentials": "passwords",
    "*.kdbx": "passwords",
    "*credential*": "passwords",
    "*secret*": "passwords",
}

# What it is, a part that every text with one has, and the pattern.
PATTERNS = tuple(
    (what, cue, re.compile(pattern))
    for what, cue, pattern in (
        ("a private key", "PRIVATE KEY", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
        ("an AWS key", "AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
        ("an AWS key", "ASIA", r"\bASIA[0-9A-Z]{16}\b"),
        ("a Google key", "AIza", r"\bAIza[\w-]{35}"),
        ("a GitHub token", "gh", r"\bgh[opsur]_[A-Za-z0-9]{36}"),
        ("a GitHub token", "github_pat_", r"\bgithub_pat_\w{50}"),
        ("a GitLab token", "glpat-", r"\bglpat-[\w-]{20}"),
        ("a Slack token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10}"),
        ("a Slack token", "hooks.slack.com", r"hooks\.slack\.com/services/T\w+/B\w+/\w+"),
        ("a Stripe key", "k_live_", r"\b[rs]k_live_[A-Za-z0-9]{20}"),
        ("an npm token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("a PyPI token", "pypi-", r"\bpypi-AgE[\w-]{50}"),
        ("a service token", "sk-", r"\bsk-(?:[a-z]+[\w]*-)?[A-Za-z0-9_-]{40}"),
        ("a web token", "eyJ", r"\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20}"),
    )
)


def secret_by_name(path: str) -> str | None:
    """What a file with this path, with forward slashes, is likely to hold; None if nothing tells against it."""
    for part in PurePosixPath(path.lower()).parts:
        for pattern, what in NAMES.items():
            if fnmatchcase(part, pattern):
                return what
    return None


def secret_in(text: str) -> str | None:
    """What secret the text holds; None if none is seen."""
    return next((what for what, cue, pattern in PATTERNS if cue in text and pattern.search(text)), None)
