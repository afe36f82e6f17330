"""Pictures from the web: a server on loopback that misbehaves byte by byte, since it speaks no library's HTTP."""

from __future__ import annotations

import io
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nstlib import load_image

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
BUFFER = io.BytesIO()
Image.fromarray(PIXELS).save(BUFFER, "PNG")
BODY = BUFFER.getvalue()
PICTURE = torch.from_numpy(PIXELS).permute(2, 0, 1)[None].float() / 255

Answer = Callable[[socket.socket, threading.Event], object]


def answer(head: str, body: bytes = b"") -> Answer:
    return lambda connection, over: connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + body)


def moved(to: str) -> Answer:
    return answer(f"HTTP/1.1 302 Moved\nLocation: {to}\nContent-Length: 0\n\n")


def chunked(*parts: bytes) -> bytes:
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts)


def pour(connection: socket.socket, over: threading.Event) -> None:
    """As fast as it goes, for ever, and no word of how much it will be."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not over.is_set():
        connection.sendall(bytes(50_000))


OK = "HTTP/1.1 200 OK\n"
WHOLE = f"{OK}Content-Length: {len(BODY)}\n\n"
CHUNKED = f"{OK}Transfer-Encoding: chunked\n\n"

GOOD: dict[str, Answer] = {
    "plain": answer(WHOLE, BODY),
    "until it hangs up": answer(f"{OK}\n", BODY),
    "of HTTP/1.0": answer("HTTP/1.0 200 OK\n\n", BODY),
    "chunked": answer(CHUNKED, chunked(BODY[:9], BODY[9:], b"")),
    "of another type": answer(f"{OK}Content-Type: text/html\nContent-Length: {len(BODY)}\n\n", BODY),
    "a length that is no number": answer(f"{OK}Content-Length: many\n\n", BODY),
    "a length below zero": answer(f"{OK}Content-Length: -5\n\n", BODY),
    "a length beyond all limits": answer(f"{OK}Content-Length: {10**30}\n\n", BODY),
    "more than it promised": answer(WHOLE, BODY + b"more"),
    "moved for good": answer("HTTP/1.1 301 Gone\nLocation: /plain\nContent-Length: 0\n\n"),
    "moved, see other": answer("HTTP/1.1 303 See\nLocation: /moved%20for%20good\nContent-Length: 0\n\n"),
    "moved, 307": answer("HTTP/1.1 307 Temporarily\nLocation: plain\nContent-Length: 0\n\n"),
    "bit by bit": lambda connection, over: [*map(connection.sendall, (WHOLE.encode(), BODY[:3], BODY[3:]))],
}

BAD: dict[str, tuple[Answer, type[Exception], str]] = {
    "hangs up": (lambda connection, over: None, OSError, "cannot be loaded"),
    "hangs up in the status": (answer("HTTP/1.1 2"), OSError, "cannot be loaded|is not a picture"),
    "hangs up in the headers": (answer(f"{OK}Content-Len"), OSError, "cannot be loaded|not a picture"),
    "resets": (
        lambda connection, over: connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"),
        OSError,
        "cannot be loaded",
    ),
    "a status that is no number": (answer("HTTP/1.1 fine OK\n\n"), OSError, "cannot be loaded"),
    "a status of 999999": (answer("HTTP/1.1 999999 OK\n\n"), OSError, "cannot be loaded"),
    "another protocol": (answer("SSH-2.0-OpenSSH_9.6\n"), OSError, "cannot be loaded"),
    "TLS where there is none": (
        lambda connection, over: connection.sendall(bytes([21, 3, 3, 0, 2, 2, 70])),
        OSError,
        "cannot be loaded",
    ),
    "a line of headers without end": (answer(OK + "X: " + "a" * 70_000 + "\n\n"), OSError, "cannot be loaded"),
    "headers without end": (answer(OK + "X: y\n" * 300 + "\n"), OSError, "cannot be loaded"),
    "chunks of nonsense": (
        answer(CHUNKED, b"zz\r\nnonsense\r\n"),
        OSError,
        "cannot be loaded|is not a picture",
    ),
    "chunks below zero": (
        answer(CHUNKED, b"-5\r\nnonsense\r\n"),
        OSError,
        "cannot be loaded|is not a picture",
    ),
    "chunks that break off": (answer(CHUNKED, chunked(BODY[:60])), OSError, "cannot be"),
    "chunks beyond the limit": (
        answer(CHUNKED, chunked(*[bytes(5000)] * 50, b"")),
        ValueError,
        "holds more than 0.1 MB: find a smaller copy, or raise nstlib.utils.files.URL_MAX_BYTES",
    ),
    "a body without end": (pour, ValueError, "holds more than 0.1 MB"),
    "nothing": (answer("HTTP/1.1 204 No Content\n\n"), OSError, "is not a picture .* begins with b''"),
    "not modified": (answer("HTTP/1.1 304 Not Modified\n\n"), OSError, "HTTP Error 304"),
    "a login": (
        answer('HTTP/1.1 401 No\nWWW-Authenticate: Basic realm="x"\nContent-Length: 0\n\n'),
        OSError,
        "HTTP Error 401",
    ),
    "a proxy's login": (answer("HTTP/1.1 407 No\nContent-Length: 0\n\n"), OSError, "HTTP Error 407"),
    "too many": (answer("HTTP/1.1 429 Slow\nRetry-After: 9\nContent-Length: 0\n\n"), OSError, "HTTP Error 429"),
    "an error without a word": (answer("HTTP/1.1 500\n\n"), OSError, "HTTP Error 500"),
    "moved nowhere": (answer("HTTP/1.1 302 Moved\nContent-Length: 0\n\n"), OSError, "HTTP Error 302"),
    "moved to nobody": (moved("http://"), OSError, "cannot be loaded"),
    "moved to a port that is none": (moved("http://127.0.0.1:x/"), OSError, "cannot be loaded"),
    "moved to data": (moved("data:image/png;base64,AAAA"), OSError, "cannot be loaded"),
    "moved to a file": (moved("file:///etc/hostname"), OSError, "cannot be loaded"),
    "moved to FTP": (moved("ftp://127.0.0.1/a.png"), OSError, "cannot be loaded"),
    "a picture in gzip": (
        answer(f"{OK}Content-Encoding: gzip\nContent-Length: 3\n\n", b"\x1f\x8b\x08"),
        OSError,
        "is not a picture",
    ),
    "JSON": (answer(f"{OK}Content-Length: 14\n\n", b'{"error": 404}'), OSError, "begins with b'{"),
    "a page": (answer(f"{OK}\n", b"<html><body>Sign in</body></html>"), OSError, "begins with b'<html>"),
    "half a picture": (answer(f"{OK}Content-Length: 99\n\n", BODY[:99]), OSError, "cannot be decoded, it is damaged"),
    "missing": (answer("HTTP/1.1 404 Not Found\n\n<html>no</html>"), OSError, "HTTP Error 404: Not Found"),
}

SITES: dict[str, Answer] = {
    **GOOD,
    **{name: site for name, (site, _, _) in BAD.items()},
    "silent": lambda connection, over: over.wait(20),
    "caf%C3%A9 au lait.png?a=1&b= ": GOOD["plain"],
}

ASKED: list[bytes] = []
"""What the server was sent."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(20)
            asked = b""
            try:
                while b"\r\n\r\n" not in asked:
                    asked += connection.recv(4096)
                ASKED.append(asked)
                match = re.match(rb"GET /(\S*) ", asked)
                name = match[1].decode().replace("%20", " ") if match else ""
                SITES.get(name, lambda *_: None)(connection, over)
            except OSError:  # a client that has had enough
                pass

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listener.getsockname()[1]
        over.set()
        accepting.join()
        for thread in threads:
            thread.join()


