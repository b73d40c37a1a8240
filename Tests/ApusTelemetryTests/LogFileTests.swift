import ApusCore
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusTelemetry

@Suite struct LogFileTests {
    private let folder = ScratchDirectory()

    private func lines(_ name: String) throws -> [String] {
        String(decoding: try readFile("\(self.folder.path)/\(name)"), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func exists(_ name: String) -> Bool { access("\(self.folder.path)/\(name)", F_OK) == 0 }

    @Test func itTurnsOverAtItsBoundAndKeepsSoMany() throws {
        let file = try LogFile(path: "\(self.folder.path)/apus.log", maxBytes: 1_000, keep: 2)
        let log = Log(level: .info, format: .text, file: file)
        let text = String(repeating: "x", count: 300)
        // Three lines of more than 333 bytes reach the bound.
        for number in 0..<12 { log.info("\(number) \(text)\(String(repeating: "y", count: 20))") }
        #expect(try self.lines("apus.log.1").map { $0.contains(" 9 ") || $0.contains(" 10 ") || $0.contains(" 11 ") } == [true, true, true])
        #expect(try self.lines("apus.log.2").count == 3)
        #expect(!self.exists("apus.log.3"))
        #expect(try self.lines("apus.log").isEmpty)
    }

    @Test func withoutOldFilesItGrows() throws {
        let file = try LogFile(path: "\(self.folder.path)/apus.log", maxBytes: 100, keep: 0)
        let log = Log(level: .info, format: .text, file: file)
        for number in 0..<10 { log.info("line \(number), which is long enough to be over the bound soon") }
        #expect(try self.lines("apus.log").count == 10)
        #expect(!self.exists("apus.log.1"))
    }

    @Test func whatSomebodyMovedAwayIsBegunAnewWhenAsked() throws {
        let path = "\(self.folder.path)/apus.log"
        let log = Log(level: .info, format: .text, file: try LogFile(path: path, maxBytes: 1 << 20, keep: 3))
        log.info("first")
        #expect(rename(path, "\(path).moved") == 0)
        log.info("second")
        log.reopen()
        log.info("third")
        #expect(try self.lines("apus.log.moved").count == 2)
        #expect(try self.lines("apus.log").count == 1)
    }

    @Test func anOldFileIsGoneOnWith() throws {
        try writeFile("\(self.folder.path)/apus.log", String(repeating: "o", count: 900) + "\n")
        let log = Log(
            level: .info, format: .text,
            file: try LogFile(path: "\(self.folder.path)/apus.log", maxBytes: 1_000, keep: 1))
        log.info("this line goes over the bound, since what was there before counts as well, however it came there")
        #expect(try self.lines("apus.log.1").count == 2)
    }

    @Test func aFolderThatWasTakenAwayCostsTheNewFileAndNothingElse() throws {
        let folder = "\(self.folder.path)/gone"
        mkdir(folder, 0o755)
        let file = try LogFile(path: "\(folder)/apus.log", maxBytes: 200, keep: 1)
        let log = Log(level: .info, format: .text, file: file)
        log.info("first")
        unlink("\(folder)/apus.log")
        rmdir(folder)
        for number in 0..<20 { log.info("line \(number) that goes nowhere but must not stop anything") }
        #expect(file.failedTurns > 0)
        mkdir(folder, 0o755)
        log.reopen()
        log.info("back")
        #expect(try self.lines("gone/apus.log").count == 1)
    }

    @Test func aPlaceThatCannotBeWrittenIsSaidAtTheStart() {
        let error = #expect(throws: ApusError.self) {
            _ = try LogFile(path: "\(self.folder.path)/none/apus.log", maxBytes: 1_000, keep: 1)
        }
        #expect(error?.code == .configurationInvalid)
    }

    @Test func linesOfManyThreadsAreAllThereWhileItTurns() throws {
        let file = try LogFile(path: "\(self.folder.path)/apus.log", maxBytes: 4_000, keep: 100)
        let log = Log(level: .info, format: .text, file: file)
        let context = Unmanaged.passRetained(log)
        defer { context.release() }
        var threads: [pthread_t] = []
        for _ in 0..<4 {
            var thread = pthread_t()
            #expect(pthread_create(&thread, nil, writeLines, context.toOpaque()) == 0)
            threads.append(thread)
        }
        for thread in threads { pthread_join(thread, nil) }
        var count = 0
        for number in 0...100 {
            let name = number == 0 ? "apus.log" : "apus.log.\(number)"
            if self.exists(name) { count += try self.lines(name).count { $0.hasSuffix("of a thread") } }
        }
        #expect(count == 800)
        #expect(self.exists("apus.log.2"))
    }
}

private func writeLines(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    let log = Unmanaged<Log>.fromOpaque(context).takeUnretainedValue()
    for number in 0..<200 { log.info("line \(number) of a thread") }
    return nil
}
