internal import ApusCore

/// What became of records that a producer was given, by the numbers they were given under.
protocol RecordFates {
    func offset(_ index: Int) -> Offset
    func failure(_ index: Int) -> KafkaFailure?
}

/// Which records of a batch go by a producer.
enum RecordChoice {
    case all
    /// Those outside of the transaction.
    case plain
    case transactional

    func takes(_ record: KafkaBatch.Record) -> Bool {
        switch self {
        case .all: true
        case .plain: record.isPlain
        case .transactional: !record.isPlain
        }
    }
}

extension [KafkaBatch] {
    func count(_ choice: RecordChoice) -> Int { self.reduce(0) { $0 + $1.records.count { choice.takes($0) } } }

    /// Each record of the choice with its number for the producer.
    func forEach(_ choice: RecordChoice, _ body: (_ number: Int, KafkaBatch.Record, LogBatch.Append) -> Void) {
        var number = 0
        for batch in self {
            for index in batch.records.indices where choice.takes(batch.records[index]) {
                body(number, batch.records[index], batch.submission.batch.appends[index])
                number += 1
            }
        }
    }

    /// Notes what became of the records of the choice.
    mutating func note(_ choice: RecordChoice, _ fates: some RecordFates) {
        var number = 0
        for batch in self.indices {
            for index in self[batch].records.indices where choice.takes(self[batch].records[index]) {
                self[batch].note(index, fates.offset(number), fates.failure(number))
                number += 1
            }
        }
    }
}
