"""What the exchange says, and the error envelope in both its spellings."""

from __future__ import annotations

import json
from dataclasses import dataclass

JSON = "application/json;charset=UTF-8"
HTML = "text/html; charset=UTF-8"

_MESSAGES = {
    "UDAPI1015": "to_date must be greater than or equal to from_date and Date should be in valid "
    "format: yyyy-mm-dd",
    "UDAPI1021": "Instrument key is of invalid format",
    "UDAPI1088": "Invalid date",
    "UDAPI1146": "Invalid unit",
    "UDAPI1147": "Invalid interval",
    "UDAPI1148": "Invalid date range",
    "UDAPI10000": "This request is not supported by Upstox API",
    "UDAPI10005": "Too Many Request Sent",
    "UDAPI100011": "Invalid Instrument key",
    "UDAPI100050": "Invalid token used to access API",
    "UDAPI100060": "Resource not Found",
    "UDAPI100500": "Something went wrong... please contact us",
}
_STATUS = {
    "UDAPI10000": 405,
    "UDAPI10005": 429,
    "UDAPI100050": 401,
    "UDAPI100060": 404,
    "UDAPI100500": 500,
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    candles: bool = False  # holds what was asked for, be it nothing


def refusal(
    code: str, status: int | None = None, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    """The envelope for `code`, with the status that goes with it unless told another."""
    message = _MESSAGES[code]
    error = {
        "errorCode": code,
        "message": message,
        "propertyPath": None,
        "invalidValue": None,
        "error_code": code,
        "property_path": None,
        "invalid_value": None,
    }
    body = json.dumps({"status": "error", "errors": [error]}, separators=(",", ":")).encode()
    return Answer(status or _STATUS.get(code, 400), body, JSON, headers)


def web_page(status: int, title: str) -> Answer:
    """What a gateway before the API says."""
    head = f"<html>\r\n<head><title>{title}</title></head>\r\n"
    text = f"{head}<body>\r\n<center><h1>{title}</h1></center>"
    return Answer(
        status, f"{text}\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n".encode(), HTML
    )


def cloudflare_ban() -> Answer:
    page = (
        "<!DOCTYPE html><html><head><title>Access denied | api.upstox.com used Cloudflare to "
        "restrict access</title></head><body><h1>Error 1010</h1><p>The owner of this website has "
        "banned your access based on your browser's signature.</p><p>error code: 1010</p>"
        "</body></html>"
    )
    return Answer(403, page.encode(), HTML, (("server", "cloudflare"), ("cf-ray", "lookalike-BOM")))
