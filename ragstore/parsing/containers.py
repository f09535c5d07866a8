"""What is inside a ZIP or an OLE file, told without unpacking more than a few names."""

import io
import zipfile

from ragstore.errors import FileDamaged, FileEncrypted, FileTooDemanding, FileUnsupported
from ragstore.parsing.kinds import Kind

MOST_ENTRIES = 10_000
MOST_INFLATED = 512 * 1024 * 1024  # bytes
LONGEST_ENTRY = 64 * 1024  # of those that are read to tell the kind
ENCRYPTED = 0x1

OPEN_DOCUMENTS = {Kind.ODT.value: Kind.ODT, Kind.EPUB.value: Kind.EPUB}
MAIN_PARTS = {
    "word/document.xml": Kind.DOCX,
    "word/document2.xml": Kind.DOCX,
    "ppt/presentation.xml": Kind.PPTX,
    "xl/workbook.xml": Kind.XLSX,
}
# Names of streams, as OLE's directory holds them.
STREAMS = {"WordDocument": Kind.DOC, "PowerPoint Document": Kind.PPT, "Workbook": Kind.XLS, "Book": Kind.XLS}
OUTLOOK = "__properties_version1.0"
SECRETS = ("EncryptedPackage", "EncryptionInfo")


def look_into_zip(data: bytes) -> Kind:
    """Raises FileUnsupported for an archive that is no document, and FileTooDemanding for what would grow too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_sizes(archive)
            kind = tell_zip(archive)
            if kind is None:
                raise FileUnsupported("The file is an archive: unpack it and send the files in it.")
            if is_encrypted(archive, kind):
                raise FileEncrypted("The file needs a password.")
            return kind
    # NotImplementedError is zipfile's word for a compression it does not know.
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, ValueError, NotImplementedError, OSError) as error:
        raise FileDamaged(f"The file is damaged: it begins like a ZIP file and is none ({error}).") from None


def check_sizes(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise FileTooDemanding(f"The file has {len(entries)} parts; more than {MOST_ENTRIES} are not read.")
    inflated = sum(one.file_size for one in entries)
    if inflated > MOST_INFLATED:
        raise FileTooDemanding(f"Unpacked the file has {inflated} bytes; more than {MOST_INFLATED} are not read.")


def tell_zip(archive: zipfile.ZipFile) -> Kind | None:
    names = {one.filename for one in archive.infolist()}
    if "mimetype" in names:
        declared = read_entry(archive, "mimetype").decode("ascii", "replace").strip()
        if declared in OPEN_DOCUMENTS:
            return OPEN_DOCUMENTS[declared]
    return next((kind for part, kind in MAIN_PARTS.items() if part in names), None)


def is_encrypted(archive: zipfile.ZipFile, kind: Kind) -> bool:
    if any(one.flag_bits & ENCRYPTED for one in archive.infolist()):
        return True
    if kind is not Kind.ODT or "META-INF/manifest.xml" not in archive.namelist():
        return False
    return b"encryption-data" in read_entry(archive, "META-INF/manifest.xml")


def read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        return entry.read(LONGEST_ENTRY)


def look_into_ole(data: bytes) -> Kind:
    def has(name: str) -> bool:
        return name.encode("utf-16-le") + b"\x00\x00" in data

    if any(has(one) for one in SECRETS):
        raise FileEncrypted("The file needs a password.")
    if has(OUTLOOK) and not has("WordDocument"):
        return Kind.MSG
    for name, kind in STREAMS.items():
        if has(name):
            return kind
    raise FileUnsupported("The file is an OLE container, but no Word, Excel, PowerPoint or Outlook file.")
