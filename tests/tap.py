"""Reads TAP as our test programs and cmocka programs write it."""
import re

_POINT = re.compile(r"^(not )?ok\b\s*(\d+)?\s*(?:-\s*)?(.*?)\s*(?:#\s*(SKIP|TO" r"DO)\b\s*(.*))?$",
                    re.I)
_PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*SKIP\S*\s*(.*))?$", re.I)


class Point:
    """One test: name, status (passed, failed, skipped), reason of a skip, comment lines."""

    def __init__(self, name, status, reason=""):
        self.name, self.status, self.reason, self.comments = name, status, reason, []


class Report:
    """What one program said. `points` gain a failed one for every way it was not proper TAP."""

    def __init__(self, text, status=0, timed_out=False):
        self.points, self.plan, self.plan_reason, self.stray = [], None, "", []
        for line in text.splitlines():
            self._line(line)
        self._judge(status, timed_out)

    def _line(self, line):
        plan = _PLAN.match(line)
        point = _POINT.match(line)
        if plan:
            # A cmocka program with several groups prints one plan a group.
            self.plan = (self.plan or 0) + int(plan.group(1))
            self.plan_reason = plan.group(2) or ""
        elif line.startswith("Bail out!"):
            self.points.append(Point(line, "failed"))
        elif point and (point.group(2) or point.group(3) or point.group(4)):
            self._point(*point.groups())
        elif line.startswith("#"):
            self._comment(line[1:].strip())
        elif line.strip():
            self.stray.append(line)

    def _point(self, no, number, name, directive, rest):
        skipped = (directive or "").upper() == "SKIP"
        # cmocka: "ok 3 # SKIP name", the reason in a comment after it.
        reason = rest or ""
        if skipped and not name:
            name, reason = reason, ""
        status = "skipped" if skipped else "failed" if no else "passed"
        self.points.append(Point(name or "test %s" % number, status, reason))

    def _comment(self, words):
        if self.points:
            last = self.points[-1]
            if last.status == "skipped" and not last.reason:
                last.reason = words
            else:
                last.comments.append(words)

    def _judge(self, status, timed_out):
        counted = len(self.points)
        failed = any(p.status == "failed" for p in self.points)
        if timed_out:
            self._fault("did not end in time")
        elif self.plan is None:
            self._fault("printed no plan (exit status %s)" % status)
        elif self.plan == 0 and not self.points and self.plan_reason and not status:
            self.points.append(Point("everything", "skipped", self.plan_reason))
        elif self.plan != counted:
            self._fault("planned %d tests, ran %d (exit status %s)" % (self.plan, counted, status))
        elif status and not failed:
            self._fault("all tests passed but the exit status is %s" % status)

    def _fault(self, words):
        point = Point("the program itself", "failed")
        point.comments = [words] + self.stray[-20:]
        self.points.append(point)

    def count(self, status):
        return sum(1 for point in self.points if point.status == status)
