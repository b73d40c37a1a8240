import ApusCore
import ApusManifest
import ApusTestSupport
import Testing

@testable import ApusServer

@Suite struct TimeZoneTests {
    private let zones = TimeZones()

    /// With several kinds of odd changes: by half an hour, below UTC's day, twice a year in Ramadan, a day left out,
    /// DST in winter.
    static let names = [
        "Europe/Paris", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca",
        "Pacific/Apia", "Europe/Dublin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham", "Asia/Tehran",
        "Antarctica/Troll", "America/Nuuk", "UTC",
    ]

    @Test func offsetsAreThoseOfPythonsZoneinfo() throws {
        guard let python = PythonZones.find() else { return }
        var random = SeededGenerator(seed: 12)
        var questions: [(zone: String, moment: Int64)] = []
        for zone in Self.names {
            // Until 2200: long after the last change that the files list.
            for _ in 0..<400 {
                questions.append((zone, Int64.random(in: -2_000_000_000..<7_258_118_400, using: &random)))
            }
            // A second before, at, and after changes, where mistakes hide.
            let rules = try self.zones.zone(zone)
            var moment = Int64(0)
            while moment < 7_258_118_400 {
                let end = rules.segment(at: moment).end
                guard end != .max else { break }
                questions += [(zone, end - 1), (zone, end), (zone, end + 1)]
                moment = end
            }
        }
        let answers = try python.offsets(questions)
        try #require(answers.count == questions.count)
        for (question, answer) in zip(questions, answers) {
            let found = try self.zones.zone(question.zone).offset(at: question.moment)
            #expect(found == answer, "\(question)")
        }
        #expect(questions.count > 8_000)
    }

    @Test func schedulesAreThoseThatALookAtEveryMinuteOfPythonsClockFinds() throws {
        guard let python = PythonZones.find() else { return }
        // Around days on which clocks change; the second column is the hour field.
        let lines = [
            "30 2 * * *", "0 2 * * *", "*/15 * * * *", "15 */2 * * *", "5 * * * *", "0,30 1-3 * * *", "0 0 * * *",
            "59 1 * * sun", "*/20 2 * * *",
        ]
        let changes: [(String, Int64)] = [
            ("Europe/Paris", 1_774_746_000), ("Europe/Paris", 1_792_893_600), ("America/New_York", 1_772_953_200),
            ("America/New_York", 1_793_512_800), ("Australia/Lord_Howe", 1_775_314_800),
            ("Australia/Lord_Howe", 1_791_041_400), ("Africa/Casablanca", 1_771_120_800),
            ("Pacific/Apia", 1_325_239_200), ("Europe/Paris", 4_109_734_800), ("Asia/Kathmandu", 1_774_746_000),
        ]
        var questions: [PythonZones.Question] = []
        for (zone, change) in changes {
            for line in lines {
                questions.append(.init(zone: zone, line: line, from: change - 93_600, through: change + 93_600))
            }
        }
        let answers = try python.schedules(questions)
        try #require(answers.count == questions.count)
        var count = 0
        for (question, expected) in zip(questions, answers) {
            let clock = ZonedCron(cron: try CronSchedule(question.line), zone: try self.zones.zone(question.zone))
            var found: [Int64] = []
            var time = Timestamp(microseconds: question.from * 1_000_000)
            while let next = clock.next(after: time), next.microseconds <= question.through * 1_000_000 {
                found.append(next.microseconds / 1_000_000)
                time = next
            }
            #expect(found == expected, "\(question)")
            count += found.count
        }
        #expect(count > 3_000)
    }

    @Test func aTimeInAGapRunsOnceRightAfterItAndOneThatComesTwiceOnce() throws {
        let paris = try self.zones.zone("Europe/Paris")
        let spring = ZonedCron(cron: try CronSchedule("*/20 2 * * *"), zone: paris)
        // 2026-03-29: 02:00 to 03:00 is left out.
        let gap = Timestamp(microseconds: 1_774_746_000_000_000)
        #expect(spring.next(after: Timestamp(microseconds: gap.microseconds - 1)) == gap)
        #expect(spring.next(after: gap) == gap + .seconds(23 * 3_600))
        // 2026-10-25: 02:00 to 03:00 comes twice.
        let autumn = Timestamp(microseconds: 1_792_886_400_000_000)
        let once = ZonedCron(cron: try CronSchedule("30 2 * * *"), zone: paris)
        let first = try #require(once.next(after: autumn))
        let second = try #require(once.next(after: first))
        #expect((second - first).microseconds == 25 * 3_600 * 1_000_000)
        let hourly = ZonedCron(cron: try CronSchedule("30 * * * *"), zone: paris)
        var time = autumn
        for _ in 0..<12 {
            let next = try #require(hourly.next(after: time))
            #expect((next - time).microseconds <= 3_600_000_000)
            time = next
        }
    }

