"""Client: downloads packages by name with pip and apt-get, into a cache that survives the run.

No address of any registry is known here: both clients use whatever the machine is set up with."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from sources import Source

APT_OPTIONS = ["-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20"]
# The clients' own time limits cover a silent network; this one covers everything else.
COMMAND_SECONDS = 600
NOT_IN_LISTS = ("Unable to locate package", "Can't find a source", "Unable to find a source",
                "no installation candidate", "No packages found", "Couldn't find any package")


class FetchError(Exception):
    """A download that cannot be had: the command, and the last line it said."""

    def __init__(self, command: Sequence[str], line: str) -> None:
        super().__init__(line)
        self.command = shlex.join(command)
        self.line = line


class NotOffered(Exception):
    """The package is not in the lists of the package client."""


def say(text: str) -> None:
    """One line about what is going on."""
    print(f"sample: {text}", flush=True)


def run(command: Sequence[str], folder: Optional[Path] = None) -> Tuple[int, str]:
    """Runs a command without a terminal; returns its status and all it said."""
    # pip builds the metadata of a source distribution with a second pip, which sees only variables.
    environment = dict(os.environ, LC_ALL="C", PIP_DEFAULT_TIMEOUT="20", PIP_RETRIES="2", PIP_NO_INPUT="1",
                       PIP_DISABLE_PIP_VERSION_CHECK="1", DEBIAN_FRONTEND="noninteractive")
    try:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                                   start_new_session=True)
    except OSError as error:
        return 127, str(error)
    try:
        output, _ = process.communicate(timeout=COMMAND_SECONDS)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        return 124, f"no end after {COMMAND_SECONDS} s"
    finally:
        if process.poll() is None:
            # The whole group: pip and apt have children of their own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def last_line(output: str) -> str:
    """The line that tells why a command failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "ERROR", "Err:"))]
    return (errors or lines or ["it said nothing"])[-1]


class Client:
    """Fetches packages; each is downloaded once and kept under `cache`."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._updated = False

    def fetch(self, source: Source) -> Tuple[str, Path]:
        """The name and file of the first package of the source that can be had."""
        for name in source.names:
            cached = self._cached(source.client, name)
            if cached:
                return name, cached
        for name in source.names:
            try:
                return name, self.download(source.client, name, source.version)
            except NotOffered:
                continue
        raise NotOffered(source.names[0])

    def download(self, client: str, name: str, version: str = "") -> Path:
        """The file of one package, from the cache if it is there."""
        cached = self._cached(client, name)
        if cached:
            return cached
        self.cache.mkdir(parents=True, exist_ok=True)
        # Downloads go to a scratch folder: a package in the cache is always a whole one.
        scratch = Path(tempfile.mkdtemp(prefix=".part-", dir=self.cache))
        try:
            if client == "pip":
                self._pip(name, version, scratch)
            else:
                self._apt(name, scratch)
            files = [file for file in scratch.iterdir() if file.is_file()]
            if len(files) != 1:
                raise FetchError([client, "download", name], f"{len(files)} files came instead of one")
            kept = self._folder(client, name) / files[0].name
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.replace(files[0], kept)
            say(f"fetched {kept.name} ({kept.stat().st_size / 1e6:.1f} MB)")
            return kept
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def clear_scratch(self) -> None:
        """Removes what a killed run left."""
        for folder in self.cache.glob(".part-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, client: str, name: str) -> Path:
        return self.cache / client / name

    def _cached(self, client: str, name: str) -> Optional[Path]:
        folder = self._folder(client, name)
        return next(iter(sorted(folder.iterdir())), None) if folder.is_dir() else None

    def _pip(self, name: str, version: str, folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--timeout", "20", "--retries", "2",
                   "-d", str(folder), f"{name}=={version}"]
        status, output = run(command)
        if status != 0:
            raise FetchError(command, last_line(output))

    def _apt(self, name: str, folder: Path) -> None:
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise FetchError(["apt-get", "download", name], "the sample needs apt-get and dpkg-deb (Debian or Ubuntu)")
        if not self._have_lists():
            self._update("apt has no package lists yet, and without them it knows no package")
        command = ["apt-get", "download", *APT_OPTIONS, name]
        status, output = run(command, folder)
        if status != 0 and "404" in output and not self._updated:
            self._update("the package lists are older than what the mirror holds")
            status, output = run(command, folder)
        if status != 0 and any(text in output for text in NOT_IN_LISTS):
            raise NotOffered(name)
        if status != 0:
            raise FetchError(command, last_line(output))

    def _have_lists(self) -> bool:
        # Of the configured lists, apt names only those that are there.
        status, output = run(["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"])
        return status != 0 or any(Path(line).exists() for line in output.splitlines() if line.strip())

    def _update(self, reason: str) -> None:
        update = ["apt-get", "update", *APT_OPTIONS]
        command = update if os.geteuid() == 0 else ["sudo", "-n", *update]
        say(f"running `{shlex.join(command)}`, since {reason}")
        self._updated = True
        status, output = run(command)
        if status != 0 and os.geteuid() != 0:
            raise FetchError(command, f"{last_line(output)}; please run `sudo apt-get update`, then this again")
        # apt-get update reports an unreachable mirror as a warning and succeeds.
        if status != 0 or not self._have_lists():
            failures: List[str] = [line for line in output.splitlines() if line.startswith(("E:", "W:", "Err:"))]
            raise FetchError(command, failures[0] if failures else last_line(output))
