internal import ApusCore
internal import ApusJSON

/// What the handler of an accepted invocation asked its caller, and what was answered so far.
struct InvocationQuestions: Sendable {
    /// Then at the latest somebody must have answered.
    var until = Timestamp.zero
    var rounds = 0
    /// Those of the last round.
    private(set) var questions: [JSONMember] = []
    /// Those of all rounds.
    private(set) var answers: [JSONMember] = []

    init() {}

    /// The questions that nobody has answered.
    var open: [JSONMember] { self.questions.filter { question in !self.answers.contains { $0.name == question.name } } }
    var isOpen: Bool { !self.open.isEmpty }

    /// What it waits for, where it has not begun yet.
    var hold: InvocationHold? { self.questions.first.flatMap { InvocationHold($0) } }
    /// What was said to that.
    var holdAnswer: [UInt8]? { self.answers.first { $0.name == InvocationHold.question }?.json }

    /// Another round. What was asked before and answered stays answered.
    mutating func ask(_ questions: [JSONMember], until: Timestamp) {
        self.questions = questions
        self.until = until
        self.rounds += 1
    }

    /// Takes answers to what is open.
    mutating func take(_ answers: [JSONMember]) {
        let names = Set(self.open.map(\.name))
        for answer in answers where names.contains(answer.name) { self.answers.append(answer) }
    }

    /// One that a restart found, in the ledger or among what was said meanwhile.
    mutating func restore(answer: JSONMember) {
        guard !self.answers.contains(where: { $0.name == answer.name }) else { return }
        self.answers.append(answer)
    }

    // MARK: as JSON

    /// What the handler is given: what let it begin is no answer to it.
    var answersJSON: [UInt8] { JSONMember.object(self.answers.filter { $0.name != InvocationHold.question }) }
    var openJSON: [UInt8] { JSONMember.object(self.open) }

    // MARK: in the ledger

    /// Time, rounds, and the questions of the last round.
    var mark: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(UInt64(bitPattern: self.until.microseconds))
        bytes.appendLittleEndian(UInt32(self.rounds))
        return bytes + JSONMember.object(self.questions)
    }

    mutating func restore(mark: [UInt8]) {
        guard mark.count > 12 else { return }
        mark.withUnsafeBytes { bytes in
            self.until = Timestamp(microseconds: bytes.bytes.littleEndian(at: 0, as: Int64.self))
            self.rounds = Int(bytes.bytes.littleEndian(at: 8, as: UInt32.self))
        }
        self.questions = JSONMember.all(in: Array(mark[12...]))
    }
}
