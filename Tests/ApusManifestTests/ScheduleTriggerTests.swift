import ApusCore
import ApusJSON
import Testing

@testable import ApusManifest

@Suite struct ScheduleTriggerTests {
    private func manifest(_ triggers: String) throws -> FunctionManifest {
        let text = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: f}
            spec:
              runtime: python3
              handler: main:handle
              triggers:
            \(triggers)
            """
        guard case .function(let function) = try Manifest.parse(text, file: "f.yaml")[0] else {
            throw ManifestErrors([ManifestError(.manifestInvalid, nil, "no function")])
        }
        return function
    }

    private func errors(_ triggers: String) -> [String] {
        do { _ = try self.manifest(triggers) } catch let error as ManifestErrors {
            return error.errors.map(\.description)
        } catch { return ["\(error)"] }
        return []
    }

    @Test func aLineAloneIsInUTCAndMakesUpForMissedTimesOnce() throws {
        let trigger = try #require(try self.manifest("    - schedule: '*/5 * * * *'").scheduleTriggers.first)
        #expect(trigger.name == "schedule" && trigger.zone == "UTC" && trigger.missed == .once && !trigger.isPaused)
        #expect(trigger.cron.description == "*/5 * * * *")
    }

    @Test func aManifestKeepsAllOfItThroughItsJSON() throws {
        let function = try self.manifest(
            """
                - schedule: {cron: "0  9 * * mon-fri", zone: Europe/Paris, missed: all}
                  name: mornings
                  paused: true
                - topic: documents
                - schedule: "@hourly"
            """)
        #expect(function.scheduleTriggers.map(\.name) == ["mornings", "schedule"])
        #expect(
            function.scheduleTriggers[0].isPaused && function.scheduleTriggers[0].cron.description == "0 9 * * mon-fri")
        #expect(function.triggerNames == ["documents", "mornings", "schedule"])
        #expect(function.pausedTriggers == ["mornings"])
        let manifest = Manifest.function(function)
        #expect(try Manifest(json: manifest.toJSON()) == manifest)
        // The place in the file, not among its like.
        #expect(function.referencedTopics.map(\.path) == ["spec.triggers[1].topic"])
    }

    @Test func namesAreUniqueInTheFunction() {
        #expect(
            self.errors("    - schedule: '@hourly'\n    - schedule: '@daily'") == [
                "f.yaml:9:17: a second trigger is named `schedule`, expected names that differ: give this one a `name` of its own"
            ])
        #expect(self.errors("    - schedule: '@hourly'\n    - {schedule: '@daily', name: daily}") == [])
        #expect(self.errors("    - topic: daily\n    - {schedule: '@daily', name: daily}").count == 1)
    }

    @Test func whatIsWrongIsToldAtItsPlace() {
        #expect(
            self.errors("    - schedule: '61 * * * *'") == [
                "f.yaml:8:17: `spec.triggers[0].schedule` is `61 * * * *`: the minute is `61`, expected 0 to 59"
            ])
        #expect(
            self.errors("    - schedule: {cron: '* * L * *'}") == [
                "f.yaml:8:24: `spec.triggers[0].schedule.cron` is `* * L * *`: "
                    + "the day of the month is `L`: L, W and # are not supported, expected 1 to 31"
            ])
        #expect(
            self.errors("    - schedule: {cron: '@daily', zone: '../etc/passwd'}") == [
                "f.yaml:8:40: `spec.triggers[0].schedule.zone` is `../etc/passwd`, expected a time zone such as Europe/Paris"
            ])
        #expect(
            self.errors("    - schedule: {cron: '@daily', missed: twice}").first?.contains(
                "expected one of skip, once, all")
                == true)
        #expect(
            self.errors("    - {schedule: '@daily', replyTo: results}") == [
                "f.yaml:8:37: `spec.triggers[0].replyTo` means nothing without a topic, expected a trigger with `topic`"
            ])
    }
}
