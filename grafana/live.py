#!/usr/bin/env python3
"""Runs a command under a Prometheus of its own, then checks dashboards, alerts and metrics against what was scraped.

    scripts/monitoring.sh COMMAND...     # finds Prometheus, and runs this

The command's networks say where their nodes are: $SCRAPE_TARGETS names a directory, and `ditto-devnet --targets
$SCRAPE_TARGETS/NAME.json` writes them there. Everything listens on loopback, on ports that are free; only processes
that were started here are ended."""

import argparse
import ctypes
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import check

HERE = pathlib.Path(__file__).parent.resolve()
# Prometheus looks at its targets' file when it changes, at most every 5 seconds; a slot of the tests lasts 2.
CONFIG = """
global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 5s }}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: ditto
    file_sd_configs:
      - files: ["{targets}/*.json"]
"""
READY_SECONDS = 60
END_SECONDS = 10
# /proc/PID/net/tcp: a socket that listens.
LISTENS = "0A"
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def listening_port(pid):
    """The port that a process listens on: it was told to take a free one, and does not say which."""
    own = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            own.update(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
        except OSError:
            continue  # closed meanwhile
    for line in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTENS and fields[9] in own:
            return int(fields[1].split(":")[1], 16)
    return None


class Running:
    """A Prometheus that scrapes whoever is named in `targets`."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.targets = self.home / "targets"
        self.targets.mkdir()
        config = self.home / "prometheus.yml"
        config.write_text(CONFIG.format(rules=HERE / "prometheus/alerts.yml", targets=self.targets))
        self.log = self.home / "prometheus.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.home}/data", "--web.listen-address=127.0.0.1:0",
                 "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent)

    def url(self):
        """Waits until it is ready."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if port := listening_port(self.process.pid):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).close()
                    return f"http://127.0.0.1:{port}"
                except (urllib.error.URLError, OSError):
                    pass
            time.sleep(0.1)
        sys.exit(f"Prometheus did not come up:\n{self.log.read_text()}")

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", metavar="PNG", help="also draw the overview from what was scraped (needs python3-matplotlib)")
    parser.add_argument("--only-render", action="store_true", help="check nothing: for runs that are no test")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not args.command:
        parser.error("no command")
    problems = []
    if not args.only_render:
        check.check_files(problems)
    with tempfile.TemporaryDirectory(prefix="ditto-prometheus-") as home:
        running = Running(home)
        try:
            url, begin = running.url(), time.time()
            command = [part.replace("{targets}", str(running.targets)) for part in args.command]
            code = subprocess.run(command, env=os.environ | {"SCRAPE_TARGETS": str(running.targets)}).returncode
            if code:
                sys.exit(code if code > 0 else 1)
            prometheus = check.Prometheus(url, begin, time.time())
            if not args.only_render:
                check.check_live(prometheus, problems)
            if args.render:
                import render
                render.draw(prometheus, args.render)
        finally:
            running.end()
    sys.exit(check.report(problems))


if __name__ == "__main__":
    main()
