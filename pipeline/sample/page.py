"""Page: an HTML manual page as a title and sections of plain paragraphs."""

import re
from html.parser import HTMLParser
from typing import List, Optional, Tuple

from prose import Section, is_sentence, tidy

BLOCKS = frozenset(
    "address article blockquote body br caption center dd details div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hr html li main ol p section summary table tbody td tfoot th thead tr ul".split()
)
HEADINGS = frozenset(("h1", "h2", "h3"))
# These stay in the text as paragraphs.
MINOR_HEADINGS = frozenset(("h4", "h5", "h6"))
# Code, navigation, tables of contents, and the list of menus ("how to get here") that opens each help page.
SKIPPED_TAGS = frozenset("head script style noscript nav aside pre button select textarea svg math title".split())
SKIPPED_CLASSES = frozenset(
    "navheader navfooter toc docnav list-of-tables list-of-figures list-of-examples indexterm index howtoget "
    "relatedtopics related bascode pycode debug authorgroup revhistory copyright legalnotice MAC "
    "dropdowns contents-treeview index-label iconcell noteicon programlisting screen synopsis".split()
)
# Code set as a paragraph goes, code within a sentence stays.
SKIPPED_BLOCK_CLASSES = SKIPPED_CLASSES | {"code", "smathcode", "codeintable"}
SKIPPED_IDS = frozenset("banner title TopLeftHeader Contents Index Bookmarks SearchFrame DonationFrame".split())
VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
# "9.3. ", "第 3 章 " and "附录 A. " number a heading; they say nothing about its subject.
NUMBERING = re.compile(r"^(?:第\s*[0-9一二三四五六七八九十]+\s*[章节部]|附录\s*[A-Z]|[A-Z]?\.?[0-9]+(?:\.[0-9]+)*)[.、：:]?\s+")
# Captions of the figures and tables that are left out, and marks of footnotes.
CAPTION = re.compile(r"(?:图|表|例|示例)\s*[A-Z0-9]+(?:[.．-][0-9]+)*[.．:：]\s")
FOOTNOTE = re.compile(r"\^?\[[0-9]+\]\s?")

Attributes = List[Tuple[str, Optional[str]]]


def heading_text(text: str) -> str:
    """A heading without its number."""
    return NUMBERING.sub("", tidy(text)).strip(" :：")


class PageParser(HTMLParser):
    """Gathers the sections of one page while the markup goes by."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.sections: List[Section] = [("", [])]
        self._text: List[str] = []
        self._skipped: Optional[str] = None
        self._nested = 0
        self._tables = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attributes: Attributes) -> None:
        if tag == "title" and self._skipped == "head":
            self._in_title = True
        if self._skipped:
            # Only tags of the skipped name are counted: HTML leaves many others open.
            self._nested += tag == self._skipped
            return
        if tag in VOID:
            if tag in BLOCKS:
                self._flush()
            return
        named = dict(attributes)
        classes = (named.get("class") or "").split()
        skipped_classes = SKIPPED_BLOCK_CLASSES if tag in BLOCKS else SKIPPED_CLASSES
        if tag in SKIPPED_TAGS or named.get("id") in SKIPPED_IDS or skipped_classes.intersection(classes):
            if tag in BLOCKS or tag == "pre":
                self._flush()
            self._skipped, self._nested = tag, 1
            return
        if tag in BLOCKS:
            self._flush()
        self._tables += tag == "table"
        if tag == "sup":
            # Without its mark the exponent of 10^6 would read as 106.
            self._text.append("^")

    def handle_startendtag(self, tag: str, attributes: Attributes) -> None:
        # XHTML pages hold empty anchors and the like; they carry no text and must not open anything.
        if tag in BLOCKS and not self._skipped:
            self._flush()

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if self._skipped:
            self._nested -= tag == self._skipped
            if self._nested == 0:
                self._skipped = None
            return
        if tag in HEADINGS:
            self.sections.append((heading_text("".join(self._text)), []))
            self._text = []
        elif tag in BLOCKS:
            if tag in MINOR_HEADINGS:
                self._text = [heading_text("".join(self._text))]
            self._flush()
        if tag == "table" and self._tables:
            self._tables -= 1

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._skipped:
            self._text.append(data)

    def _flush(self) -> None:
        paragraph = FOOTNOTE.sub("", tidy("".join(self._text)))
        self._text = []
        if paragraph and not CAPTION.match(paragraph) and (not self._tables or is_sentence(paragraph)):
            self.sections[-1][1].append(paragraph)

    def close(self) -> None:
        super().close()
        self._flush()


def html_to_text(markup: str) -> Tuple[str, List[Section]]:
    """The title of a page and its sections, each a heading (maybe empty) and paragraphs."""
    parser = PageParser()
    parser.feed(markup)
    parser.close()
    return heading_text(parser.title), [section for section in parser.sections if section[0] or section[1]]
