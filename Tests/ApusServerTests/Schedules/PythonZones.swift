import ApusTestSupport
import Glibc
import Testing

/// Python's `zoneinfo` as a second opinion on time zones.
struct PythonZones {
    struct Question {
        var zone: String
        var line: String
        /// Not included.
        var from: Int64
        var through: Int64
    }

    struct Failed: Error { var what: String }

    private static let python = "/usr/bin/python3"

    /// Nil where there is none, with the reason printed.
    static func find() -> PythonZones? {
        guard access(self.python, X_OK) == 0, access("/usr/share/zoneinfo/Europe/Paris", R_OK) == 0 else {
            print("skipped: it needs /usr/bin/python3 and /usr/share/zoneinfo (Debian: python3, tzdata)")
            return nil
        }
        return PythonZones()
    }

    func offsets(_ questions: [(zone: String, moment: Int64)]) throws -> [Int64] {
        let script = """
            import sys
            from datetime import datetime, timedelta, timezone
            from zoneinfo import ZoneInfo
            epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
            for line in sys.stdin:
                zone, moment = line.split()
                at = (epoch + timedelta(seconds=int(moment))).astimezone(ZoneInfo(zone))
                print(int(at.utcoffset().total_seconds()))
            """
        return try self.run(script, questions.map { "\($0.zone) \($0.moment)" }).compactMap { Int64($0) }
    }

    /// For each question the moments that are due, by looking at every minute: of what the clock shows, or of time that
    /// passes for
    /// lines that are due in every hour.
    func schedules(_ questions: [Question]) throws -> [[Int64]] {
        let script = #"""
            import sys
            from datetime import datetime, timedelta, timezone
            from zoneinfo import ZoneInfo
            epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
            naive = datetime(1970, 1, 1)
            def values(field, low, high):
                found = set()
                for item in field.replace("sun", "0").split(","):
                    body, _, step = item.partition("/")
                    first, last = (low, high) if body == "*" else (int(body.split("-")[0]), int(body.split("-")[-1]))
                    found |= set(range(first, last + 1, int(step or 1)))
                return found
            cache = {}
            def minutes(zone, start, end):
                key = (zone, start, end)
                if key not in cache:
                    info = ZoneInfo(zone)
                    cache[key] = [(t, (epoch + timedelta(seconds=t)).astimezone(info).replace(tzinfo=None, fold=0))
                                  for t in range(start, end + 1, 60)]
                return cache[key]
            for line in sys.stdin:
                zone, start, end, *fields = line.split()
                start, end = int(start), int(end)
                minute, hour, day, month, week = (
                    values(f, l, h) for f, l, h in zip(fields, (0, 0, 1, 1, 0), (59, 23, 31, 12, 7)))
                week = {w % 7 for w in week}
                def due(local):
                    date, weekday = local.day in day, (local.weekday() + 1) % 7 in week
                    days = date and weekday if fields[2][0] == "*" or fields[4][0] == "*" else date or weekday
                    return days and local.month in month and local.hour in hour and local.minute in minute
                found = set()
                if len(hour) == 24:
                    found = {t for t, local in minutes(zone, start, end) if due(local)}
                else:
                    # What the clock shows, minute by minute; `passed` is the latest that it has shown or skipped.
                    passed = None
                    for t, local in minutes(zone, start - 216000, end):
                        if passed is None:
                            passed = local
                            continue
                        while passed < local:
                            passed += timedelta(minutes=1)
                            if due(passed):
                                found.add(t)
                print(" ".join(str(t) for t in sorted(found) if start < t <= end))
            """#
        let lines = questions.map { "\($0.zone) \($0.from) \($0.through) \($0.line)" }
        return try self.run(script, lines).map { $0.split(separator: " ").compactMap { Int64($0) } }
    }

    private func run(_ script: String, _ lines: [String]) throws -> [Substring] {
        let folder = ScratchDirectory("python-zones")
        let process = try ChildProcess(
            Self.python, ["-c", script], input: Array(lines.map { $0 + "\n" }.joined().utf8), in: folder.path)
        guard process.wait(seconds: 120) == 0 else {
            throw Failed(what: process.errors)
        }
        return process.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    }
}
