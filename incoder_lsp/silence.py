"""Files in which nothing is suggested: a path, a text and a cursor come in, the reason for silence goes out, or None.

Secrets are nobody's business, whoever asks. In files that no person writes, a suggestion comes only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

# Names in lower case.
ENVIRONMENTS = [
    ".env",
    ".env.*",
    "*.env",
    ".envrc",
    ".dev.vars",
    ".dev.vars.*",
    "*.tfvars",
    "*.tfstate",
    "*.tfstate.*",
    "kubeconfig",
    "*.ovpn",
]
KEYS = [
    "*.pem",
    "*.key",
    "*.cert",
    "*.crt",
    "*.cer",
    "*.der",
    "*.csr",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.truststore",
    "*.keychain",
    "*.ppk",
    "*.gpg",
    "*.asc",
    "*.age",
    "*.kdbx",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
]
LOGINS = [
    ".netrc",
    "_netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".dockercfg",
    ".git-credentials",
    "credentials",
    "*.secret",
    "*.secrets",
    "*service-account*.json",
    "*service_account*.json",
]
SECRETS = [*ENVIRONMENTS, *KEYS, *LOGINS]
SECRET_WORDS = ("secret", "secrets", "credentials")  # a file of data by such a name; secrets.py is a program
DATA = ("json", "yml", "yaml", "toml", "ini", "cfg", "conf", "xml", "properties", "txt", "csv")
SECRET_FOLDERS = {".ssh", ".gnupg", ".aws", ".azure", ".kube"}
MINIFIED = ["*.min.js", "*.min.css", "*.min.mjs", "*.bundle.js", "*.map"]
LONGEST_LINE = 3000  # characters; as long as in the files that the model learned from
LARGEST = 2_000_000  # characters


def reason_for_silence(path: str, text: str, offset: int, *, invoked: bool) -> str | None:
    """`offset`: of the cursor in `text`; `invoked`: the user asked for a suggestion."""
    place = PurePosixPath(path.lower())
    stem, _, ending = place.name.partition(".")
    data = stem in SECRET_WORDS and ending in DATA
    if data or _is_any(place.name, SECRETS) or SECRET_FOLDERS.intersection(place.parts[:-1]):
        return "the file may hold secrets"
    if invoked:
        return None
    if len(text) > LARGEST:
        return "the file is very large"
    if "\0" in text:
        return "the file is binary"
    if _is_any(place.name, MINIFIED) or _line_length(text, offset) > LONGEST_LINE:
        return "the file is minified"
    return None


def _is_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _line_length(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return (end if end >= 0 else len(text)) - text.rfind("\n", 0, offset) - 1
