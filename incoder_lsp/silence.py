"""Files in which nothing is suggested: a question comes in, the reason for silence goes out, or None.

Secrets, and what the user has switched off, are nobody's business, whoever asks. In files that no person writes, that git ignores
or that often hold a password among other things, a suggestion comes only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from incoder_lsp.patterns import is_named
from incoder_lsp.question import Question
from incoder_lsp.settings import Settings

# Names in lower case.
ENVIRONMENTS = [
    ".env*",
    "*.env",
    "*.env.*",
    ".dev.vars",
    ".dev.vars.*",
    "*.tfvars",
    "*.tfstate",
    "*.tfstate.*",
    "kubeconfig",
    "*.kubeconfig",
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
    "*.p8",
    "*.p12",
    "*.pkcs12",
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
    ".boto",
    ".s3cfg",
    ".yarnrc.yml",
    "auth.json",
    "credentials",
    "token",
    "*.token",
    "*.secret",
    "*.secrets",
    "*service-account*.json",
    "*service_account*.json",
]
SECRETS = [*ENVIRONMENTS, *KEYS, *LOGINS]
SECRET_WORDS = ("secret", "secrets", "credentials")  # a file of data by such a name; secrets.py is a program
DATA = ("json", "yml", "yaml", "toml", "ini", "cfg", "conf", "xml", "properties", "txt", "csv")
SECRET_FOLDERS = {".ssh", ".gnupg", ".gpg", ".aws", ".azure", ".gcp", ".kube", ".docker", ".secrets", ".private"}
DATA_FOLDERS = {"secrets", "private", "certs", "certificates", "keys"}  # their programs are programs like others
DOUBTFUL = [  # settings, copies and databases: mostly harmless, sometimes with a password
    "config.json",
    "config.yaml",
    "config.yml",
    "settings.json",
    "appsettings.json",
    "appsettings.*.json",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
    "*.bak",
    "*.backup",
    "*.old",
    "*.orig",
    "*.db",
    "*.sqlite",
    "*.sqlite3",
    "*.mdb",
    "*.accdb",
]
MINIFIED = ["*.min.js", "*.min.css", "*.min.mjs", "*.bundle.js", "*.map"]
LONGEST_LINE = 3000  # characters; as long as in the files that the model learned from
LARGEST = 2_000_000  # characters


def reason_for_silence(question: Question) -> str | None:
    """Why nothing is suggested there, in a few words."""
    why = off_limits(question.path, question.place, question.language, question.settings)
    return why if why or question.invoked else _unasked(question)


def off_limits(path: str, place: str, language: str, settings: Settings) -> str | None:
    """Why a file is to be left alone, whoever asks; it is no neighbour of others, either. `place`: its path from the workspace
    folder on."""
    if is_secret(path, place):
        return "the file may hold secrets"
    if language in settings.off_languages:
        return f"switched off for {language} by offLanguages"
    if is_named(settings.off_files, place):
        return "switched off for this file by offFiles"
    return None


def is_secret(path: str, place: str = "") -> bool:
    whole, inside = PurePosixPath(path.lower()), PurePosixPath(place.lower())
    stem, _, ending = whole.name.partition(".")
    data = ending in DATA and (stem in SECRET_WORDS or DATA_FOLDERS.intersection(inside.parts[:-1]))
    return bool(data or _is_any(whole.name, SECRETS) or SECRET_FOLDERS.intersection(whole.parts[:-1]))


def is_private(path: str, text: str = "") -> bool:
    """Is the file no neighbour for the others: because it may hold secrets, or because no person has written it?"""
    return is_secret(path, path) or _unwritten(path, text) is not None


def _unasked(question: Question) -> str | None:
    if question.ignored and not question.settings.gitignored:
        return "git ignores the file"
    return _unwritten(question.path, question.text, question.offset)


def _unwritten(path: str, text: str, offset: int = 0) -> str | None:
    name = PurePosixPath(path.lower()).name
    if _is_any(name, DOUBTFUL):
        return "the file may hold a password among its settings"
    if len(text) > LARGEST:
        return "the file is very large"
    if "\0" in text:
        return "the file is binary"
    if _is_any(name, MINIFIED) or _line_length(text, offset) > LONGEST_LINE:
        return "the file is minified"
    return None


def _is_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _line_length(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return (end if end >= 0 else len(text)) - text.rfind("\n", 0, offset) - 1
