import ApusCore
import ApusJSON
import Testing

@testable import ApusManifest

/// Generated inputs, from a seed that a failure prints.
@Suite struct ManifestPropertyTests {
    private static let words = [
        "apiVersion", "apus.dev/v1", "kind", "Function", "Topic", "metadata", "name", "spec", "runtime", "python3",
        "native", "handler",
        "main:run", "triggers", "topic", "order", "none", "key", "table", "true", "no", "timeout", "30s", "512Mi",
        "retry", "attempts", "5",
        "-1", "1e99", "{", "}", "[", "]", ": ", ", ", "- ", "\n", "\n  ", "\n---\n", "&a ", "*a", "<<", "\"", "'", "|",
        ">", "#", "!!str ", "\t",
        "é", "😀", "\u{0}", "~", "null", "apus.x", "99999999999999999999", "%", "@", "`", "?", "...", "\r", "\u{85}",
        "\u{2028}", "unlimited",
    ].map { Array($0.utf8) }

    @Test func mutatedManifestsNeverCrashAndErrorsHaveAPlace() throws {
        let seed: UInt64 = 20_260_728
        var generator = SplitMix(seed: seed)
        let samples = [Samples.smallest, Samples.smallest, Samples.native, Self.topic, Self.topic, Self.trigger].map {
            Array($0.utf8)
        }
        var accepted = 0
        for round in 0..<80_000 {
            var text = samples[Int.random(in: 0..<samples.count, using: &generator)]
            for _ in 0..<Int.random(in: 1...4, using: &generator) { self.mutate(&text, &generator) }
            accepted += try self.check(text, "seed \(seed), round \(round)") ? 1 : 0
        }
        // Without both outcomes the property would hold of nothing.
        #expect(accepted > 1_000)
        #expect(accepted < 79_000)
    }

    @Test func largeMutatedManifestsNeverCrash() throws {
        let seed: UInt64 = 4
        var generator = SplitMix(seed: seed)
        let samples = [Samples.whole, Samples.later].map { Array($0.utf8) }
        for round in 0..<2_000 {
            var text = samples[round % 2]
            for _ in 0..<Int.random(in: 1...3, using: &generator) { self.mutate(&text, &generator) }
            _ = try self.check(text, "seed \(seed), round \(round)")
        }
    }

    @Test func randomBytesAndWordsNeverCrash() throws {
        let seed: UInt64 = 11
        var generator = SplitMix(seed: seed)
        for round in 0..<40_000 {
            var text: [UInt8] = []
            if round.isMultiple(of: 2) {
                for _ in 0..<Int.random(in: 0...40, using: &generator) {
                    text.append(UInt8.random(in: 0...255, using: &generator))
                }
            } else {
                for _ in 0..<Int.random(in: 0...30, using: &generator) {
                    text += Self.words.randomElement(using: &generator) ?? []
                }
            }
            _ = try self.check(text, "seed \(seed), round \(round)")
        }
    }

    private static let topic =
        "apiVersion: apus.dev/v1\nkind: Topic\nmetadata: {name: t}\nspec: {partitions: 4, retention: {time: 7d}}\n"
    private static let trigger = function(
        "triggers: [{topic: a, retry: {attempts: 3}}, {topic: b, table: true}]\nenv: {A: 1}")

    private func mutate(_ text: inout [UInt8], _ generator: inout SplitMix) {
        let at = Int.random(in: 0...text.count, using: &generator)
        let length = min(Int.random(in: 0...12, using: &generator), text.count - at)
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: text.removeSubrange(at..<at + length)
        case 1: text.insert(contentsOf: Self.words.randomElement(using: &generator) ?? [], at: at)
        case 2: text.replaceSubrange(at..<at + length, with: Self.words.randomElement(using: &generator) ?? [])
        case 3: text.insert(contentsOf: text[at..<at + length], at: Int.random(in: 0...text.count, using: &generator))
        default: if at < text.count { text[at] = UInt8.random(in: 0...255, using: &generator) }
        }
    }

    /// - Returns: whether the text was accepted.
    private func check(_ text: [UInt8], _ what: String) throws -> Bool {
        let manifests: [Manifest]
        do throws(ManifestErrors) {
            manifests = try Manifest.parse(text, file: "f")
        } catch {
            let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            #expect(!error.errors.isEmpty, "\(what)")
            for problem in error.errors {
                guard let place = problem.location, (1...lines.count).contains(place.line) else {
                    Issue.record("\(what): \(problem) lies outside of the file")
                    continue
                }
                let width = lines[place.line - 1].count { $0 & 0xC0 != 0x80 }
                if !(1...width + 1).contains(place.column) {
                    Issue.record("\(what): \(problem) lies outside of its line")
                }
            }
            return false
        }
        for manifest in manifests {
            let json = manifest.toJSON().encoded()
            let value = try JSONValue.parse(json)
            do throws(ManifestErrors) {
                let back = try Manifest(json: value)
                #expect(back == manifest && back.toJSON().encoded() == json, "\(what)")
            } catch {
                Issue.record("\(what): \(String(decoding: json, as: UTF8.self)): \(error)")
            }
        }
        return true
    }
}

/// A small seeded generator, so that a failing run can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { self.state = seed }
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
