import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusServer

/// The quick way of reading batches must give exactly what the decoder gives, or give up.
struct QuickBatchTests {
    private static let headers = [HTTPHeader("Content-Type", "application/cloudevents-batch+json")]
    private static let defaults = CloudEventDecoder.Defaults(id: "i", source: "s", type: "t")

    private static func decoded(_ text: [UInt8]) -> [QuickBatch.Event]? {
        do throws(ApusError) {
            return try CloudEventDecoder.events(headers: Self.headers, body: text, defaults: Self.defaults).map {
                QuickBatch.Event(block: EventBlock.encode($0), hasKey: $0.key != nil)
            }
        } catch { return nil }
    }

    @Test func plainEventsAreTaken() throws {
        let text = #"""
             [ {"specversion":"1.0","id":"1","source":"/s","type":"t","partitionkey":"k","time":"2026-01-31T12:00:00.5Z", "data" : {"a":["}",2,{"\"":1.10}]} },
             {"type":"t","source":"s","id":"2","specversion":"1.0","datacontenttype":"application/json","data":1e400x},
             {"type":"t","source":"s","id":"3","specversion":"1.0","subject":"s","data":null},{"type":"t","source":"s","id":"4","specversion":"1.0"}]
            """#.replacing("1e400x", with: "-12.50")
        let quick = try #require(QuickBatch.events(Array(text.utf8), JSONParser()))
        #expect(quick.count == 4)
        #expect(quick == Self.decoded(Array(text.utf8)))
        #expect(quick.map(\.hasKey) == [true, false, false, false])
    }

    @Test func anEmptyBatchIsTaken() { #expect(QuickBatch.events(Array(" [ ] ".utf8), JSONParser()) == []) }

    @Test(arguments: [
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
        #"[{"specversion":"1.0","id":"1","source":"/s"}]"#,
        #"[{"specversion":"1.0","id":"","source":"/s","type":"t"}]"#,
        #"[{"specversion":"1.0","id":"1","id":"2","source":"/s","type":"t"}]"#,
        #"[{"specversion":"1.0","specversion":"1.0","id":"1","source":"/s","type":"t"}]"#,
        #"[{"specversion":"0.3","id":"1","source":"/s","type":"t"}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","Upper":"x"}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","n":1}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","n":"\u00e9"}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","n":"é"}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"yesterday"}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AAAA"}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","apuskey":"AAAA"}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"a\nb"}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data":2}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":01}]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"x"},]"#,
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
        "", "[", "1", #"[1]"#,
    ])
    func theRestIsLeftToTheDecoder(_ text: String) { #expect(QuickBatch.events(Array(text.utf8), JSONParser()) == nil) }

    @Test func nestingBeyondItsBoundIsLeftToTheDecoder() {
        func batch(_ depth: Int) -> [UInt8] {
            let data = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            return Array(#"[{"specversion":"1.0","id":"1","source":"/s","type":"t","data":\#(data)}]"#.utf8)
        }
        #expect(QuickBatch.events(batch(32), JSONParser()) == Self.decoded(batch(32)))
        #expect(QuickBatch.events(batch(33), JSONParser()) == nil)
    }

    /// What it takes, in whatever way a valid batch was damaged or grown, the decoder takes too, and makes the same of it.
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func whatItTakesIsWhatTheDecoderMakesOfIt(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let parser = JSONParser()
        var taken = 0
        for _ in 0..<5_000 {
            var text = Array(Self.batch(&generator).utf8)
            for _ in 0..<Int.random(in: 0...2, using: &generator) {
                let place = Int.random(in: 0..<text.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: text[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: text.remove(at: place)
                default: text.insert(Array(#"",:{}[]\ 0"#.utf8).randomElement(using: &generator) ?? 0x20, at: place)
                }
            }
            guard let quick = QuickBatch.events(text, parser) else { continue }
            taken += 1
            #expect(quick == Self.decoded(text), "seed \(seed): \(String(decoding: text, as: UTF8.self))")
        }
        #expect(taken > 800, "seed \(seed): the quick way took hardly anything, so that this test says little")
    }

    private static func batch(_ generator: inout SeededGenerator) -> String {
        let events = (0..<Int.random(in: 0...3, using: &generator)).map { index -> String in
            var members = [
                #""specversion":"1.0""#, #""id":"\#(index)""#, #""source":"/a/b?c=d""#, #""type":"com.example""#,
            ]
            let extras = [
                #""partitionkey":"k 1""#, #""time":"2026-01-31T12:00:00Z""#, #""time":"2026-01-31t12:00:00+01:00""#,
                #""datacontenttype":"application/json""#, #""datacontenttype":"text/plain""#, #""data":"a\nb\u0041""#,
                #""data" : [1, {"x": "]}\\\""}, true]"#, #""data":1.10"#, #""ext":"value~!""#, #""ext2":true"#,
                #""dataschema":"http://x/y""#,
                #""data":  null  "#, #""subject":"""#,
            ]
            for extra in extras where Int.random(in: 0..<10, using: &generator) == 0 { members.append(extra) }
            members.shuffle(using: &generator)
            return "{\(members.joined(separator: Bool.random(using: &generator) ? "," : " ,\n "))}"
        }
        return "[\(events.joined(separator: ","))]"
    }
}
