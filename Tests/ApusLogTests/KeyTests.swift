import ApusCore
import ApusTestSupport
import Testing

@testable import ApusLog

/// What the embedded log remembers for a while: keys of settled events, and requests that take effect once.
@Suite struct KeyTests {
    private func with(_ body: (KeyPromises) throws -> Void) throws {
        let scratch = ScratchDirectory("keys")
        try body(
            KeyPromises { clock, keys in
                var configuration = smallConfiguration()
                configuration.keys = keys
                return try LogFixture.open(scratch.path, configuration, clock: clock)
            })
    }

    @Test func keysAreKnownUntilTheirTimeIsOverAlsoAfterARestart() throws {
        try self.with { try $0.keysAreKnownUntilTheirTimeIsOverAlsoAfterARestart() }
    }

    @Test func aKeyThatIsWrittenAgainIsKeptLonger() throws {
        try self.with { try $0.aKeyThatIsWrittenAgainIsKeptLonger() }
    }

    @Test func ofTooManyTheOldestAreForgottenInBoundedSteps() throws {
        try self.with { try $0.ofTooManyTheOldestAreForgottenInBoundedSteps() }
    }

    @Test func keysTakeEffectWithTheirBatchOrNotAtAll() throws {
        try self.with { try $0.keysTakeEffectWithTheirBatchOrNotAtAll() }
    }

    @Test func repetitionsThatComeTogetherTakeEffectOnce() throws {
        try self.with { try $0.repetitionsThatComeTogetherTakeEffectOnce() }
    }

    @Test func whatIsRefusedMayBeTriedAgainUnderItsKey() throws {
        try self.with { try $0.whatIsRefusedMayBeTriedAgainUnderItsKey() }
    }

    @Test func whatStandsBesideAKeyIsBounded() throws {
        try self.with { try $0.whatStandsBesideAKeyIsBounded() }
    }

    @Test func aBatchTakesEffectOnce() throws {
        try self.with { promises in
            let clock = ManualClock()
            for log in [try promises.open(clock, 1_000), MemoryLog { clock.now }] {
                defer { log.close() }
                try promises.aBatchTakesEffectOnce(log, clock)
            }
        }
    }

    @Test func receiptsAreReadBackAndDamageIsNone() {
        let places = [LogReceipt.Place(partition: 255, offset: .max), LogReceipt.Place(partition: 0, offset: 0)]
        let receipt = LogReceipt(places: places, timestamp: Timestamp(microseconds: 7))
        let bytes = OnceReceipt(fingerprint: [1, 2, 3], receipt: receipt).encode()
        let read = OnceReceipt(decoding: bytes)
        #expect(read?.fingerprint == [1, 2, 3])
        #expect(read?.receipt.places == places)
        #expect(read?.receipt.timestamp == receipt.timestamp)
        for count in bytes.indices where !(bytes.count - count).isMultiple(of: 12) {
            #expect(OnceReceipt(decoding: Array(bytes[..<count])) == nil)
        }
    }
}
