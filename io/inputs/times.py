"""Times that products and items declare, as one text: ISO 8601 in UTC to the second."""

from datetime import UTC, datetime


def utc_text(text: object) -> str | None:
    """Give a time in UTC to the second; None where there is none, or what is there is no time.

    A time without a zone is taken for UTC.
    """
    try:
        time = datetime.fromisoformat(str(text).strip().upper().replace(":60", ":59")) if text else None
        if time is None:
            return None
        aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return aware.strftime("%Y-%m-%dT%H:%M:%SZ")
