"""E-mail addresses in the one spelling they are kept in. Pure."""

from collections.abc import Iterator

from email_validator import EmailNotValidError, validate_email

from ragstore.errors import FieldError


def check_email(path: str, email: str) -> Iterator[FieldError]:
    """What is no address by its form: whether anybody reads it only a letter can tell."""
    try:
        parse(email)
    except EmailNotValidError as error:
        yield FieldError(path, f"is no e-mail address: {error}")


def normalise_email(email: str) -> str:
    """The domain in lower case and Unicode, the rest composed (NFC); what is no address stays as it is."""
    try:
        return parse(email)
    except EmailNotValidError:
        return email


def parse(email: str) -> str:
    checked = validate_email(email.strip(), check_deliverability=False, test_environment=True)
    return checked.normalized
