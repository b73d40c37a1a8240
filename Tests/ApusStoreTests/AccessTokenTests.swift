import ApusCore
import Testing

@testable import ApusStore

@Suite struct AccessTokenTests {
    @Test func aTokenIsFoundByScannersAndShowsItsID() {
        let token = AccessToken.make()
        let parts = token.text.split(separator: "_")
        #expect(parts.count == 3 && parts[0] == "apus" && parts[1] == token.id)
        #expect(token.id.utf8.count == 8 && parts[2].utf8.count == 49)
        #expect(
            token.text.utf8.dropFirst(5).allSatisfy {
                $0 == UInt8(ascii: "_") || Character(UnicodeScalar($0)).isLetter
                    || Character(UnicodeScalar($0)).isNumber
            })
        #expect(AccessToken.isWellFormed(token.text))
        #expect(Set((0..<100).map { _ in AccessToken.make().text }).count == 100)
    }

    @Test func aMistypedOrCutTokenIsKnownByItsChecksum() {
        let text = AccessToken.make().text
        #expect(!AccessToken.isWellFormed(String(text.dropLast())))
        #expect(!AccessToken.isWellFormed(text + "0"))
        for place in [6, 20, 62] {
            var bytes = Array(text.utf8)
            bytes[place] = bytes[place] == UInt8(ascii: "x") ? UInt8(ascii: "y") : UInt8(ascii: "x")
            #expect(!AccessToken.isWellFormed(String(decoding: bytes, as: UTF8.self)), "\(place)")
        }
    }

    @Test func theChecksumIsTheWellKnownOne() {
        #expect(CRC32.of(Array("123456789".utf8)) == 0xCBF4_3926)
        #expect(Base62.encode(61, characters: 6) == "00000z" && Base62.encode(62, characters: 6) == "000010")
    }

    @Test func aHashReadsBackAsWritten() {
        let hash = TokenHash(of: "abc")
        #expect(hash.hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(TokenHash(hex: hash.hex) == hash)
        #expect(TokenHash(hex: "ba78") == nil && TokenHash(hex: String(repeating: "x", count: 64)) == nil)
    }
}

@Suite struct RoleTests {
    let team = Namespace("team") ?? .default

    @Test func aRoleIsReadWithItsPlaceAndWithoutOneHoldsWhereItIsAskedFor() throws {
        #expect(try RoleGrant(parsing: "reader@team") == RoleGrant(.reader, .namespace(self.team)))
        #expect(try RoleGrant(parsing: "reader@*") == RoleGrant(.reader, .everywhere))
        #expect(try RoleGrant(parsing: "reader", namespace: self.team) == RoleGrant(.reader, .namespace(self.team)))
        for text in ["", "reader", "reader@", "reader@a.b", "root@team", "@team", "reader@team@x"] {
            let error = #expect(throws: ApusError.self, "\(text)") { try RoleGrant(parsing: text) }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test func aRoleHoldsInItsPlaceOnlyAndAdminsMayEverythingThere() {
        let reader = RoleGrants([RoleGrant(.reader, .namespace(self.team))])
        #expect(reader.allow([.reader, .deployer], in: self.team))
        #expect(!reader.allow([.deployer], in: self.team) && !reader.allow([.reader], in: .default))
        #expect(!reader.allowServer([.reader]))
        let admin = RoleGrants([RoleGrant(.admin, .namespace(self.team))])
        #expect(admin.allow([], in: self.team) && !admin.allow([], in: .default) && !admin.allowServer([.reader]))
        let everywhere = RoleGrants([RoleGrant(.producer, .everywhere)])
        #expect(everywhere.allow([.producer], in: self.team) && everywhere.allowServer([.producer]))
        #expect(!everywhere.allow([.reader], in: self.team))
    }

    @Test func nobodyCoversWhatItDoesNotHold() {
        let admin = RoleGrants([RoleGrant(.admin, .namespace(self.team)), RoleGrant(.reader, .namespace(.default))])
        for role in Role.allCases {
            #expect(admin.cover(RoleGrant(role, .namespace(self.team))))
            #expect(!admin.cover(RoleGrant(role, .everywhere)))
            #expect(admin.cover(RoleGrant(role, .namespace(.default))) == (role == .reader))
        }
    }
}