@pytest.fixture
def site(port: int, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("nstlib.utils.files.URL_MAX_BYTES", 100_000)
    return f"http://127.0.0.1:{port}/"


@pytest.mark.parametrize("name", GOOD)
def test_odd_servers_are_borne_with(name: str, site: str) -> None:
    assert torch.equal(load_image(site + name, None), PICTURE)


@pytest.mark.parametrize("name", BAD)
def test_bad_answers_are_one_sentence(name: str, site: str) -> None:
    _, kind, words = BAD[name]
    with pytest.raises(kind, match=words) as caught:
        load_image(site + name)
    message = str(caught.value)
    assert "\n" not in message
    assert 20 < len(message) < 500
    assert repr(site + name) in message


def test_silence_has_an_end(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nstlib.utils.files.URL_TIMEOUT", 0.2)
    with pytest.raises(OSError, match=r"cannot be loaded \(timed out\)"):
        load_image(site + "silent")


@pytest.mark.parametrize("path", ["plain#top", "café au lait.png?a=1&b=%20"])
def test_addresses_are_asked_for_as_people_write_them(path: str, site: str) -> None:
    assert torch.equal(load_image(site.replace("http", "HTTP") + path, None), PICTURE)
    assert b"nstlib" in ASKED[-1]


def test_nobody_there(site: str) -> None:
    with pytest.raises(OSError, match=r"cannot be loaded \(.*refused.*\); check the address and the network"):
        load_image("http://127.0.0.1:9/a.png")
    with pytest.raises(OSError, match="cannot be loaded"):
        load_image("http://127.0.0.1:port/a.png")


def test_a_loop_of_redirections_ends(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SITES, "round", moved("/round"))
    with pytest.raises(OSError, match=r"cannot be loaded \(HTTP Error 302"):
        load_image(site + "round")


@pytest.mark.parametrize(
    "address",
    ["data:image/png;base64,AAAA", "file:///etc/hostname", "s3://x/a.png", "http:///a.png", "https://", "HTTP:/a.png"],
)
def test_addresses_of_no_server_open_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        pytest.fail("something was opened")

    monkeypatch.setattr(socket, "create_connection", never)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load_image(address)
    assert "\n" not in str(caught.value)
