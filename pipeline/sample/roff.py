"""Roff: a manual page in the man macros as a title and sections of plain paragraphs.

No formatter is called: troff itself would wrap lines and is not on every machine. Only what
prose needs is understood; code displays, tables and page layout are left out."""

import re
from typing import List, Optional, Tuple

from prose import Section, tidy

NAMED = {
    "aq": "'", "dq": '"', "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "em": "—", "en": "–", "hy": "-", "mi": "-",
    "co": "©", "bu": "", "ga": "`", "ha": "^", "ti": "~", "rs": "\\", "bv": "|", "br": "|", "ul": "_", "tm": "™",
    "->": "→", "<-": "←", "mu": "×", "+-": "±", ">=": "≥", "<=": "≤", "Fo": "«", "Fc": "»", "at": "@", "sh": "#",
}
STRINGS = {"lq": "“", "rq": "”", "L\"": "“", "R\"": "”", "C`": "", "C'": "", "--": "—", "PI": "π", "R": "®", "Tm": "™"}
ESCAPE = re.compile(
    r"""\\(?:
        f(?:\[[^\]]*\]|\([^\s]{2}|.)                  # fonts
      | s(?:[-+]?[0-9]{1,2}|\[[^\]]*\]|'[^']*')        # sizes
      | \*(?:\[(?P<string>[^\]]*)\]|\((?P<string2>..)|(?P<string1>.))
      | \((?P<name>..) | \[(?P<long>[^\]]*)\]
      | [hvwlLoxbDHSXZ]'[^']*'                         # motions and drawing
      | [nkgmMFVY](?:\[[^\]]*\]|\(..|.)                # registers
      | (?P<comment>["\#]).* | (?P<plain>.) | $
    )""",
    re.VERBOSE,
)
PLAIN = {"-": "-", "e": "\\", "\\": "\\", " ": " ", "~": " ", "0": " ", "t": " ", ".": ".", "'": "'", "`": "`", "_": "_"}
# Spaces, then arguments; a doubled quote inside a quoted argument stands for one quote.
ARGUMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"?|((?:\\.|\S)+))')
JOINED = frozenset(("BR", "RB", "IR", "RI", "BI", "IB"))
SPACED = frozenset(("B", "I", "SM", "SB", "R", "CW"))
BREAKS = frozenset("PP P LP TP TQ br sp RS RE Sp in ti ne bp HP PD ce UR UE MT ME EX EE BS BE VS VE AS OP AP".split())
# Opening macro of a display that holds code or a table, and the macro that ends it.
DISPLAYS = {"nf": "fi", "EX": "EE", "Vb": "Ve", "CS": "CE", "TS": "TE", "EQ": "EN", "PS": "PE", "DS": "DE", "ig": ".",
            "de": ".", "de1": ".", "am": ".", "SY": "YS"}
# Sections about the page instead of its subject: who made it, where else to look, how to type it.
UNWANTED = re.compile(
    r"SEE\s*ALSO|AUTHOR|COPYRIGHT|REPORTING|SYNOPSIS|COLOPHON|HISTORY|KEYWORDS?$|TRANSLAT|AVAILABILITY|INDEX|FILES"
    r"|参见|另见|参考|又见|另请|相关|参阅|作者|版权|版權|著作|报告|维护|更新|翻译|译者|总览|概述|概要|大纲|语法|摘要|关键字|历史|跋"
    r"|手册页|手冊|文件|中文版|CMPP|致谢|鸣谢|许可", re.IGNORECASE)
NAME_SECTION = re.compile(r"NAME|名称|名字|名稱|名$|命令名", re.IGNORECASE)
# Labels that nearly every page has; as paragraphs they would only be noise.
LABELS = frozenset("描述 说明 描叙 介绍 简介 选项 参数 例子 示例 范例 举例 例 注意 注解 备注 诊断 返回值 用法 命令 环境 环境变量 操作数".split())
ENGLISH_LABEL = re.compile(r"[(（\[]?\b[A-Z][A-Z ]{3,}\b[)）\]]?")
GAP = re.compile("(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])")
DASH = re.compile(r"\s+\\?[-–—]+\s+|\s*[—–]{1,2}\s*")


