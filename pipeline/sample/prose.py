"""Prose: tidy paragraphs, what counts as Chinese, and how paragraphs become documents."""

import re
from typing import Iterable, List, NamedTuple, Sequence, Set, Tuple

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*|[0-9]+")
WIDE = "\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef\u2018\u2019\u201c\u201d"
# A line break between two wide characters is only the width of the source file.
WRAPPED = re.compile(rf"(?<=[{WIDE}])[ \t]*\n\s*(?=[{WIDE}])")
SPACES = re.compile(r"\s+")
INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060\ufeff\u00ad\ufffd\x00-\x08\x0e-\x1f\x7f]")
BEFORE_CLOSING = re.compile(r" +(?=[，。、；：！？）》」』】])")
AFTER_OPENING = re.compile(r"(?<=[，。、；：！？（《「『【]) +")
SENTENCE_END = re.compile(r"[。！？；：!?…][”」』）)\"]*$")

Section = Tuple[str, List[str]]


class Document(NamedTuple):
    """One record of running text: the title is not repeated in the paragraphs."""

    title: str
    paragraphs: List[str]


def tidy(text: str) -> str:
    """One paragraph on one line, without the traces of line wrapping and invisible characters."""
    text = INVISIBLE.sub("", text.replace("\u00a0", " "))
    text = SPACES.sub(" ", WRAPPED.sub("", text))
    return AFTER_OPENING.sub("", BEFORE_CLOSING.sub("", text)).strip()


def han(text: str) -> int:
    """The number of Han characters."""
    return len(HAN.findall(text))


def mostly_chinese(text: str, least: int = 4) -> bool:
    """Whether a reader would call the text Chinese: a Latin word or a number weighs as much as
    one and a half Han characters, since a command line is long in letters but short in words."""
    count = han(text)
    return count >= least and count >= 1.5 * len(WORD.findall(text))


def is_sentence(text: str) -> bool:
    """Whether a fragment (of a table, say) can stand on its own as prose."""
    return bool(SENTENCE_END.search(text)) and han(text) >= 8 or han(text) >= 24


def fresh_paragraphs(paragraphs: Iterable[str], seen: Set[str]) -> List[str]:
    """The Chinese paragraphs that no earlier page had; `seen` grows.

    Manuals repeat whole blocks on every page, which would weigh too much in any model."""
    kept = []
    for paragraph in paragraphs:
        if mostly_chinese(paragraph) and paragraph not in seen:
            seen.add(paragraph)
            kept.append(paragraph)
    return kept


def full_title(page_title: str, heading: str) -> str:
    """A heading as the title of a document: a short one ("选项") says too little without its page."""
    if not page_title or heading in page_title or han(heading) > 6:
        return heading
    return f"{page_title}：{heading}"


def documents(page_title: str, sections: Sequence[Section], smallest: int, seen: Set[str]) -> List[Document]:
    """Cuts a page at its headings, joining what is too short to stand alone.

    A section with fewer than `smallest` Han characters, or with a heading that is not Chinese,
    continues the one before it. A page with hardly any text yields nothing."""
    result: List[Document] = []
    for heading, raw in sections:
        paragraphs = fresh_paragraphs(raw, seen)
        if not paragraphs:
            continue
        titled = mostly_chinese(heading, 2)
        if not result:
            title = full_title(page_title, heading) if titled and not mostly_chinese(page_title, 2) else page_title
            lead = [heading] if titled and heading not in title else []
            result.append(Document(title, lead + paragraphs))
        elif titled and sum(map(han, paragraphs)) >= smallest and sum(map(han, result[-1].paragraphs)) >= smallest:
            result.append(Document(full_title(page_title, heading), paragraphs))
        else:
            result[-1].paragraphs.extend(([heading] if titled else []) + paragraphs)
    return [document for document in result if document.title and sum(map(han, document.paragraphs)) >= 20]
