import Testing

@testable import ApusCore

@Suite struct BlobReferenceTests {
    private static let hash = String(repeating: "0f", count: 32)

    @Test func anEventRefersToItsDataAndIsWholeAgainWithIt() throws {
        var event = Event(key: [1, 2], data: Array("large".utf8))
        event["id"] = "1"
        event["datacontenttype"] = "text/plain"
        event["dataref"] = "https://example.com/elsewhere"
        let reference = BlobReference(hash: Self.hash, size: 5)
        let claimed = reference.claiming(event)
        #expect(claimed.data == [] && claimed["dataref"] == "apus:blob/\(Self.hash)" && claimed["datasize"] == "5")
        let block = EventBlock.encode(claimed)
        #expect(block.withUnsafeBytes { BlobReference($0) } == reference)
        var plain = event
        plain["dataref"] = nil
        #expect(BlobReference.whole(claimed, Array("large".utf8)) == plain)
    }

    @Test func whatHasDataOrRefersElsewhereIsNoReference() {
        func reference(_ attributes: [String: String], data: [UInt8]? = []) -> BlobReference? {
            var event = Event(data: data)
            for (name, value) in attributes { event[name] = value }
            return EventBlock.encode(event).withUnsafeBytes { BlobReference($0) }
        }
        let ours = "apus:blob/\(Self.hash)"
        #expect(reference(["dataref": ours, "datasize": "5"]) != nil)
        #expect(reference(["dataref": ours, "datasize": "5"], data: [1]) == nil)
        #expect(reference(["dataref": ours, "datasize": "5"], data: nil) == nil)
        #expect(reference(["dataref": ours]) == nil)
        #expect(reference(["dataref": "https://example.com/x", "datasize": "5"]) == nil)
        #expect(reference(["dataref": "apus:blob/../x", "datasize": "5"]) == nil)
        #expect(reference(["dataref": ours.uppercased(), "datasize": "5"]) == nil)
        #expect(reference(["dataref": ours, "datasize": "\(Limits.Blob.bytes)"]) != nil)
        for size in ["0", "-1", "\(Limits.Blob.bytes + 1)", "x"] {
            #expect(reference(["dataref": ours, "datasize": size]) == nil, "\(size)")
        }
    }

    @Test func theLargestDataIsCutIntoEvents() throws {
        let topic = try #require(TopicName(onLog: String(repeating: "t", count: Limits.topicNameBytes)))
        let data = [UInt8](repeating: 7, count: Limits.Blob.bytes)
        let reference = BlobReference(hash: Self.hash, size: data.count)
        let appends = reference.appends(data, topic: topic)
        #expect(appends.count == reference.pieces && Set(appends.map(\.partition)) == [reference.partition])
        var whole: [UInt8] = []
        for (number, append) in appends.enumerated() {
            let event = try EventBlock.decode(append.block.span.bytes)
            try EventBlock.check(event)
            #expect(event.key == reference.key(number, topic: topic))
            whole += event.data ?? []
        }
        #expect(whole == data)
    }
}
