import ApusCore
import Testing

@testable import ApusCrypto

@Suite struct SecretBytesTests {
    @Test func bytesAreAddedWithinTheRoomAndNoFurther() {
        var bytes = SecretBytes(capacity: 4)
        #expect(bytes.append([1, 2]) && bytes.append([]) && !bytes.append([3, 4, 5]) && bytes.append([3, 4]))
        #expect(bytes.withUnsafeBytes { Array($0) } == [1, 2, 3, 4])
        let empty = SecretBytes(capacity: 0)
        #expect(empty.count == 0 && empty.withUnsafeBytes { $0.isEmpty })
    }

    @Test(arguments: [0, 1, 15, 16, 17, 65_536]) func whatHasOneOwnerIsSealedAsOtherBytesAre(count: Int) throws {
        let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let key = [UInt8](repeating: 7, count: AEAD.keyBytes)
        let sealed = try AEAD.seal(SecretBytes(copying: plain), key: SecretBytes(copying: key), associated: [1])
        #expect(try AEAD.open(sealed, key: key, associated: [1]) == plain)
        let opened = try AEAD.open(sealed, key: SecretBytes(copying: key), associated: [1])
        #expect(opened.withUnsafeBytes { Array($0) } == plain)
        func refusal(_ sealed: [UInt8], _ key: [UInt8], _ associated: [UInt8]) -> ErrorCode? {
            do {
                _ = try AEAD.open(sealed, key: SecretBytes(copying: key), associated: associated)
                return nil
            } catch { return error.code }
        }
        #expect(refusal(sealed, key, [2]) == .forbidden)
        #expect(refusal(sealed, [8] + key.dropFirst(), [1]) == .forbidden)
        #expect(refusal(Array(sealed.dropLast()), key, [1]) == .forbidden)
        #expect(refusal([], key, [1]) == .forbidden)
        #expect(refusal(sealed, [1], [1]) == .invalidArgument)
    }
}
