internal import Glibc

/// Files that benchmarks write for what they measure.
enum BenchFiles {
    static func write(_ text: String, to path: String) throws { try self.write(Array(text.utf8), to: path) }

    static func write(_ bytes: [UInt8], to path: String) throws {
        guard let file = fopen(path, "w") else { throw BenchFailure("\(path) cannot be written") }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else {
            throw BenchFailure("\(path) cannot be written")
        }
    }

    /// At most a mebibyte.
    static func read(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "r") else { throw BenchFailure("\(path) cannot be read") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes[..<count])
    }
}
