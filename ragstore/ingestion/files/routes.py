from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from ragstore.database import TenantDatabase
from ragstore.errors import FieldError, InvalidRequest
from ragstore.file.schemas import FileRead
from ragstore.file.service import FileService
from ragstore.ingestion.files.downloads import make_headers
from ragstore.ingestion.files.schemas import FileFields, FileResults
from ragstore.ingestion.files.service import FileIngestion, choose_status
from ragstore.ingestion.files.uploads import MOST_FILES, Upload, clean_name, digest_content, read_fields
from ragstore.tenant.guard import READ, WRITE_FORM

SMALL = 5 * 1024 * 1024  # bytes that are waited for if nothing else is said
PATIENCE = 30.0
FIELDS_ROOM = 1024 * 1024  # bytes of a request beside its files


@post("/", opt=WRITE_FORM, status_code=200)
async def upload_files(
    collection: FromPath[str],
    request: Request[Any, Any, Any],
    file_ingestion: NamedDependency[FileIngestion],
    wait: Annotated[
        bool | None, QueryParameter(description="Answer when they are searchable, within 30 s. Left out: if ≤ 5 MB.")
    ] = None,
) -> Response[FileResults]:
    """Store files as documents, replacing those whose key is known: parts named `file`, with fields about them. 202
    while some are still being read; each has a job, which tells what came of it.
    """
    parts = list((await request.form()).items())
    fields = read_fields([(name, value) for name, value in parts if name != "file"])
    uploads = await read_uploads([value for name, value in parts if name == "file"], fields)
    size = sum(value.file.seek(0, 2) for name, value in parts if isinstance(value, UploadFile))
    for one in uploads:
        await one.content.seek(0)
    answer = await file_ingestion.accept(collection, uploads, fields)
    if size <= SMALL if wait is None else wait:
        answer = await file_ingestion.wait(answer, PATIENCE)
    return Response(answer, status_code=choose_status(answer))


async def read_uploads(parts: list[Any], fields: FileFields) -> list[Upload]:
    """Raises InvalidRequest for parts that are no files, too many, or two of the same name."""
    if not parts or len(parts) > MOST_FILES:
        message = f"must be there, and at most {MOST_FILES} times"
        raise InvalidRequest(f"file {message}.", errors=(FieldError("file", message),))
    if fields.key is not None and len(parts) > 1:
        message = "can be given for one file only"
        raise InvalidRequest(f"key {message}.", errors=(FieldError("key", message),))
    uploads: list[Upload] = []
    seen: dict[str, int] = {}
    for index, part in enumerate(parts):
        if not isinstance(part, UploadFile):
            message = "must be a file with a name"
            raise InvalidRequest(f"file[{index}] {message}.", errors=(FieldError(f"file[{index}]", message),))
        name = clean_name(part.filename)
        if seen.setdefault(name, index) != index:
            message = f"has the name of file[{seen[name]}] too"
            raise InvalidRequest(f"file[{index}] {message}.", errors=(FieldError(f"file[{index}]", message),))
        key = fields.key if fields.key is not None else name
        uploads.append(Upload(key, name, part, await digest_content(part)))
    return uploads


@get("/{file_id:uuid}", opt=READ)
async def read_file(file_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase]) -> FileRead:
    async with tenant_database.transaction() as session:
        return await FileService(session, tenant_database.tenant_id).read(file_id)


@get("/{file_id:uuid}/content", opt=READ)
async def download_file(file_id: FromPath[UUID], tenant_database: NamedDependency[TenantDatabase]) -> Response[bytes]:
    """The bytes as they came, to be saved, never to be shown as a page."""
    async with tenant_database.transaction() as session:
        found = await FileService(session, tenant_database.tenant_id).read_content(file_id)
    media_type, headers = make_headers(found.name, found.media_type)
    return Response(found.content, media_type=media_type, headers=headers)


def make_uploads(most_bytes: int) -> Router:
    return Router(
        "/collections/{collection:str}/files",
        route_handlers=[upload_files],
        tags=["files"],
        request_max_body_size=most_bytes + FIELDS_ROOM,
    )


router = Router("/files", route_handlers=[read_file, download_file], tags=["files"])
