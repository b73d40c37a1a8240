import ApusCore
import ApusHost
import ApusJSON
import Testing

@testable import ApusServer

/// Why a start of a function that no device is asked for was cold, in a sentence.
@Suite struct WorkerStartTests {
    private static let now = Timestamp(microseconds: 1_000_000_000)

    private static func why(_ cause: WorkerStart.Ending.Cause) -> String {
        let ending = WorkerStart.Ending(cause: cause, at: Timestamp(microseconds: 760_400_000))
        return WorkerStart(at: self.now, before: ending).why
    }

    @Test func eachStartSaysWhy() {
        #expect(WorkerStart(at: Self.now).why == "cold: no worker was there; it is the first since the server's start")
        #expect(Self.why(.idle) == "cold: no worker was there; the last one ended 239s before, idle for as long as `scale.idle` keeps it")
        #expect(Self.why(.failure).hasSuffix("before: it failed"))
        #expect(Self.why(.replaced).hasSuffix("replaced by a new revision"))
        #expect(Self.why(.spent).contains("reuse: never"))
        #expect(WorkerStart(at: Self.now, others: 3).why.hasPrefix("cold: 3 workers were there already"))
        #expect(WorkerStart(at: Self.now, others: 3, isFetched: true).why.hasPrefix("cold, and fetched first"))
    }

    @Test func itsLengthIsNullWhileItIsUnderWay() {
        #expect(WorkerStart(at: Self.now).json["seconds"] == .null)
        let ended = WorkerStart(at: Self.now, took: .milliseconds(1_500), isFetched: true).json
        #expect(ended["seconds"]?.double == 1.5 && ended["from"]?.string == "remote")
    }
}
