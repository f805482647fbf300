"""Archive: the members of a downloaded package, read without unpacking it to disk."""

import gzip
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Dict, NamedTuple


class Contents(NamedTuple):
    """The wanted members by path (sorted), the texts of licences, and where links point."""

    members: Dict[str, bytes]
    licences: Dict[str, bytes]
    links: Dict[str, str]


class DamagedArchive(Exception):
    """The file is no complete package."""


LICENCE = re.compile(
    r"(^|/)usr/share/doc/[^/]+/copyright$|(^|/)(LICEN[CS]E|COPYING)[^/]*$|\.dist-info/(METADATA$|licenses/)|^[^/]+/PKG-INFO$"
)


def read_archive(path: Path, wanted: str) -> Contents:
    """Reads a .deb, a wheel or a source distribution."""
    try:
        if path.suffix == ".deb":
            return _read_deb(path, wanted)
        if zipfile.is_zipfile(path):
            return _read_zip(path, wanted)
        with tarfile.open(path) as archive:
            return _read_tar(archive, wanted)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DamagedArchive(f"{path.name}: {error}") from error


def _read_deb(path: Path, wanted: str) -> Contents:
    command = ["dpkg-deb", "--fsys-tarfile", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            contents = _read_tar(archive, wanted)
        # What follows the last member is padding; dpkg-deb must not meet a closed pipe.
        process.stdout.read()
    if process.returncode != 0:
        raise DamagedArchive(f"{path.name}: dpkg-deb cannot read it")
    return contents


def _read_tar(archive: tarfile.TarFile, wanted: str) -> Contents:
    contents = Contents({}, {}, {})
    for entry in archive:
        if entry.issym():
            contents.links["/" + entry.name.lstrip("./")] = entry.linkname
        elif entry.isfile():
            _keep(contents, entry.name, wanted, lambda: archive.extractfile(entry).read())
    return _sorted(contents)


def _read_zip(path: Path, wanted: str) -> Contents:
    contents = Contents({}, {}, {})
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            _keep(contents, name, wanted, lambda: archive.read(name))
    return _sorted(contents)


def _keep(contents: Contents, name: str, wanted: str, read) -> None:
    if name.startswith("./"):
        name = name[2:]
    if re.search(wanted, "/" + name):
        contents.members["/" + name] = read()
    elif LICENCE.search(name):
        contents.licences["/" + name] = read()


def _sorted(contents: Contents) -> Contents:
    return Contents(*(dict(sorted(part.items())) for part in contents))


def decompressed(data: bytes, name: str) -> bytes:
    """The bytes of a member, gunzipped if its name says so."""
    if not name.endswith(".gz"):
        return data
    return gzip.decompress(data)
