import ApusCore
import Testing

struct NetworkRuleTests {
    private func target(_ text: String) -> NetworkTarget? { try? NetworkTarget(text, standard: 80) }

    @Test func oneHostHasOneForm() {
        #expect(self.target("API.Example.COM.:443") == self.target("api.example.com:443"))
        #expect(self.target("bücher.example:443")?.description == "xn--bcher-kva.example:443")
        #expect(self.target("BÜCHER.example:443") == self.target("xn--bcher-kva.example:443"))
        #expect(self.target("münchen.example:1")?.description == "xn--mnchen-3ya.example:1")
        #expect(self.target("例え.テスト:443")?.description == "xn--r8jz45g.xn--zckzah:443")
        #expect(self.target("[2606:4700::1111]:443")?.description == "[2606:4700::1111]:443")
    }

    @Test(arguments: [
        "2130706433:80", "0x7f000001:80", "0x7f.0.0.1:80", "127.1:80", "0177.0.0.1:80", "127.0.0.1.1:80",
        "user@host:80",
        "host:0", "host:080", "host:65536", "host:", "host:+80", ":80", "a..b:80", ".a:80", "-a.b:80", "a-.b:80",
        "a_b.c:80", "a b.c:80", "a%2e.b:80", "[::1:80", "::1:80", "[127.0.0.1]:80", "a\u{301}.b:80", "ｅxample.com:80",
        "exa\u{200B}mple.com:80", "x\u{0}y.z:80", "\u{2460}.example:80",
    ]) func whatIsReadInTwoWaysIsNoHost(_ text: String) {
        #expect(self.target(text) == nil)
    }

    @Test func wildcardsCoverNamesBelowAndNothingElse() throws {
        let rule = try NetworkRule("*.Example.com:443")
        for name in ["a.example.com:443", "a.b.example.com:443"] {
            #expect(rule.matches(try #require(self.target(name))), "\(name)")
        }
        for name in [
            "example.com:443", "a.example.com:80", "badexample.com:443", "a.example.com.evil.test:443", "1.1.1.1:443",
        ] {
            #expect(!rule.matches(try #require(self.target(name))), "\(name)")
        }
        #expect(rule.description == "*.example.com:443")
    }

    @Test(arguments: [
        "*:443", "*.com:443", "*example.com:443", "a.*.com:443", "127.0.0.1:80", "169.254.169.254:80", "[::1]:80",
        "[::ffff:10.0.0.1]:80", "10.0.0.1:443", "api.example.com", "http://api.example.com:443",
    ]) func rulesThatAllowTooMuchAreRefused(_ text: String) {
        #expect(throws: NetworkTextError.self) { try NetworkRule(text) }
    }

    @Test func publicAddressesMayBeNamed() throws {
        #expect(try NetworkRule("1.1.1.1:443").matches(try #require(self.target("1.1.1.1:443"))))
    }
}
