"""The audit of the built book finds each fault that it is there for, and nothing on a sound page."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_site import audit

SOUND = """<html><head>
<link rel="stylesheet" href="style.css"><link rel="canonical" href="https://example.org/">
</head><body>
<h1 id="top">T</h1><a href="#top">up</a> <a href="https://example.org">out</a>
<a href="other.html#there">on</a>
<img src="a.png" alt="A cat."><img src="data:image/png;base64,AAAA" alt="A dog.">
<p>See <code>{ref}`x`</code>.</p>
<script>let a = "https://example.org";</script>
</body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(SOUND)
    (tmp_path / "other.html").write_text('<html><body><p id="there">x</p></body></html>')
    (tmp_path / "style.css").write_text("/* url(https://example.org/x) */ body { background: url(a.png) }")
    (tmp_path / "a.png").write_bytes(b"")
    return tmp_path


def test_sound_site(site: Path) -> None:
    assert audit(site) == []


def test_empty_folder(tmp_path: Path) -> None:
    assert "no pages" in audit(tmp_path)[0]


@pytest.mark.parametrize(
    ("html", "finding"),
    [
        ('<script src="https://cdn.example.org/x.js"></script>', "another host"),
        ('<script src="//cdn.example.org/x.js"></script>', "another host"),
        ('<script type="module">import x from "https://example.org/x.js"</script>', "another host"),
        ('<link rel="stylesheet" href="https://example.org/x.css">', "another host"),
        ('<img src="https://example.org/x.png" alt="A cat.">', "another host"),
        ('<img src="a.png" srcset="a.png 1x, https://example.org/x.png 2x" alt="A cat.">', "another host"),
        ('<iframe src="https://example.org"></iframe>', "another host"),
        ("<style>@import 'https://example.org/x.css';</style>", "another host"),
        ('<p style="background: url(https://example.org/x.png)">x</p>', "another host"),
        ("<pre>Traceback (most recent call last):</pre>", "traceback"),
        ("<p>as {cite}`gatys2016` says</p>", "raw markup"),
        ("<p>see {numref}`fig-x`</p>", "raw markup"),
        ("<p>**bold, or so it was meant **</p>", "raw markup"),
        ('<img src="a.png">', "no alt text"),
        ('<img src="a.png" alt="../_images/9f2c4e5d6a7b8c9d0e1f.png">', "file name"),
        ('<img src="b.png" alt="A cat.">', "missing file"),
        ('<a href="nowhere.html">x</a>', "broken link"),
        ('<a href="other.html#nowhere">x</a>', "broken anchor"),
        ('<a href="#nowhere">x</a>', "broken anchor"),
        ("<script>let b = 1;</script><script>let b = 1;</script>", "2 times the script"),
        ('<section id="s"></section><section id="s"></section>', "2 times the id"),
    ],
)
def test_finds(site: Path, html: str, finding: str) -> None:
    (site / "index.html").write_text(SOUND.replace("</body>", html + "</body>"))
    found = audit(site)
    assert len(found) == 1
    assert found[0].startswith("index.html: ")
    assert finding in found[0]


def test_finds_in_stylesheets_and_scripts(site: Path) -> None:
    (site / "style.css").write_text("@font-face { src: url('https://example.org/font.woff2') }")
    assert audit(site) == ["style.css: fetches from another host: https://example.org/font.woff2"]
