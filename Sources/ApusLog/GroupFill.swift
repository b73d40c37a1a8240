internal import ApusCore

/// What is in a group of batches that are written together, and whether one more fits. Pure.
struct GroupFill {
    private(set) var bytes = 0
    private(set) var records = 0

    /// An empty group takes any batch, so that none waits for ever.
    func hasRoom(for submission: Submission) -> Bool {
        let isEmpty = self.bytes == 0 && self.records == 0
        return isEmpty
            || (self.bytes + submission.bytes <= Limits.Log.groupBytes
                && self.records + Self.records(of: submission) <= Limits.Log.groupRecords)
    }

    mutating func add(_ submission: Submission) {
        self.bytes += submission.bytes
        self.records += Self.records(of: submission)
    }

    private static func records(of submission: Submission) -> Int {
        submission.batch.appends.count + submission.batch.ledger.count
    }
}
