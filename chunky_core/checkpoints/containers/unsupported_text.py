"""Text in place of a weights file: web pages, errors of servers, pointers of version control, lists."""

from __future__ import annotations

import json
import re

LOOKED_AT = 8192  # bytes
_PAGE = re.compile(r"<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>]|<title>", re.IGNORECASE)
_DRIVE = re.compile(r"google drive|drive\.google|<title>quota exceeded|can.t scan this file", re.IGNORECASE)
_TAG = re.compile(
    r"</?(a|p|div|span|script|style|meta|link|table|form|img|br|h[1-6])(\s[^<>]*)?/?>", re.IGNORECASE
)
_ERROR = re.compile(
    r"\s*((http/\S+ |error:? )?[45]\d\d\b|(entry|repository|file|page)? ?not found\b|access (is )?denied|forbidden\b|"
    r"unauthorized\b|invalid username or password|too many requests|rate limit|bad gateway|service unavailable)",
    re.IGNORECASE,
)
_SECTION = re.compile(
    r"(\s*[#;].*\n|\s*\n)*\s*\[{1,2}[A-Za-z_\"'][\w .:\"'-]*\]{1,2}[ \t]*([#;].*)?\r?(\n|\Z)"
)
_JSON = re.compile(r"\s*(\{\s*([\"}]|\Z)|\[\s*([\[{\"\]\d-]|true\b|false\b|null\b|NaN\b|\Z))")
_AGAIN = "download the file itself again, in a browser if it asks for a click"


def described(start: bytes) -> str | None:
    """What a file of text is and what to do about it; None where it is no text.

    start: its first bytes, LOOKED_AT are enough.
    """
    text = _decoded(start)
    if text is None:
        return None
    if text.startswith("version https://git-lfs"):
        return "it is a Git LFS pointer, not the weights; run `git lfs pull`"
    if re.match(r"(\.\./)*(\.git/annex|/annex)/objects/", text):
        return "it is a git-annex pointer, not the weights; run `git annex get`"
    if _PAGE.search(text):
        what = "a web page of Google Drive" if _DRIVE.search(text) else "a web page"
        return f"it is {what} saved in place of a download; {_AGAIN}"
    if (
        text.startswith("[InternetShortcut]")
        or text.lstrip().startswith("<?xml")
        and "<key>URL</key>" in text
    ):
        return f"it is a link to a web page, not what lies there; {_AGAIN}"
    if text.lstrip().startswith("<?xml") or re.match(r"\s*<\w+>", text):
        return f"it is an XML text, perhaps a server's error ({_shown(text)}); {_AGAIN}"
    if _SECTION.match(text):
        return f"it is a text file of settings (INI or TOML), which holds no weights (it starts {_shown(text)!r})"
    if _JSON.match(text):
        return _json(text)
    if text.startswith(("model_checkpoint_path:", "all_model_checkpoint_paths:")):
        return "it is TensorFlow's list of checkpoints; of TensorFlow only NVlabs' .pkl files are read"
    if _ERROR.match(text):
        return f"it is a server's error ({_shown(text)}) in place of a download; {_AGAIN}"
    if _TAG.search(text):
        return (
            f"it is a text file, perhaps a web page saved in place of a download (it starts {_shown(text)!r})"
        )
    return f"it is a text file (it starts {_shown(text)!r})"


def _decoded(start: bytes) -> str | None:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _printable(start[: len(start) // 2 * 2].decode("utf-16", "replace"))
    if start.startswith(b"\xef\xbb\xbf"):
        start = start[3:]
    if b"\0" in start:
        return _wide(start)
    try:
        return _printable(start.decode())
    except UnicodeDecodeError as error:
        if len(start) - error.start < 4:  # a character that is cut off at the end
            return _printable(start[: error.start].decode())
        return _printable(start.decode("latin-1")) if _PAGE.search(start.decode("latin-1")) else None


def _wide(start: bytes) -> str | None:
    """UTF-16 without a byte order mark."""
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if len(start) > 8 and zeros.count(0) > 0.8 * len(zeros):
            return _printable(start[: len(start) // 2 * 2].decode(encoding, "replace"))
    return None


def _printable(text: str) -> str | None:
    controls = sum(ord(letter) < 32 and letter not in "\t\n\r\f" for letter in text)
    return text.lstrip("\ufeff") if text and not controls else None


def _json(text: str) -> str:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    error = (
        next((content[key] for key in ("error", "message", "detail") if key in content), None)
        if isinstance(content, dict)
        else None
    )
    if error is not None:
        return f"it is a server's error ({_shown(str(error))}) in place of a download; {_AGAIN}"
    return f"it is a JSON file ({_shown(text)}), which describes weights at best; choose the weights' file"


def _shown(text: str) -> str:
    """The start of a text on one line."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text[:200]).split())
    return line[:60] + ("..." if len(line) > 60 else "")
