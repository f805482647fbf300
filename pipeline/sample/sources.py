"""Sources: which packages the sample is made of, and under which licences.

Only packages whose text is free to share are listed. The apt packages carry no version: whatever
the system offers is taken, and the version got is recorded."""

from typing import NamedTuple, Tuple

RUNNING = "running text"
QUESTIONS = "questions"
TRANSLATIONS = "translations"
LABELLED = "labelled"
KINDS = (RUNNING, QUESTIONS, TRANSLATIONS, LABELLED)


class Source(NamedTuple):
    """One package. The first of `names` that the client knows is taken."""

    kind: str
    client: str
    names: Tuple[str, ...]
    licence: str
    # A regular expression for the members of the package that hold text.
    members: str
    # How to read a member ("roff", "html") where the kind leaves it open.
    form: str = ""
    version: str = ""


MO = r"/zh_CN/LC_MESSAGES/[^/]+\.mo$"


def catalogue(licence: str, *names: str) -> Source:
    """A Debian package that carries a Chinese gettext catalogue."""
    return Source(TRANSLATIONS, "apt", names, licence, MO)


SOURCES = (
    Source(RUNNING, "apt", ("debian-handbook",), "GPL-2+ or CC-BY-SA-3.0", r"/html/zh-CN/[^/]+\.html$", "html"),
    Source(RUNNING, "apt", ("debian-reference-zh-cn",), "GPL-2+", r"/debian-reference/[^/]+\.zh-cn\.html$", "html"),
    Source(RUNNING, "apt", ("maint-guide-zh-cn",), "GPL-2+", r"/html/[^/]+\.zh-cn\.html$", "html"),
    Source(RUNNING, "apt", ("installation-guide-amd64",), "GPL-2", r"/zh_CN/[^/]+\.html$", "html"),
    Source(RUNNING, "apt", ("libreoffice-help-zh-cn",), "MPL-2.0", r"/help/zh-CN/text/.*\.html$", "html"),
    Source(RUNNING, "apt", ("manpages-zh",), "GFDL-1.2+, a few pages GPL-2", r"/man/zh_CN/man[^/]+/[^/]+$", "roff"),
    Source(QUESTIONS, "pip", ("insuranceqa-data",), "GPL-3.0", r"/(train|valid|answers)\.json\.gz$", version="1.0"),
    catalogue("CC-BY-SA-3.0", "cataclysm-dda-data"),
    catalogue("MPL-2.0", "libreoffice-l10n-zh-cn"),
    catalogue("GPL-2", "git"),
    catalogue("GPL-3+", "gcc-12-locales", "gcc-13-locales", "gcc-14-locales", "gcc-15-locales"),
    catalogue("GPL-3+", "coreutils"),
    catalogue("GPL-2+", "gramps"),
    catalogue("GPL-2+", "gnucash-common"),
    catalogue("GPL-2+ / LGPL-2.1+", "vlc-l10n"),
    catalogue("GPL-2+ / LGPL-2+", "krita-l10n"),
    catalogue("LGPL-2.1+", "minetest-data", "luanti-data"),
    Source(LABELLED, "pip", ("hsk-sentences-audio",), "CC-BY-SA-4.0", r"/data/sentences\.json$", version="1.0.0"),
)