    @Test func everyZoneOfTheMachineIsRead() throws {
        let names = self.zones.names()
        guard !names.isEmpty else { return print("skipped: there is no /usr/share/zoneinfo; install tzdata") }
        #expect(names.count > 300 && names.contains("Europe/Paris"))
        for name in names {
            let rules = try self.zones.zone(name)
            for year in [1_900, 1_970, 2_026, 2_037, 2_038, 2_500] as [Int64] {
                let moment = CivilTime(year: year, month: 7, day: 1).seconds
                let segment = rules.segment(at: moment)
                #expect(segment.start <= moment && moment < segment.end && abs(segment.offset) < 26 * 3_600, "\(name)")
            }
        }
    }

    @Test(arguments: [
        "../passwd", "Europe/../../etc/passwd", "/etc/passwd", "Europe//Paris", "", "Europe", "tzdata.zi", "a b",
    ])
    func noNameLeavesTheFolder(name: String) {
        expectRefusal(.manifestInvalid, name) { () throws(ApusError) in try self.zones.zone(name) }
    }

    @Test(arguments: [("Europe/Pariss", "Europe/Paris"), ("europe/paris", "Europe/Paris"), ("Paris", "Europe/Paris")])
    func anUnknownNameIsToldWithWhatWasMeant(name: String, meant: String) {
        guard !self.zones.names().isEmpty else {
            return print("skipped: there is no /usr/share/zoneinfo; install tzdata")
        }
        do throws(ApusError) { _ = try self.zones.zone(name) } catch {
            #expect(error.message == "there is no time zone '\(name)', did you mean `\(meant)`?")
        }
    }

    @Test func withoutAnyZonesThereIsUTC() throws {
        let zones = TimeZones(folder: "/nowhere")
        #expect(try zones.zone("UTC") == .utc)
        do throws(ApusError) { _ = try zones.zone("Europe/Paris") } catch {
            #expect(error.message.contains("install the package tzdata"))
        }
    }

    @Test func aFileThatIsTooLargeOrCutIsNone() throws {
        let folder = ScratchDirectory("zones")
        guard let whole = try? readFile("/usr/share/zoneinfo/Europe/Paris") else {
            return print("skipped: there is no /usr/share/zoneinfo; install tzdata")
        }
        #expect(throws: Never.self) { try TimeZoneFile.parse(whole) }
        // Every cut, and every byte turned over: an answer or an error, never a trap.
        for count in 0..<whole.count {
            do throws(TimeZoneFile.Failure) { _ = try TimeZoneFile.parse(Array(whole.prefix(count))) } catch {
                continue
            }
            Issue.record("cut at \(count) it was read")
        }
        for index in whole.indices {
            for bit in [0x80, 0x01, 0xFF] as [UInt8] {
                var changed = whole
                changed[index] ^= bit
                guard let rules = try? TimeZoneFile.parse(changed) else { continue }
                _ = rules.segment(at: 1_774_746_000)
                _ = rules.segment(at: 7_000_000_000)
            }
        }
        try writeFile(folder.path + "/Large", whole + [UInt8](repeating: 0x0A, count: Limits.Schedules.zoneFileBytes))
        expectRefusal(.manifestInvalid, "Large") { () throws(ApusError) in
            try TimeZones(folder: folder.path).zone("Large")
        }
    }

    @Test(arguments: [
        ("EST5EDT,M3.2.0,M11.1.0", true), ("<+03>-3", true), ("<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", true),
        ("IST-2IDT,M3.4.4/26,M10.5.0", true), ("EST5EDT,0/0,J365/25", true), ("XXX-5:45:30", true), ("", false),
        ("E5", false), ("EST", false), ("EST5EDT", false), ("EST5EDT,M13.1.0,M11.1.0", false),
        ("EST5EDT,M3.2.0,M11.1.0,", false), ("EST168", false), ("<+03-3", false),
    ])
    func rulesAreReadAsTheyAreWritten(text: String, isRule: Bool) {
        #expect((PosixZone(text) != nil) == isRule)
    }

    @Test func daylightSavingTimeAllYearNeverEnds() throws {
        let rule: PosixZone = try #require(PosixZone("EST5EDT,0/0,J365/25"))
        let rules = TimeZoneRules(first: 0, changes: [], rule: rule)
        for day in stride(from: Int64(0), to: 40_000, by: 1) { #expect(rules.offset(at: day * 86_400) == -4 * 3_600) }
    }
}
