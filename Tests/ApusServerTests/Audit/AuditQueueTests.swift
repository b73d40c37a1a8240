import ApusCore
import ApusLog
import Testing

@testable import ApusServer
@testable import ApusTools

@Suite struct AuditQueueTests {
    private static func entry(_ subject: String) -> AuditEntry {
        AuditEntry(.call, .allowed, namespace: .default, principal: "p", subject: subject)
    }

    private static func item(_ subject: String) -> AuditQueue.Item {
        AuditQueue.Item(content: .entry(Self.entry(subject)), now: .zero) { _ in }
    }

    private static func item(of entries: Int) -> AuditQueue.Item {
        AuditQueue.Item(content: .entries(Array(repeating: Self.entry("x"), count: entries)), now: .zero) { _ in }
    }

    private static func subjects(_ items: [AuditQueue.Item]) -> [String] {
        items.map { if case .entry(let entry) = $0.content { entry.subject } else { "?" } }
    }

    @Test func whatComesWhileOneIsWrittenIsTheNextGroupInItsOrder() {
        var queue = AuditQueue()
        #expect(queue.isIdle)
        guard case .write(let first) = queue.add(Self.item("a")) else { Issue.record("the first waits"); return }
        #expect(Self.subjects(first) == ["a"] && !queue.isIdle)
        for name in ["b", "c"] {
            guard case .wait = queue.add(Self.item(name)) else { Issue.record("two groups at once"); return }
        }
        #expect(Self.subjects(queue.written()) == ["b", "c"] && !queue.isIdle)
        #expect(queue.written().isEmpty && queue.isIdle)
        guard case .write = queue.add(Self.item("d")) else { Issue.record("an idle one waits"); return }
    }

    @Test func aGroupIsBoundedByItsRecordsAndTheGatheredByTheirNumber() {
        var queue = AuditQueue(itemsMax: 5, recordsMax: 4)
        _ = queue.add(Self.item("first"))
        for count in [2, 2, 1, 9, 1] {
            guard case .wait = queue.add(Self.item(of: count)) else { Issue.record("refused too soon"); return }
        }
        guard case .refuse = queue.add(Self.item("sixth")) else { Issue.record("the bound does not hold"); return }
        #expect(queue.written().map(\.recordCount) == [2, 2])
        #expect(queue.written().map(\.recordCount) == [1])
        // More than a group holds goes alone.
        #expect(queue.written().map(\.recordCount) == [9])
        #expect(queue.written().map(\.recordCount) == [1])
        #expect(queue.written().isEmpty)
    }

    /// Who calls chooses the subject and the trace; the rest is of the server's own making, and short.
    @Test func evenTheLongestGroupFitsABatchOfTheLog() throws {
        let count = 2 * Limits.Tools.auditTextCodePoints
        for text in [
            String(repeating: "\u{1}", count: count), String(repeating: "\u{1F600}", count: count),
            // One character to who looks at it.
            "e" + String(repeating: "\u{301}", count: 100 * count),
        ] {
            let entry = AuditEntry(.call, .allowed, namespace: .default, principal: "p", subject: text, trace: text)
            var chain = AuditChain(try AuditJournalTests.keys(), server: "s", chain: "c", after: nil)
            #expect(chain.append(entry, now: .zero).count * Limits.Audit.recordsPerGroup < Limits.Log.batchBytes)
        }
    }
}
