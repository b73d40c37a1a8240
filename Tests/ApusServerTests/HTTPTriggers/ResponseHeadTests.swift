import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

@Suite struct ResponseHeadTests {
    private func head(_ headers: [(String, String)], status: String? = "200") throws(ApusError) -> ResponseHead {
        var attributes = headers.map { Attribute($0.0, $0.1, kind: .header) }
        if let status { attributes.insert(Attribute("apus-http-status", status, kind: .header), at: 0) }
        return try ResponseHead(of: Event(attributes: attributes, data: nil))
    }

    @Test func whatAFunctionChoseIsTaken() throws {
        let head = try self.head([("x-a", "1"), ("set-cookie", "a=b; Path=/"), ("apus-hops", "7")], status: "503")
        #expect(head.status == 503)
        #expect(head.headers == [HTTPHeader("x-a", "1"), HTTPHeader("set-cookie", "a=b; Path=/")])
    }

    @Test func withoutAStatusHeadersAreThoseOfTheEventThatIsPassedOn() throws {
        let head = try self.head([("host", "a"), ("connection", "close")], status: nil)
        #expect(head == ResponseHead())
    }

    @Test(arguments: ["", "0", "99", "100", "199", "600", "2000", "+20", "20x", "２００", " 200"])
    func aStatusThatIsNoneIsRefused(status: String) {
        expectRefusal(.functionFailed) { () throws(ApusError) in try self.head([], status: status) }
    }

    @Test func aStatusComesOnce() {
        expectRefusal(.functionFailed) { () throws(ApusError) in try self.head([("apus-http-status", "201")]) }
    }

    @Test(arguments: [
        ("connection", "close"), ("Transfer-Encoding", "chunked"), ("content-length", "3"), ("upgrade", "h2c"),
        ("keep-alive", "x"), ("te", "x"), ("trailer", "x"), ("proxy-authenticate", "x"), ("date", "x"),
        ("clear-site-data", "*"),
        ("Strict-Transport-Security", "max-age=1"), ("service-worker-allowed", "/"), ("a b", "x"), ("", "x"),
        ("é", "x"),
        ("x", "a\r\nb"), ("x", "a\nb"), ("x", "a\u{0}b"), ("x", "a\u{7F}"), ("x", "é"),
        ("set-cookie", "apus_session=x"),
        ("Set-Cookie", " APUS_session = x; HttpOnly"), ("set-cookie", "=apus_session=x"),
        ("set-cookie", "apus_session"),
        ("set-cookie", "; a=b"), ("set-cookie", "\tapus_session=1"),
    ])
    func whatOnlyTheServerSaysIsRefused(name: String, value: String) {
        expectRefusal(.functionFailed) { () throws(ApusError) in try self.head([(name, value)]) }
    }

    @Test func theNumberAndTheBytesOfHeadersAreBounded() throws {
        let most = (0..<Limits.Server.answerHeaders).map { ("x-\($0)", "v") }
        #expect(try self.head(most).headers.count == Limits.Server.answerHeaders)
        expectRefusal(.functionFailed) { () throws(ApusError) in try self.head(most + [("y", "v")]) }
        let long = String(repeating: "v", count: Limits.Server.answerHeaderBytes - 1)
        #expect(try self.head([("x", long)]).headers.count == 1)
        expectRefusal(.functionFailed) { () throws(ApusError) in try self.head([("x", long + "v")]) }
    }
}
