import ApusCore
import ApusTestSupport
import Testing

@testable import ApusHost

@Suite struct SecretMaskTests {
    private func masks(_ values: String...) -> SecretMasks {
        var masks = SecretMasks()
        for value in values { Array(value.utf8).withUnsafeBytes { masks.add($0) } }
        return masks
    }

    @Test func everyOccurrenceBecomesThreeStars() {
        let masks = self.masks("hunter2-long", "other-secret")
        #expect(masks.apply("a hunter2-long b other-secret") == "a *** b ***")
        #expect(masks.apply("hunter2-long") == "***")
        #expect(masks.apply("hunter2-lon") == "hunter2-lon")
        #expect(masks.apply("") == "")
        #expect(masks.apply("xhunter2-longhunter2-longx") == "x******x")
        #expect(SecretMasks().apply("hunter2-long") == "hunter2-long")
    }

    @Test func secretsThatOverlapLeaveNothingOfEither() {
        #expect(self.masks("abcdefgh", "efghijkl").apply("[abcdefghijkl]") == "[***]")
        #expect(self.masks("aaaaaa").apply("aaaaaaaaa!") == "***!")
        #expect(self.masks("abcdefghij", "cdefgh").apply("<abcdefghij>") == "<***>")
    }

    @Test func aSecretOfSeveralLinesIsFoundLineByLine() {
        let masks = self.masks("-----BEGIN KEY-----\r\nMIIEvQIBADAN\n\nab\n")
        #expect(masks.apply("MIIEvQIBADAN") == "***")
        #expect(masks.apply("-----BEGIN KEY-----") == "***")
        #expect(masks.apply("ab") == "ab", "lines this short are everywhere")
    }

    @Test func whatIsLookedForIsBounded() {
        func x(_ count: Int, _ letter: String = "x") -> String { String(repeating: letter, count: count) }
        let least = Limits.Host.maskedBytesMin
        #expect(self.masks(x(least)).apply(x(least)) == "***")
        #expect(self.masks(x(least - 1)).isEmpty)
        #expect(self.masks(x(Limits.Host.lineBytes)).apply(x(Limits.Host.lineBytes)) == "***")
        #expect(self.masks(x(Limits.Host.lineBytes + 1)).isEmpty)

        var lengths = SecretMasks()
        for extra in 0...Limits.Host.maskLengths {
            Array(x(least + extra, "\(extra % 10)").utf8).withUnsafeBytes { lengths.add($0) }
        }
        #expect(lengths.count == Limits.Host.maskLengths)
        var many = SecretMasks()
        for index in 0...Limits.Host.masks {
            Array("secret-\(1_000_000 + index)".utf8).withUnsafeBytes { many.add($0) }
        }
        #expect(many.count == Limits.Host.masks)
    }

    /// The same as looking for each value at each place.
    @Test(arguments: 0..<8) func linesAreMaskedAsASlowSearchWouldMaskThem(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        func letters(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in UInt8(ascii: "a") + UInt8.random(in: 0...1, using: &random) }
        }
        for _ in 0..<200 {
            let values = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                letters(Int.random(in: Limits.Host.maskedBytesMin...9, using: &random))
            }
            let line = letters(Int.random(in: 0...80, using: &random))
            var masks = SecretMasks()
            for value in values { value.withUnsafeBytes { masks.add($0) } }
            var ranges: [Range<Int>] = []
            for value in values where line.count >= value.count {
                for start in 0...(line.count - value.count) where Array(line[start..<start + value.count]) == value {
                    ranges.append(start..<start + value.count)
                }
            }
            var expected: [UInt8] = []
            var at = 0
            for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
                if range.lowerBound >= at { expected += line[at..<range.lowerBound] + Array("***".utf8) }
                at = max(at, range.upperBound)
            }
            expected += line[at...]
            #expect(masks.apply(line) == expected, "\(String(decoding: line, as: UTF8.self)) \(values)")
        }
    }

    @Test func inJSONEachStringIsLookedThroughForWhatItSays() {
        let masks = self.masks("hunter2-long", "b\u{FC}cher\"6", "4242424242")
        func masked(_ json: String) -> String? { masks.apply(json: Array(json.utf8)).map { String(decoding: $0, as: UTF8.self) } }
        #expect(masked(#"{"a":"hunter2-long","hunter2-long":["x hunter2-long"]}"#) == #"{"a":"***","***":["x ***"]}"#)
        #expect(masked(#"["\u0068unter2-long"]"#) == #"["***"]"#)
        #expect(masked(#"["is b\u00fccher\"6"]"#) == #"["is ***"]"#)
        #expect(masked(#"["4242424242"]"#) == #"["***"]"#)
        // What needs no mask stays as it was written.
        #expect(masked(#"{ "a" : "\u0061\\", "b": 1.50 }"#) == #"{ "a" : "\u0061\\", "b": 1.50 }"#)
        #expect(masked(#"{"a":4242424242}"#) == nil, "without it this is no JSON")
        // What is none hides it as well.
        #expect(masked(#"["hunter2-long"#) == #"["***"#)
        #expect(masked(#"["\q hunter2-long", "\"#) == #"["\q ***", "\"#)
        #expect(masked("") == "")
        #expect(SecretMasks().apply(json: Array("hunter2-long".utf8)) == Array("hunter2-long".utf8))
    }
}
