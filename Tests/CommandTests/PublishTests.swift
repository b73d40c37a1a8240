import ApusCore
import ApusCrypto
import ApusJSON
import Testing

@testable import apus

@Suite struct PublishTests {
    let fixture = CommandFixture()

    private func events(_ index: Int = 0) throws -> [JSONValue] {
        try JSONValue.parse(try #require(self.fixture.server.requests[index].body)).array ?? []
    }

    @Test func oneEventTellsWhereItWent() throws {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(#"{"events":[{"partition":2,"offset":17}]}"#, status: 202)
        }
        #expect(self.fixture.run("publish", "documents", "--key", "k", "--type", "t", "--data", #"{"a":1}"#) == 0)
        #expect(self.fixture.terminal.text == "published to documents, partition 2, offset 17\n")
        let request = self.fixture.server.requests[0]
        #expect(request.target == "/v1/topics/documents/events")
        #expect(request.headers.contains { $0 == ("Content-Type", "application/cloudevents-batch+json") })
        let event = try self.events()[0]
        #expect(event["specversion"] == "1.0")
        #expect(event["partitionkey"] == "k")
        #expect(event["type"] == "t")
        #expect(event["data"] == ["a": 1])
        #expect(event["id"]?.string?.isEmpty == false)
    }

    @Test func dataThatIsNoJSONTravelsAsTextOrBytes() throws {
        #expect(self.fixture.run("publish", "documents", "--data", "plain words") == 0)
        #expect(try self.events()[0]["datacontenttype"] == "text/plain")
        self.fixture.terminal.input = [[0xFF, 0x00, 0x01], []]
        #expect(self.fixture.run("publish", "documents", "--data", "-") == 0)
        #expect(try self.events(1)[0]["data_base64"] == "/wAB")
    }

    @Test func linesBecomeEventsInBatchesOfBoundedNumber() throws {
        let count = Limits.Commands.batchEvents * 2 + 1
        let path = self.fixture.write(
            "events.ndjson", (0..<count).map { #"{"key":"k\#($0)","data":\#($0)}"# }.joined(separator: "\n"))
        #expect(self.fixture.run("publish", "documents", "--file", path) == 0)
        #expect(try self.fixture.server.requests.indices.map { try self.events($0).count } == [500, 500, 1])
        #expect(try self.events(2)[0]["partitionkey"] == "k1000")
        #expect(self.fixture.terminal.text.hasPrefix("published 1001 events to documents"))
    }

    @Test func batchesAreBoundedInBytesAndALargeEventTravelsAlone() throws {
        let half = String(repeating: "x", count: Limits.Commands.batchBytes / 2)
        let whole = String(repeating: "y", count: Limits.Commands.batchBytes)
        let path = self.fixture.write(
            "events.ndjson", [half, half, whole, "z"].map { "\"\($0)\"" }.joined(separator: "\n"))
        #expect(self.fixture.run("publish", "documents", "--file", path) == 0)
        #expect(try self.fixture.server.requests.indices.map { try self.events($0).count } == [1, 1, 1, 1])
        for request in self.fixture.server.requests where (request.body?.count ?? 0) > Limits.Commands.batchBytes {
            #expect(request.body?.contains(UInt8(ascii: "y")) == true)
        }
    }

    @Test func aMalformedLineNamesItselfAfterWhatCameBeforeItIsPublished() throws {
        let path = self.fixture.write("events.ndjson", "{\"data\":1}\n\n{\"data\":2}\n{\"data\":\n{\"data\":4}\n")
        #expect(self.fixture.run("publish", "documents", "--file", path) == 1)
        #expect(self.fixture.terminal.errors.contains("events.ndjson:4: "))
        #expect(self.fixture.terminal.errors.contains("--from-line 4"))
        #expect(self.fixture.terminal.errors.contains("[invalid_json]"))
        #expect(try self.events().count == 2)
    }

    @Test func aRefusedBatchSaysWhereToGoOn() {
        var answers = 0
        self.fixture.server.answer = { _ throws(ApusError) in
            answers += 1
            return answers == 1 ? FakeServer.json("{}") : FakeServer.problem(.logFull, status: 503)
        }
        let path = self.fixture.write("events.ndjson", (1...700).map { "{\"data\":\($0)}" }.joined(separator: "\n"))
        #expect(self.fixture.run("publish", "documents", "--file", path) == 1)
        #expect(self.fixture.terminal.errors.contains("lines 501 to 700 were not published: what went wrong"))
        #expect(self.fixture.terminal.errors.contains("--from-line 501"))
    }

    @Test func itGoesOnFromALine() throws {
        let path = self.fixture.write("events.ndjson", "not json\n2\n3\n")
        #expect(self.fixture.run("publish", "documents", "--file", path, "--from-line", "2") == 0)
        #expect(try self.events().map { $0["data"] } == [2, 3])
    }

    @Test func standardInputIsReadInPieces() throws {
        self.fixture.terminal.input = ["{\"da", "ta\":1}\n{\"data\"", ":2}"].map { Array($0.utf8) }
        #expect(self.fixture.run("publish", "documents", "--file", "-") == 0)
        #expect(try self.events().map { $0["data"] } == [1, 2])
    }

    @Test func aLineThatIsTooLongIsRefusedWithItsNumber() {
        let path = self.fixture.write(
            "events.ndjson", "1\n\"" + String(repeating: "x", count: Limits.Commands.lineBytes) + "\"\n")
        #expect(self.fixture.run("publish", "documents", "--file", path) == 1)
        #expect(self.fixture.terminal.errors.contains("[body_too_large]"))
    }

    @Test(arguments: [
        (#"{"specversion":"0.3","data":1}"#, "specversion"), (#"{"data":1,"data_base64":"AA=="}"#, "both"),
        (#"{"data":1,"id":7}"#, "`id`"), (#"{"data":1,"type":""}"#, "`type`"), (#"{"data":1,"key":[1]}"#, "`key`"),
        (#"{"data":1,"key":"a","partitionkey":"b"}"#, "both"), (#"{"data":1,"data":2}"#, "two members"),
    ])
    func anEventThatContradictsItselfIsRefused(_ line: String, _ reason: String) {
        let error = #expect(throws: ApusError.self) { try EventLines().event(Array(line.utf8), line: 1) }
        #expect(error?.message.contains(reason) == true)
    }

    @Test func anObjectWithoutDataIsTheDataOfAnEvent() throws {
        let event = try JSONValue.parse(try EventLines(idPrefix: "p").event(Array(#"{"text":"x"}"#.utf8), line: 3))
        #expect(event["data"] == ["text": "x"])
        #expect(event["id"] == "p-3")
    }

    @Test(arguments: ["Z", "Zg=", "Zg==Zg==", "Z===", "Zm 8"])
    func whatIsNoBase64IsRefused(_ text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test func whatConsumePrintedCanBePublishedAgain() throws {
        let line =
            #"{"partition":3,"offset":9,"key":"k","specversion":"1.0","id":"i","source":"s","type":"t","data":1}"#
        let event = try JSONValue.parse(try EventLines().event(Array(line.utf8), line: 1))
        #expect(
            event.object?.names.sorted() == [
                "data", "datacontenttype", "id", "partitionkey", "source", "specversion", "type",
            ])
    }

    @Test func dataAndFileExcludeEachOther() {
        #expect(self.fixture.run("publish", "documents") == 2)
        #expect(self.fixture.run("publish", "documents", "--data", "1", "--file", "x") == 2)
        #expect(self.fixture.run("publish", "documents", "--file", "\(self.fixture.folder)/none") == 1)
    }

    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")])
    func base64IsThatOfTheStandard(_ text: String, _ expected: String) {
        #expect(Base64.encode(Array(text.utf8)) == expected)
        #expect(Base64.decode(expected) == Array(text.utf8))
    }
}
