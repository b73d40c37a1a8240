import ApusCore
import Testing

struct AddressTests {
    @Test(arguments: [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.1.1",
        "169.254.169.254",
        "0.0.0.0", "0.1.2.3", "100.64.0.1", "100.100.100.200", "100.127.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "192.88.99.1",
        "168.63.129.16", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "::8.8.8.8", "::ffff:0:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::8.8.8.8", "2002:7f00:1::",
        "2002:a00:1::1", "2002:a9fe:a9fe::", "2001::1", "2001:db8::1", "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1",
        "febf::1", "fec0::1", "ff02::1", "100::1", "5f00::1", "4000::1", "2a00::5efe:10.0.0.1",
        "2a00::200:5efe:127.0.0.1",
        "3fff::1",
    ]) func whatIsNotOpenToEveryoneIsKnownAsSuch(_ text: String) throws {
        #expect(try #require(IPAddress(text)).kind != .open)
    }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.1",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255", "2606:4700::1111",
        "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2a00::1",
    ]) func whatIsOpenToEveryoneIsOpen(_ text: String) throws {
        #expect(try #require(IPAddress(text)).kind == .open)
    }

    @Test(arguments: [
        "0x7f.1", "2130706433", "017700000001", "127.1", "127.0.0.01", "127.0.0.1.", "1.2.3.4.5", "1.2.3.256", "1.2.3",
        "",
        "::1%lo", ":::", "1::2::3", "12345::", "::g", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "::1.2.3", "1.2.3.4::",
        "1:2:3:4:5:6:7::8", ":1::",
    ]) func whatCanBeReadInTwoWaysIsNoAddress(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func addressesAreWrittenAsTheyAreRead() throws {
        for (text, written) in [
            ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("::", "::"), ("::1", "::1"), ("1::", "1::"),
            ("0:1:0:0:0:0:0:0", "0:1::"), ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"), ("192.0.2.1", "192.0.2.1"),
        ] {
            let address = try #require(IPAddress(text))
            #expect(address.description == written)
            #expect(IPAddress(address.description) == address)
        }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let bytes = (0..<16).map { _ in Bool.random(using: &random) ? UInt8.random(in: 0...255, using: &random) : 0
            }
            let address = try #require(IPAddress(bytes: bytes))
            #expect(IPAddress(address.description) == address)
        }
    }

    /// An address of IPv6 that leads to one of IPv4 is never more open than that one.
    @Test func noEmbeddingHidesAnAddress() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<5_000 {
            let inner = (0..<4).map { _ in UInt8.random(in: 0...255, using: &random) }
            let kind = try #require(IPAddress(bytes: inner)).kind
            let zeros = [UInt8](repeating: 0, count: 16)
            let forms: [[UInt8]] = [
                Array(zeros[..<10]) + [0xFF, 0xFF] + inner, Array(zeros[..<8]) + [0xFF, 0xFF, 0, 0] + inner,
                [0, 0x64, 0xFF, 0x9B] + Array(zeros[..<8]) + inner, [0x20, 0x02] + inner + Array(zeros[..<10]),
                [0x2A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x5E, 0xFE] + inner, Array(zeros[..<12]) + inner,
            ]
            for form in forms {
                let outer = try #require(IPAddress(bytes: form)).kind
                #expect(outer != .open || kind == .open, "\(form)")
            }
        }
    }

    @Test func rangesHoldWhatTheyShould() throws {
        let range = try #require(AddressRange("10.32.0.0/11"))
        #expect(range.contains(try #require(IPAddress("10.63.255.255"))))
        #expect(!range.contains(try #require(IPAddress("10.64.0.0"))))
        #expect(!range.contains(try #require(IPAddress("::10.33.0.0"))))
        #expect(
            AddressRange("10.0.0.1/8") == nil && AddressRange("10.0.0.0/33") == nil && AddressRange("10.0.0.0/") == nil)
    }
}