def plain(text: str) -> str:
    """One line with its escapes resolved."""

    def resolve(match: "re.Match[str]") -> str:
        groups = match.groupdict()
        string = groups["string"] or groups["string2"] or groups["string1"]
        if string is not None:
            return STRINGS.get(string, "")
        name = groups["name"] or groups["long"]
        if name is not None:
            if re.fullmatch("u[0-9A-F]{4,6}", name):
                return chr(int(name[1:], 16))
            return NAMED.get(name, "")
        return PLAIN.get(groups["plain"] or "", "")

    return ESCAPE.sub(resolve, text)


def arguments(rest: str) -> List[str]:
    """The arguments of a macro, escapes resolved, a trailing comment dropped."""
    rest = re.sub(r'(?:^|\s)\\".*', "", rest)
    return [plain(quoted.replace('""', '"') if quoted else bare) for quoted, bare in ARGUMENT.findall(rest)]


def heading_text(text: str) -> str:
    """A heading without the English label beside the Chinese one; empty if it says nothing."""
    heading = tidy(ENGLISH_LABEL.sub(" ", text)).strip(" :：\"[]()（）/")
    return "" if heading in LABELS else heading


def close_gaps(text: str) -> str:
    """Some translators put spaces between Chinese words. One may be meant, several are a habit."""
    return GAP.sub("", text) if len(GAP.findall(text)) >= 3 else text


class RoffReader:
    """Gathers paragraphs while the lines go by."""

    def __init__(self) -> None:
        self.sections: List[Section] = [("", [])]
        self._lines: List[str] = []
        self._heading = False

    def flush(self) -> None:
        paragraph = close_gaps(tidy("\n".join(self._lines)))
        self._lines = []
        if paragraph:
            self.sections[-1][1].append(paragraph)

    def section(self, heading: str) -> None:
        self.flush()
        self.sections.append((tidy(heading), []))

    def text(self, line: str) -> None:
        if self._heading:
            self._heading = False
            self.section(line)
        elif line.strip():
            # The line after .TP is the term; its explanation follows in the same paragraph.
            self._lines.append(line)
        else:
            self.flush()

    def request(self, name: str, rest: str) -> None:
        if name in ("SH", "SS"):
            words = arguments(rest)
            self._heading = not words
            if words:
                self.section(" ".join(words))
        elif name == "IP":
            self.flush()
            words = arguments(rest)
            # Bullets and item numbers are layout, any other mark is the term.
            if words and re.search(r"[^\W\d_]", words[0]) and len(words[0]) > 1:
                self._lines.append(words[0])
        elif name in SPACED or name in JOINED:
            # Without arguments the font is for the next line, which goes on in the same paragraph.
            words = arguments(rest)
            if words:
                self.text((" " if name in SPACED else "").join(words))
        elif name in BREAKS:
            self.flush()


def paragraphs_of(source: str) -> List[Section]:
    """Every section of the page, wanted or not."""
    reader = RoffReader()
    end: Optional[str] = None
    depth = 0
    # What stands before .TH is set-up: macro definitions and the comment with the licence.
    started = False
    for line in source.splitlines():
        control = re.match(r"[.'][ \t]*(\\[\"#]|[^\s\\]*)(.*)", line)
        if end is not None:
            if control and (control.group(1) == end or end == "." and line.startswith("..")):
                end = None
            continue
        if depth > 0:
            depth += line.count("\\{") - line.count("\\}")
            continue
        if control is None:
            if started:
                reader.text(plain(line) if not line.startswith((" ", "\t")) else "\n" + plain(line.strip()))
            continue
        name, rest = control.groups()
        if name == "TH":
            started = True
        elif name in DISPLAYS:
            reader.flush()
            end = DISPLAYS[name]
        elif name in ("if", "ie", "el", "while"):
            depth = max(0, rest.count("\\{") - rest.count("\\}"))
        elif started:
            reader.request(name, rest)
    reader.flush()
    return reader.sections


def roff_to_text(source: str) -> Tuple[str, List[Section]]:
    """The title of a page ("ls - 列出目录内容") and its sections worth reading.

    A page in the mdoc macros, or one that only includes another, has none."""
    title = ""
    wanted: List[Section] = []
    for heading, paragraphs in paragraphs_of(source):
        if not title and NAME_SECTION.search(heading) and paragraphs:
            title = DASH.sub(" - ", paragraphs[0], count=1).strip(" -")
        elif heading and not UNWANTED.search(heading) and paragraphs:
            wanted.append((heading_text(heading), paragraphs))
    return title, wanted
