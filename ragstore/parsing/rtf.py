"""RTF's letters beyond ASCII, as Unicode: readers take them for Western Europe's whatever the font says."""

import codecs
import re
from dataclasses import dataclass, field, replace

TOKEN = re.compile(
    rb"\\'(?P<byte>[0-9a-fA-F]{2})|\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|\\(?P<sign>.)"
    rb"|(?P<group>[{}])|(?P<text>[^\\{}]+)",
    re.DOTALL,
)
CODE_PAGE = re.compile(rb"\\ansicpg(\d{1,5})")
FONT = re.compile(rb"\\f(\d{1,6})(?=\D)[^{};]{0,200}?\\fcharset(\d{1,3})")
WESTERN = "cp1252"
CHARSETS = {
    128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "cp950", 161: "cp1253", 162: "cp1254", 163: "cp1258",
    177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip


@dataclass(frozen=True)
class State:
    """Of a group. `skipped` is how many characters stand for readers that do not know Unicode after each `\\u`."""

    encoding: str
    skipped: int = 1


@dataclass
class Rewriter:
    encoding: str
    fonts: dict[int, str]
    stack: list[State] = field(default_factory=list)
    pending: bytearray = field(default_factory=bytearray)
    passing: int = 0
    written: list[bytes] = field(default_factory=list)

    def take(self, token: re.Match[bytes]) -> None:
        if token["byte"] is not None:
            self.take_byte(token)
            return
        raw = token[0]
        if token["text"] is not None and self.is_cut():  # a letter's second byte may be one of ASCII's
            self.pending.append(raw[0])
            raw = raw[1:]
        self.flush()
        self.passing = max(0, self.passing - 1) if token["group"] is None else 0
        self.written.append(raw)
        if token["group"] == b"{":
            self.stack.append(self.stack[-1])
        elif token["group"] == b"}" and len(self.stack) > 1:
            self.stack.pop()
        elif token["word"] is not None and token["number"] is not None:
            self.take_word(token["word"], int(token["number"]))

    def take_byte(self, token: re.Match[bytes]) -> None:
        if self.passing:
            self.passing -= 1
            self.written.append(token[0])
        else:
            self.pending.append(int(token["byte"], 16))

    def take_word(self, word: bytes, number: int) -> None:
        match word:
            case b"f":
                self.stack[-1] = replace(self.stack[-1], encoding=self.fonts.get(number, self.encoding))
            case b"uc":
                self.stack[-1] = replace(self.stack[-1], skipped=max(0, min(number, 16)))
            case b"u":
                self.passing = self.stack[-1].skipped

    def is_cut(self) -> bool:
        if not self.pending:
            return False
        decoder = codecs.getincrementaldecoder(self.stack[-1].encoding)(errors="replace")
        decoder.decode(bytes(self.pending))
        return bool(decoder.getstate()[0])

    def flush(self) -> None:
        if not self.pending:
            return
        text = self.pending.decode(self.stack[-1].encoding, errors="replace")
        self.pending.clear()
        units = text.encode("utf-16-le", "replace")
        numbers = (int.from_bytes(units[at : at + 2], "little", signed=True) for at in range(0, len(units), 2))
        self.written.append(b"{\\uc1" + b"".join(b"\\u%d?" % one for one in numbers) + b"}")


def rewrite(data: bytes) -> bytes:
    """Only what some font or the whole file has in another code page than Western Europe's."""
    found = CODE_PAGE.search(data)
    encoding = know(f"cp{int(found[1])}") if found else WESTERN
    fonts = {int(number): CHARSETS.get(int(charset), encoding) for number, charset in FONT.findall(data)}
    if {encoding, *fonts.values()} == {WESTERN}:
        return data
    rewriter = Rewriter(encoding, fonts, [State(encoding)])
    at = 0
    while (token := TOKEN.match(data, at)) is not None:
        at = token.end()
        rewriter.take(token)
        if token["word"] == b"bin" and token["number"] is not None:
            length = max(0, int(token["number"]))
            rewriter.written.append(data[at : at + length])
            at += length
    rewriter.flush()
    return b"".join(rewriter.written)


def know(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return WESTERN
