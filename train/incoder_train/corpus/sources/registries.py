"""Fetching one pinned file from a package registry, by the registry's own client, into a folder. No client may run anything
that it fetched: pip takes wheels only (it would run an sdist's build to learn its name, so sdists are looked up in the
index and downloaded as they are), npm runs no scripts, apt-get only downloads."""

import html
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from incoder_train.corpus.manifest import Archive
from incoder_train.errors import UserError

TIMEOUT = 600  # seconds


def download(archive: Archive, folder: Path) -> None:
    """Brings `archive.filename` into the empty `folder`. Raises UserError if it does not come."""
    said = _sdist(archive, folder) if archive.kind == "sdist" else _run(_command(archive, folder), folder)
    if not (folder / archive.filename).exists():
        raise UserError(
            f"{archive.filename} is not in the cache and could not be fetched ({said}); "
            f"connect to a package index, or put the file into {folder.parent} yourself."
        )


def _command(archive: Archive, folder: Path) -> list[str]:
    if archive.kind == "npm":
        return [
            "npm",
            "pack",
            "--ignore-scripts",
            "--pack-destination",
            str(folder),
            f"{archive.name}@{archive.version}",
        ]
    if archive.kind == "debian":
        return ["apt-get", "download", f"{archive.name}={archive.version}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--ignore-requires-python", "--dest", str(folder)]
    return [*command, *_tag_options(archive.filename), f"{archive.name}=={archive.version}"]


def _run(command: list[str], folder: Path) -> str:
    """Runs a client in the folder; what it said last."""
    try:
        client = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        return f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {TIMEOUT} s"
    words = [line for line in client.stderr.splitlines() if line.strip() and "A complete log" not in line]
    return re.sub(r"^(?:ERROR|npm error|E): ?", "", (words or [f"{command[0]} brought another file"])[-1].strip())


def _tag_options(filename: str) -> list[str]:
    """The pip options that select this wheel on every machine; its name ends in -python-abi-platform.whl."""
    python, abi, platforms = filename.removesuffix(".whl").split("-")[-3:]
    version = re.sub(r"^\D+(\d)(\d*)$", r"\1.\2", python.split(".")[-1]).rstrip(".")  # cp314 -> 3.14, py3 -> 3
    options = ["--python-version", version, "--abi", abi]
    for platform in platforms.split("."):
        options += ["--platform", platform]
    return options


def _sdist(archive: Archive, folder: Path) -> str:
    """Looks the file up in the index's page for the project (PEP 503) and downloads it; what went wrong, if it did."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    if os.environ.get("PIP_NO_INDEX"):
        return "PIP_NO_INDEX is set"
    page = f"{index}/{re.sub(r'[-_.]+', '-', archive.name).lower()}/"
    try:
        with urllib.request.urlopen(page, timeout=60) as answer:
            links = re.findall(r'href="([^"]+)"', answer.read().decode("utf-8", "replace"))
        urls = [urllib.parse.urljoin(page, html.unescape(link)) for link in links]
        url = next((u for u in urls if urllib.parse.urlsplit(u).path.endswith(f"/{archive.filename}")), None)
        if url is None:
            return f"{page} does not list it"
        with urllib.request.urlopen(url, timeout=60) as answer, (folder / ".part").open("wb") as file:
            while chunk := answer.read(1 << 20):
                file.write(chunk)
    except (OSError, ValueError) as error:  # URLError is an OSError
        return str(error)
    (folder / ".part").replace(folder / archive.filename)
    return ""
