import ApusCore
import Testing

@testable import ApusStore

/// Tools of functions that are hidden and shown again.
@Suite struct ToolSwitchTests {
    var control = ControlFixture()

    private func hide(_ tool: String, _ isDisabled: Bool = true, in namespace: Namespace = .default) -> ControlCommand {
        .switchTool(namespace, tool, isDisabled: isDisabled, by: "boss")
    }

    @Test mutating func aHiddenToolIsARecordThatLasts() throws {
        #expect(try self.control.run(self.hide("search")).map(\.action) == [.updated])
        #expect(try self.control.run(self.hide("search")).map(\.action) == [.unchanged])
        let hidden = try #require(self.control.queue.catalogue.disabledTools[.default]?["search"])
        #expect(hidden == DisabledTool(principal: "boss", since: self.control.now))
        #expect(self.control.changes == [.toolSwitched(.default)])
        #expect(self.control.queue.catalogue.disabledTools[try #require(Namespace("other"))] == nil)
        #expect(try self.control.run(self.hide("search", false)).map(\.action) == [.updated])
        #expect(try self.control.run(self.hide("search", false)).map(\.action) == [.unchanged])
        #expect(try self.control.run(self.hide("search")).map(\.generation) == [3])
        // After a restart it is what the log says.
        var followed = ControlQueue()
        for record in self.control.records {
            #expect(try ControlRecord(record.event) == record)
            _ = try followed.follow(record)
        }
        #expect(followed.catalogue.disabledTools == self.control.queue.catalogue.disabledTools)
    }

    @Test func theCommandIsReadBack() throws {
        for isDisabled in [true, false] {
            let command = self.hide("search__v2", isDisabled)
            #expect(try ControlCommand(json: command.json) == command)
        }
    }

    @Test mutating func thereAreAtMostSoMany() throws {
        for index in 0..<Limits.Control.disabledTools {
            _ = try self.control.queue.follow(
                ControlRecord(
                    kind: .toolSwitch, namespace: .default, name: "t\(index)", generation: 1, time: .zero,
                    content: .toolDisabled(principal: "boss")))
        }
        let error = #expect(throws: ApusError.self) { try self.control.run(self.hide("more")) }
        #expect(error?.code == .limitReached)
        _ = try self.control.run(self.hide("t7", false))
        #expect(try self.control.run(self.hide("more")).map(\.action) == [.updated])
    }
}
