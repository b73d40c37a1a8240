import ApusCore
import Glibc
import Testing

@testable import ApusStore

@Suite struct AdminTokenTests {
    let scratch = ScratchFolder()

    @Test func theFirstStartMakesATokenThatOnlyTheOwnerReadsAndLaterStartsKeepIt() throws {
        let first = try AdminToken.load(in: self.scratch.path)
        #expect(self.scratch.mode("admin.token") == 0o600)
        #expect(AccessToken.isWellFormed(first.value))
        let second = try AdminToken.load(in: self.scratch.path)
        #expect(second.hash == TokenHash(of: first.value))
        #expect(second.hash != TokenHash(of: first.value + "0"))
        #expect(second.hash != TokenHash(of: ""))
    }

    @Test(arguments: ["", "short\n", "two words that are long enough to be a token\n"])
    func aFileWithoutATokenIsRefused(_ text: String) {
        self.scratch.write("admin.token", text, mode: 0o600)
        let error = #expect(throws: ApusError.self) { try AdminToken.load(in: self.scratch.path) }
        #expect(error?.code == .dataDirectoryInvalid)
    }

    @Test func aTokenThatOthersMayReadIsRefused() {
        self.scratch.write("admin.token", String(repeating: "a", count: 64), mode: 0o600)
        chmod("\(self.scratch.path)/admin.token", 0o644)
        #expect(throws: ApusError.self) { try AdminToken.load(in: self.scratch.path) }
    }
}
