"""Checks the built book: python tests/audit_site.py _build/html

Reads every page, and every stylesheet and script that a page loads, and lists what would trouble a reader:

- something that is fetched from another host when a page opens (ordinary links to other hosts are fine);
- a traceback, or markup that was left raw;
- a picture with no alt text, or with a file name for one;
- a link or an anchor that leads nowhere, a file that is missing;
- a script that is loaded twice, an id that two headings or figures share.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

# What a browser fetches by itself when it opens a page: element -> attributes.
FETCHED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
LINKS_NOT_FETCHED = {"canonical", "next", "prev", "author", "license", "help"}
OUTSIDE = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
CSS_URL = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
JS_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']((?:https?:)?//[^"']+)["']""")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
RAW_MARKUP = re.compile(
    r"\{(?:ref|eq|cite|cite:[pt]|numref|doc|term|math|py:\w+)\}`|^:::+\{|\[UNDEFINED\]|\*\*[^*\n]+\*\*", re.MULTILINE
)
FILE_NAME = re.compile(r"[0-9a-f]{16,}|\.(?:png|jpe?g|svg|webp|gif)$", re.IGNORECASE)


def outside_in_css(text: str) -> Iterator[str]:
    for match in CSS_URL.finditer(COMMENT.sub("", text)):
        url = match.group(1) or match.group(2)
        if OUTSIDE.match(url):
            yield url


def words_of(page: BeautifulSoup) -> str:
    """The text that a reader sees, without code that was written to be seen as code."""
    body = BeautifulSoup(str(page.body or page), "html.parser")
    for code in body.find_all(["script", "style", "pre", "code"]):
        code.decompose()
    return body.get_text("\n")


class Site:
    """A folder of built pages, each read once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.pages = {
            path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
            for path in sorted(self.root.rglob("*.html"))
            if "_static" not in path.relative_to(self.root).parts
        }
        self.ids = {
            path: {str(tag[key]) for key in ("id", "name") for tag in page.find_all(None, {key: True})}
            for path, page in self.pages.items()
        }
        self.assets: set[Path] = set()

    def audit(self) -> list[str]:
        """Every finding, as one line that starts with the file it is in."""
        found = [] if self.pages else [f"{self.root}: no pages"]
        checks = (self.requests, self.tracebacks, self.pictures, self.links, self.duplicates)
        for path, page in self.pages.items():
            for check in checks:
                found += [f"{path.relative_to(self.root)}: {finding}" for finding in check(path, page)]
        for asset in sorted(self.assets):
            found += [f"{asset.relative_to(self.root)}: {finding}" for finding in self.asset_requests(asset)]
        return found

    def target(self, path: Path, url: str) -> Path:
        """The file that a relative `url` on the page `path` names."""
        return path if not urlsplit(url).path else (path.parent / unquote(urlsplit(url).path)).resolve()

    def requests(self, path: Path, page: BeautifulSoup) -> Iterator[str]:
        base = page.find("base", href=True)
        if isinstance(base, Tag) and OUTSIDE.match(str(base["href"])):
            yield f"every relative address goes to another host: <base href={base['href']}>"
        for name, attributes in FETCHED.items():
            for tag in page.find_all(name):
                if name == "link" and LINKS_NOT_FETCHED & {str(rel).lower() for rel in tag.get("rel") or ()}:
                    continue
                for attribute in attributes:
                    value = str(tag.get(attribute) or "")
                    urls = [part.split()[0] for part in value.split(", ") if part.strip()]
                    for url in urls if attribute == "srcset" else [value]:
                        if OUTSIDE.match(url):
                            yield f"fetches from another host: <{name} {attribute}={url}>"
                        elif url and not urlsplit(url).scheme and not url.startswith("#"):
                            file = self.target(path, url)
                            if not file.is_file():
                                yield f"missing file: <{name} {attribute}={url}>"
                            elif file.suffix in (".css", ".js", ".mjs"):
                                self.assets.add(file)
        for tag in page.find_all(["style", "script"]):
            text = tag.string or ""
            urls = list(outside_in_css(text)) if tag.name == "style" else JS_IMPORT.findall(text)
            yield from (f"fetches from another host: {url} in a <{tag.name}>" for url in urls)
        for tag in page.find_all(style=True):
            yield from (f"fetches from another host: {url} in a style" for url in outside_in_css(str(tag["style"])))

    def asset_requests(self, path: Path) -> Iterator[str]:
        text = path.read_text(encoding="utf-8", errors="replace")
        urls = outside_in_css(text) if path.suffix == ".css" else JS_IMPORT.findall(text)
        yield from (f"fetches from another host: {url}" for url in urls)

    def tracebacks(self, path: Path, page: BeautifulSoup) -> Iterator[str]:
        if "Traceback" in page.get_text():
            yield "shows a traceback"
        yield from (f"raw markup: {match.group()!r}" for match in RAW_MARKUP.finditer(words_of(page)))

    def pictures(self, path: Path, page: BeautifulSoup) -> Iterator[str]:
        for picture in page.find_all("img"):
            alt = str(picture.get("alt") or "").strip()
            source = str(picture.get("src"))[:60]
            if not alt:
                yield f"no alt text: {source}"
            elif FILE_NAME.search(alt):
                yield f"a file name for an alt text: {alt}"

    def links(self, path: Path, page: BeautifulSoup) -> Iterator[str]:
        for link in page.find_all("a", href=True):
            url = str(link["href"])
            if urlsplit(url).scheme or OUTSIDE.match(url) or url == "#":
                continue
            file = self.target(path, url)
            anchor = unquote(urlsplit(url).fragment)
            if not file.is_file():
                yield f"broken link: {url}"
            elif anchor and file in self.ids and anchor not in self.ids[file]:
                yield f"broken anchor: {url}"

    def duplicates(self, path: Path, page: BeautifulSoup) -> Iterator[str]:
        scripts = Counter(str(tag.get("src") or tag.string or "").strip() for tag in page.find_all("script"))
        for script, count in scripts.items():
            if script and count > 1:
                yield f"{count} times the script {script[:80]}"
        named = page.select("section[id], figure[id], div.math[id], div.admonition[id]")
        for name, count in Counter(str(tag["id"]) for tag in named).items():
            # sphinx-exercise gives the body of every exercise the same id, which nothing links to
            if count > 1 and not re.fullmatch(r"(exercise|solution)-content", name):
                yield f"{count} times the id {name}"


def audit(root: Path) -> list[str]:
    """What is wrong with the site in `root`, one line each."""
    return Site(root).audit()


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html")
    site = Site(root)
    found = site.audit()
    print("\n".join(found))
    print(f"{len(site.pages)} pages, {len(site.assets)} scripts and stylesheets, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
