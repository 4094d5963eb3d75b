#!/usr/bin/env python3
"""Reads the JUnit file of ctest: lists why tests were skipped and which failed, then prints `N passed, N failed, N skipped`."""

import collections
import re
import sys
import xml.etree.ElementTree


def verdict(case):
    """passed, failed or skipped. A test that could not start (no program, a failed fixture) has not passed: ctest calls it "notrun" too."""
    status = case.get("status")
    if status == "run":
        return "passed"
    if status == "disabled":
        return "skipped"
    skipped = case.find("skipped")
    by_itself = skipped is not None and skipped.get("message", "").startswith("SKIP_")
    return "skipped" if status == "notrun" and by_itself else "failed"


def skip_reason(case):
    """The line after GoogleTest's `file:line: Skipped`, or what ctest says."""
    output = case.findtext("system-out") or ""
    found = re.search(r": Skipped\r?\n(.+)", output)
    return found.group(1).strip() if found else "disabled" if case.get("status") == "disabled" else "no reason given"


def main():
    cases = list(xml.etree.ElementTree.parse(sys.argv[1]).getroot().iter("testcase"))
    by_verdict = collections.defaultdict(list)
    for case in cases:
        by_verdict[verdict(case)].append(case)
    for reason, count in sorted(collections.Counter(map(skip_reason, by_verdict["skipped"])).items()):
        print(f"skipped {count}: {reason}")
    for case in by_verdict["failed"]:
        print(f"failed: {case.get('name')}")
    print(", ".join(f"{len(by_verdict[kind])} {kind}" for kind in ("passed", "failed", "skipped")))


if __name__ == "__main__":
    try:
        main()
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
