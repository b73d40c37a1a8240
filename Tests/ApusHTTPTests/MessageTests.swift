import ApusHTTP
import Testing

@Suite struct RequestPathTests {
    @Test(arguments: [
        ("/", []), ("/a", ["a"]), ("/a/b", ["a", "b"]), ("/a/", ["a", ""]), ("/%41%c3%A9", ["A\u{E9}"]),
        ("/a%2525", ["a%25"]),
        ("/a+b", ["a+b"]), ("/a.b/...", ["a.b", "..."]), ("/a%20b", ["a b"]), ("/a;b=c", ["a;b=c"]),
    ])
    func `a path is split first and decoded once`(raw: String, segments: [String]) throws {
        #expect(try RequestPath(parsing: raw).segments == segments)
    }

    @Test(arguments: [
        ("", PathError.noSlash), ("a", .noSlash), ("//", .emptySegment), ("/a//b", .emptySegment), ("/.", .dotSegment),
        ("/a/../b", .dotSegment),
        ("/%2e", .dotSegment), ("/a/.%2E/b", .dotSegment), ("/a%00", .forbiddenCharacter),
        ("/a%2fb", .forbiddenCharacter),
        ("/a%2Fb", .forbiddenCharacter), ("/a%5Cb", .forbiddenCharacter), ("/a\\b", .forbiddenCharacter),
        ("/a%0a", .forbiddenCharacter),
        ("/a%7F", .forbiddenCharacter), ("/a b", .forbiddenCharacter), ("/\u{E9}", .forbiddenCharacter),
        ("/%", .malformedEncoding),
        ("/%4", .malformedEncoding), ("/%4g", .malformedEncoding), ("/%C0%AF", .invalidUTF8), ("/%C0%80", .invalidUTF8),
        ("/%ED%A0%80", .invalidUTF8), ("/%FF", .invalidUTF8),
    ])
    func `what could be read two ways is refused`(raw: String, error: PathError) {
        #expect(throws: error) { try RequestPath(parsing: raw) }
        #expect(!error.message.isEmpty)
    }

    @Test func `segments have a bound`() throws {
        #expect(
            try RequestPath(parsing: String(repeating: "/a", count: RequestPath.segmentsMax)).segments.count
                == RequestPath.segmentsMax)
        #expect(throws: PathError.tooManySegments) {
            try RequestPath(parsing: String(repeating: "/a", count: RequestPath.segmentsMax + 1))
        }
    }
}

@Suite struct RequestQueryTests {
    @Test func `parameters come decoded and in order`() throws {
        let query = try RequestQuery(parsing: "from=earliest&&name=a%20b+c&empty=&flag&x=1=2&x=3")
        #expect(query["from"] == "earliest")
        #expect(query["name"] == "a b c")
        #expect(query["empty"] == "")
        #expect(query["flag"] == "")
        #expect(query["x"] == "1=2")
        #expect(query["none"] == nil)
        #expect(query.parameters.count == 6)
        #expect(try RequestQuery(parsing: nil).parameters.isEmpty)
    }

    @Test func `what cannot be read is refused`() {
        #expect(throws: RequestQuery.Failure.malformedEncoding) { try RequestQuery(parsing: "a=%4") }
        #expect(throws: RequestQuery.Failure.invalidUTF8) { try RequestQuery(parsing: "%C0%A0=1") }
    }

    @Test func `parameters have a bound`() throws {
        let most = Array(repeating: "a=1", count: RequestQuery.parametersMax).joined(separator: "&")
        #expect(try RequestQuery(parsing: most).parameters.count == RequestQuery.parametersMax)
        #expect(throws: RequestQuery.Failure.tooManyParameters) { try RequestQuery(parsing: most + "&b=2") }
    }

    @Test func `a misspelt or repeated parameter is named`() throws {
        let known: Set<String> = ["from", "limit"]
        #expect(try RequestQuery(parsing: "from=1&limit=2").unexpected(besides: known) == nil)
        #expect(try RequestQuery(parsing: "from=1&limt=2").unexpected(besides: known) == "limt")
        #expect(try RequestQuery(parsing: "from=1&from=2").unexpected(besides: known) == "from")
    }
}

@Suite struct MediaTypeTests {
    @Test func `types and parameter names compare without case`() throws {
        let media = try #require(MediaType(parsing: #" Application/CloudEvents+JSON ; Charset="utf-8" ;boundary=a"#))
        #expect(media.essence == "application/cloudevents+json")
        #expect(media["charset"] == "utf-8")
        #expect(media["boundary"] == "a")
        #expect(media.isJSON)
        #expect(MediaType(parsing: #"a/b; c="d\"e;f""#)?["c"] == "d\"e;f")
        #expect(MediaType(parsing: "text/plain;")?.essence == "text/plain")
    }

    @Test(arguments: [
        "", "json", "a/", "/b", "a/b c", "a/b;c", "a/b;c=", "a/b;c=\"d", "a/b;c=\"d\\", "a/b;c=d;c=e", "a b/c",
        "a/b;c =d", "a/b,c/d",
    ])
    func `what is no media type is refused`(text: String) { #expect(MediaType(parsing: text) == nil) }

    @Test func `parameters have a bound`() {
        let most = (0..<MediaType.parametersMax).map { ";p\($0)=1" }.joined()
        #expect(MediaType(parsing: "a/b" + most) != nil)
        #expect(MediaType(parsing: "a/b" + most + ";q=1") == nil)
    }
}

@Suite struct AcceptHeaderTests {
    @Test(
        arguments: [
            (nil, "application/json"), ("*/*", "application/json"), ("text/event-stream", "text/event-stream"),
            ("application/json;q=0.5, text/event-stream", "text/event-stream"), ("text/*", "text/event-stream"),
            ("*/*;q=0.1, application/json;q=0", "text/event-stream"),
            ("text/event-stream;q=0.001", "text/event-stream"),
            ("image/png", nil), ("application/json;q=0", nil), ("nonsense", "application/json"),
            ("a/b;q=2", "application/json"),
        ] as [(String?, String?)])
    func `the offer taken most gladly wins`(header: String?, offer: String?) {
        #expect(AcceptHeader(header).best(of: ["application/json", "text/event-stream"]) == offer)
    }
}

@Suite struct ServerSentEventTests {
    @Test(arguments: [
        ("", "data: \n\n"), ("one", "data: one\n\n"), ("a\nb", "data: a\ndata: b\n\n"),
        ("a\r\nb", "data: a\ndata: b\n\n"),
        ("a\rb", "data: a\ndata: b\n\n"), ("a\n\nb\n", "data: a\ndata: \ndata: b\ndata: \n\n"),
        ("a\n\r\nb", "data: a\ndata: \ndata: b\n\n"),
    ])
    func `each line of the data becomes a line of the event`(data: String, text: String) {
        #expect(String(decoding: ServerSentEvent.encode(data: Array(data.utf8)), as: UTF8.self) == text)
    }

    @Test func `a line break in a field cannot make another field`() {
        let bytes = ServerSentEvent.encode(data: Array("x".utf8), event: "a\nid: 9", id: "1\r\ndata: y")
        #expect(String(decoding: bytes, as: UTF8.self) == "event: a\nid: 1\ndata: x\n\n")
    }
}
