import ApusCore
import ApusJSON
import ApusManifest

@testable import ApusStore

/// A control queue whose writes take effect at once, and manifests for it.
struct ControlFixture {
    var queue = ControlQueue()
    var now = Timestamp(microseconds: 1_000_000)
    /// All records written so far, in order.
    var records: [ControlRecord] = []
    var topicChanges: [ControlDecision.TopicChange] = []
    var changes: [Catalogue.Change] = []
    /// What `latest` means on every partition.
    var end: Offset = 42
    private var lastID: UInt64 = 0

    static let bundle = String(repeating: "a", count: 64)
    static let otherBundle = String(repeating: "b", count: 64)

    mutating func run(_ command: ControlCommand) throws -> [ControlDecision.Outcome] {
        self.lastID += 1
        try self.queue.submit(command, id: self.lastID, deadline: .distantFuture)
        let end = self.end
        let action = self.queue.next(now: self.now) { _, position in position == .earliest ? 7 : end }
        switch action {
        case .answer(_, .done(let outcomes)): return outcomes
        case .answer(_, .failed(let code, let message)): throw ApusError(code, message)
        case .write(_, let decision):
            self.records += decision.records
            self.topicChanges += decision.topicChanges
            guard let commit = self.queue.committed() else { throw ApusError(.internal, "nothing was being written") }
            self.changes += commit.changes
            return commit.outcomes
        case nil: throw ApusError(.internal, "the queue did nothing")
        }
    }

    mutating func deploy(_ yaml: String, bundle: String = ControlFixture.bundle, ifMatch: UInt64? = nil) throws
        -> [ControlDecision.Outcome]
    {
        try self.run(.deploy(try Self.documents(yaml, bundle: bundle), ifMatch: ifMatch, isDryRun: false))
    }

    static func documents(_ yaml: String, bundle: String = ControlFixture.bundle) throws -> [DeployDocument] {
        try Manifest.parse(yaml, file: "test.yaml").map { manifest in
            if case .function = manifest {
                DeployDocument(manifest: manifest, bundle: bundle)
            } else {
                DeployDocument(manifest: manifest)
            }
        }
    }

    static func topic(_ name: String, partitions: Int = 2, compact: Bool = false) -> String {
        """
        ---
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: \(name)}
        spec: {partitions: \(partitions), compact: \(compact)}

        """
    }

    static func function(_ name: String, _ triggers: String, extra: String = "") -> String {
        """
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          runtime: python3
          handler: main:handle
          source: .
          triggers: [\(triggers)]
          \(extra)

        """
    }
}
