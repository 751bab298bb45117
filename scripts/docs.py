#!/usr/bin/env python3
"""Tests the documents: runs their commands, and follows their links.

    scripts/docs.py [DIRECTORY OF THE BINARIES]        by default target/debug

Every block of commands (```sh, or ```console with `$ ` before each command and what it prints below) has a mark in the line
before it, which readers do not see:

    <!-- test -->                          each command must end with 0
    <!-- test exit=1 -->                   the block's last command ends with that
    <!-- test except="run|publish" -->     without the lines in which one of these words stands
    <!-- no test: needs root -->           why it is not run here
    <!-- test file=/etc/ditto/x.toml -->   no commands: the block becomes that file, before any command of the page is run

and a comment `<!-- before the test: COMMANDS -->`, of one line or several, is run where it stands. Commands run in the
order of their page, in a directory that all of the page's blocks share. There, /etc/ditto and /var/lib/ditto-* are
directories below it; a keystore's password is there as systemd's credential, and $REPOSITORY is this one. In what a console block prints, `…` stands for
anything.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
# Longer than any command takes on a loaded machine.
PATIENCE_SECONDS = 180
SHELL = ("sh", "console")
# A block that begins with one of these is one of commands, whatever it is called.
PROGRAMS = re.compile(r"^(?:\$ |sudo |(?:make|ditto-[a-z-]+|cargo|systemctl|journalctl|docker|apt-get|dpkg|curl|scripts/\S+) )")

problems = []


def problem(page, line, text):
    problems.append(f"{page.relative_to(ROOT)}:{line}: {text}")


def pages():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in sorted(filter(None, listed.split("\0"))) if (ROOT / name).exists()]


def parsed(page):
    """The page's blocks and hidden commands in order, and its lines outside of blocks."""
    parts, prose = [], []
    lines = page.read_text().splitlines()
    at = 0
    mark, mark_line = None, 0
    while at < len(lines):
        line = lines[at]
        fence = re.match(r"^(\s*)(```+)\s*([\w-]*)\s*$", line)
        if fence:
            start = at
            at += 1
            body = []
            while at < len(lines) and lines[at].strip() != fence[2]:
                body.append(lines[at].removeprefix(fence[1]))
                at += 1
            if at == len(lines):
                problem(page, start + 1, "the block is not closed")
            parts.append(("block", start + 1, fence[3], body, mark))
            mark = None
        elif re.match(r"^\s*<!--\s*before the test:", line):
            start = at
            hidden = [line]
            while "-->" not in lines[at] and at + 1 < len(lines):
                at += 1
                hidden.append(lines[at])
            text = re.sub(r"^\s*<!--\s*before the test:|-->.*$", "", "\n".join(hidden), flags=re.S)
            parts.append(("hidden", start + 1, "", text.strip().splitlines(), None))
        else:
            found = re.match(r"^\s*<!--\s*((?:no )?test\b.*?)\s*-->\s*$", line)
            if mark and (found or line.strip()):
                problem(page, mark_line, "the mark stands before no block")
                mark = None
            if found:
                mark, mark_line = found[1], at + 1
            prose.append((at + 1, line))
        at += 1
    return parts, prose


def options(page, line, mark):
    """A mark's options; nothing for `no test`."""
    if mark.startswith("no test"):
        if not re.match(r"no test: \S", mark):
            problem(page, line, "say why: <!-- no test: REASON -->")
        return None
    found = dict((key, quoted or plain) for key, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S+))', mark))
    unknown = set(found) - {"exit", "except", "file"}
    if unknown or re.sub(r'\w+=(?:"[^"]*"|\S+)', "", mark).strip() != "test":
        problem(page, line, f"the mark is not understood: {mark}")
    return found


class Place:
    """Where a page's commands run."""

    def __init__(self, directory, binaries):
        self.root = Path(directory)
        self.work = self.root / "work"
        credentials = self.root / "credentials"
        for made in (self.work, credentials, self.root / "etc/ditto", self.root / "home"):
            made.mkdir(parents=True, mode=0o700)
        (credentials / "keystore-password").write_text("correct horse battery staple\n")
        (credentials / "keystore-password").chmod(0o400)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DITTO_", "WORKFLOW_"))}
        self.environment = kept | {
            "PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(self.root / "home"), "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1", "REPOSITORY": str(ROOT), "CREDENTIALS_DIRECTORY": str(credentials),
            "DITTO_CONFIG": str(self.root / "etc/ditto/operator.toml"),
        }

    def here(self, text):
        text = re.sub(r"(?<![\w/.])/etc/ditto\b", str(self.root / "etc/ditto"), text)
        return re.sub(r"(?<![\w/.])/var/lib/(ditto-\w+)", lambda found: str(self.root / "var" / found[1]), text)

    def write(self, name, body):
        path = Path(self.here(name))
        path = path if path.is_absolute() else self.work / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here("\n".join(body) + "\n"))
        path.chmod(0o600)

    def run(self, commands):
        script = "set -euo pipefail\numask 077\n" + self.here("\n".join(commands)) + "\n"
        try:
            ended = subprocess.run(["bash", "-c", script], cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            return None, f"not done after {PATIENCE_SECONDS} s"
        return ended.returncode, ended.stdout


def expected(lines):
    """What must have been printed, as a pattern: `…` is anything."""
    text = "\n".join(line.rstrip() for line in lines)
    return re.compile(".*".join(re.escape(piece) for piece in text.split("…")), re.S)


def console(body):
    """Commands with what they print."""
    turns = []
    for line in body:
        if line.startswith("$ "):
            turns.append((line[2:], []))
        elif turns:
            turns[-1][1].append(line)
    return turns


def try_page(page, parts, binaries):
    """Runs what is to be run; how many blocks that were."""
    ran = 0
    with tempfile.TemporaryDirectory(prefix="ditto-docs-") as directory:
        place = Place(directory, binaries)
        todo = []
        for kind, line, language, body, mark in parts:
            if kind == "hidden":
                todo.append((line, "sh", body, {}))
                continue
            if mark is None:
                if language in SHELL or (not language and body and PROGRAMS.match(body[0])):
                    problem(page, line, "commands without a mark: see scripts/docs.py")
                continue
            told = options(page, line, mark)
            if told is None:
                continue
            if "file" in told:
                place.write(told["file"], body)
                ran += 1
                continue
            if language not in SHELL:
                problem(page, line, f"```{language or ' '} is not run: write ```sh or ```console")
                continue
            if told.get("except"):
                without = re.compile(rf"\b(?:{told['except']})\b")
                left = [text for text in body if not without.search(text)]
                if len(left) == len(body):
                    problem(page, line, f"no line has {told['except']}")
                body = left
            todo.append((line, language, body, told))
            ran += 1
        for line, language, body, told in todo:
            wanted = int(told.get("exit", 0))
            turns = console(body) if language == "console" else [("\n".join(body), [])]
            for index, (command, printed) in enumerate(turns):
                code, said = place.run([command])
                said = said.replace(str(place.root / "etc"), "/etc").replace(str(place.root / "var"), "/var/lib")
                last = wanted if index + 1 == len(turns) else 0
                if code != last:
                    problem(page, line, f"ended with {code}, not {last}:\n{command}\n--- it printed\n{said}")
                    break
                if any(text.strip() for text in printed) and not expected(printed).search(said):
                    problem(page, line, f"`{command}` printed something else:\n{said}")
    return ran


def slugs(prose):
    """The anchors that GitHub gives a page's headings."""
    found = set()
    for _, line in prose:
        heading = re.match(r"^#{1,6}\s+(.*?)\s*#*\s*$", line)
        if heading:
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", text.replace("`", "").lower()).replace(" ", "-")
            name, count = slug, 0
            while name in found:
                count += 1
                name = f"{slug}-{count}"
            found.add(name)
        found.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
    return found


def follow(page, prose, anchors):
    """Checks a page's relative links; how many those are."""
    count = 0
    for line, text in prose:
        for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)", re.sub(r"`[^`]*`", "", text)):
            if re.match(r"^[a-z][a-z0-9+.-]*:", target):
                continue
            count += 1
            path, _, anchor = target.partition("#")
            there = (page.parent / unquote(path)).resolve() if path else page
            if not there.exists():
                problem(page, line, f"{target}: there is no such file")
            elif anchor and there.suffix == ".md" and there in anchors and unquote(anchor) not in anchors[there]:
                problem(page, line, f"{target}: there is no such heading")
    return count


def main():
    binaries = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug").resolve()
    for name in ("ditto-operator", "ditto-aggregator"):
        if not os.access(binaries / name, os.X_OK):
            sys.exit(f"scripts/docs.py: {binaries / name} is not there: cargo build --workspace --bins")
    read = {page: parsed(page) for page in pages()}
    anchors = {page: slugs(prose) for page, (_, prose) in read.items()}
    links = sum(follow(page, prose, anchors) for page, (_, prose) in read.items())
    blocks = sum(try_page(page, parts, binaries) for page, (parts, _) in read.items())
    for text in problems:
        print(text, file=sys.stderr)
    if problems:
        sys.exit(1)
    print(f"{len(read)} pages: {blocks} blocks do what they say, {links} links lead somewhere")


main()
