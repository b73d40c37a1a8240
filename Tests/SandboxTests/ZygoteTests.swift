import ApusCore
import ApusSandbox
import ApusTestSupport
import CShims
import Glibc
import Testing

extension SandboxTests {
    /// Workers that are clones of a warm interpreter, and the interpreter itself, as the host sees them.
    @Suite("Zygotes")
    struct ZygoteTests {
        /// A nursery with the real runtime of Python, spoken with packet by packet.
        private final class Bench {
            let nursery: Nursery
            private var ticket: UInt64 = 0
            private var open: [UInt64: [CInt]] = [:]

            init(slots: Int = 8) throws {
                _ = Laboratory.shared
                self.nursery = try Nursery.start(
                    Nursery.Configuration(
                        executable: "\(Laboratory.buildFolder)/nursery", dataDirectory: Laboratory.dataDirectory,
                        runtimes: "\(Laboratory.packageFolder)/sandbox/runtimes",
                        profiles: "\(Laboratory.packageFolder)/sandbox/profiles", slots: slots))
            }

            func close() {
                for descriptors in self.open.values { for descriptor in descriptors { Glibc.close(descriptor) } }
                for channel in self.nursery.channels { Glibc.close(channel) }
                var status: CInt = 0
                _ = apus_wait_for(self.nursery.process, &status)
            }

            private func exchange(_ request: nursery_request) throws -> (nursery_event, [CInt]) {
                let bytes = withUnsafeBytes(of: request) { Array($0) }
                let channel = self.nursery.channels[0]
                try #require(send(channel, bytes, bytes.count, CInt(MSG_NOSIGNAL)) == bytes.count)
                try #require(apus_wait_readable(channel, 10_000) == 1)
                var event = nursery_event()
                var descriptors = [CInt](repeating: -1, count: Int(NURSERY_DESCRIPTORS))
                var count: CInt = 0
                let length = apus_receive_event(channel, &event, &descriptors, &count)
                try #require(length == MemoryLayout<nursery_event>.size)
                return (event, Array(descriptors.prefix(Int(count))))
            }

            /// A worker that has said HELLO.
            func launch(isClone: Bool = true) throws -> UInt64 {
                self.ticket += 1
                var request = nursery_request()
                request.magic = NURSERY_MAGIC
                request.operation = NURSERY_LAUNCH.rawValue
                request.ticket = self.ticket
                request.runtime = 1
                request.is_clone = isClone ? 1 : 0
                request.memory_bytes = 128 << 20
                request.scratch_bytes = 1 << 20
                request.cpu_millis = 1_000
                request.processes = 8
                request.open_files = 64
                withUnsafeMutableBytes(of: &request.bundle) { for index in 0..<64 { $0[index] = UInt8(ascii: "a") } }
                let (event, descriptors) = try self.exchange(request)
                self.open[self.ticket] = descriptors
                guard event.kind == NURSERY_LAUNCHED.rawValue else {
                    throw ApusError(.sandboxUnavailable, "the launch failed")
                }
                try #require(apus_wait_readable(descriptors[1], 10_000) == 1)
                return self.ticket
            }

            /// Until the sandbox is verified empty.
            func kill(_ ticket: UInt64) throws {
                var request = nursery_request()
                request.magic = NURSERY_MAGIC
                request.operation = NURSERY_KILL.rawValue
                request.ticket = ticket
                let (event, _) = try self.exchange(request)
                #expect(event.kind == NURSERY_EXITED.rawValue && event.ticket == ticket)
                #expect(event.flags == 0)
                for descriptor in self.open.removeValue(forKey: ticket) ?? [] { Glibc.close(descriptor) }
            }

            /// Processes whose parent is the nursery, with their user.
            func children() -> [(process: pid_t, user: UInt32)] {
                Folder.processes.compactMap { process in
                    let status = Host.status(process)
                    guard status["PPid"] == "\(self.nursery.process)",
                        let user = status["Uid"]?.split(separator: "\t").first.flatMap({ UInt32($0) })
                    else { return nil }
                    return (process, user)
                }
            }

            /// The zygote that is in use: the only child that stayed root.
            func zygotes() -> [pid_t] { self.children().filter { $0.user == 0 }.map(\.process) }
            func workers() -> [pid_t] {
                let auditor = HostState.auditor(of: self.nursery.report)
                return self.children().filter { $0.user != 0 && $0.user != auditor }.map(\.process)
            }

            /// Launches until a worker is a clone: the first ones may come before the zygote is warm.
            func cloned() throws -> (ticket: UInt64, process: pid_t) {
                for _ in 0..<500 {
                    let ticket = try self.launch()
                    if let worker = self.workers().first, Host.text("/proc/\(worker)/cmdline").contains("_zygote.py") {
                        return (ticket, worker)
                    }
                    try self.kill(ticket)
                    usleep(10_000)
                }
                throw ApusError(.sandboxUnavailable, "no worker was a clone within 500 launches")
            }
        }

        private enum Host {
            static func text(_ path: String) -> String {
                String(decoding: (try? readFile(path)) ?? [], as: UTF8.self)
            }

            static func status(_ process: pid_t) -> [String: String] {
                var fields: [String: String] = [:]
                for line in self.text("/proc/\(process)/status").split(separator: "\n") {
                    guard let colon = line.firstIndex(of: ":") else { continue }
                    let value = line[line.index(after: colon)...].drop { $0 == "\t" || $0 == " " }
                    fields[String(line[..<colon])] = String(value)
                }
                return fields
            }

            /// What a process has open.
            static func descriptors(of process: pid_t) -> [String] {
                (0..<256).compactMap { number in
                    var buffer = [CChar](repeating: 0, count: 256)
                    let count = readlink("/proc/\(process)/fd/\(number)", &buffer, buffer.count)
                    return count < 0
                        ? nil : String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
                }
            }

            static func namespace(_ kind: String, of process: pid_t) -> String {
                var buffer = [CChar](repeating: 0, count: 256)
                let count = readlink("/proc/\(process)/ns/\(kind)", &buffer, buffer.count)
                return String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
        }

        @Test("A clone has every layer that an executed worker has")
        func cloneIsConfined() throws {
            let bench = try Bench()
            defer { bench.close() }
            let clone = try bench.cloned()
            let executed = try bench.launch(isClone: false)
            let other = try #require(bench.workers().first { $0 != clone.process })
            let (one, two) = (Host.status(clone.process), Host.status(other))
            for field in [
                "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Threads",
            ] { #expect(one[field] == two[field], "\(field): \(one[field] ?? "") and \(two[field] ?? "")") }
            // Its zygote's filter and its own.
            #expect(one["Seccomp_filters"] == "2")
            #expect(one["NSpid"]?.split(separator: "\t").last == "1")
            let range = (bench.nursery.report.uidBase + 1)...(bench.nursery.report.uidBase + 8)
            #expect(one["Uid"]?.split(separator: "\t").allSatisfy { UInt32($0).map(range.contains) ?? false } ?? false)
            #expect(Set([one["Uid"], two["Uid"]]).count == 2, "each slot has a user of its own")
            let zygote = try #require(bench.zygotes().first)
            for kind in ["pid_for_children", "mnt", "ipc", "uts", "cgroup"] {
                let all = [clone.process, other, zygote, bench.nursery.process].map { Host.namespace(kind, of: $0) }
                #expect(all[0] != all[1] && all[0] != all[2] && all[0] != all[3], "\(kind): \(all)")
            }
            #expect(Host.namespace("net", of: clone.process) == Host.namespace("net", of: bench.nursery.process))
            for name in ["oom_score_adj", "cgroup"] {
                let texts = [clone.process, other].map {
                    Host.text("/proc/\($0)/\(name)").replacing("slot-1", with: "slot-0")
                }
                #expect(texts[0] == texts[1], "\(name)")
            }
            for name in ["Max open files", "Max file size", "Max processes", "Max core file size", "Max locked memory"]
            {
                let lines = [clone.process, other].map {
                    Host.text("/proc/\($0)/limits").split(separator: "\n").first { $0.hasPrefix(name) }
                }
                #expect(lines[0] == lines[1] && lines[0] != nil, "\(name)")
            }
            for process in [clone.process, other] {
                let open = Folder.names("/proc/\(process)/fd").compactMap { Int($0) }.sorted()
                #expect(open == [0, 1, 2, 3, 4, 5], "neither the audit's listener nor the way it went: \(open)")
            }
            #expect(
                !Host.text("/proc/\(clone.process)/maps").contains("status (deleted)"), "the statuses of other slots")
            try bench.kill(executed)
            try bench.kill(clone.ticket)
            #expect(bench.workers().isEmpty)
        }

        @Test("A clone sees the mounts that an executed worker sees, and nothing of its zygote's")
        func cloneSeesItsOwnMounts() throws {
            let bench = try Bench()
            defer { bench.close() }
            let clone = try bench.cloned()
            let executed = try bench.launch(isClone: false)
            let other = try #require(bench.workers().first { $0 != clone.process })
            let mounts = [clone.process, other].map { process in
                Host.text("/proc/\(process)/mountinfo").split(separator: "\n").map { line in
                    let words = line.split(separator: " ")
                    return "\(words[4]) \(words[5])"
                }.sorted()
            }
            #expect(mounts[0] == mounts[1] && !mounts[0].isEmpty)
            try bench.kill(executed)
            try bench.kill(clone.ticket)
        }

        @Test("What every clone writes to is registered with a ring of the zygote's, which no clone has")
        func writtenPagesAreCopiedEarly() throws {
            guard Host.text("/proc/sys/kernel/io_uring_disabled").hasPrefix("0") else {
                return print("skipped: this host allows no io_uring, so that clones copy what they write to later")
            }
            let bench = try Bench()
            defer { bench.close() }
            let clone = try bench.cloned()
            let zygote = try #require(bench.zygotes().first)
            #expect(Host.descriptors(of: zygote).contains("anon_inode:[io_uring]"))
            #expect(Host.descriptors(of: clone.process).allSatisfy { !$0.contains("io_uring") })
            try bench.kill(clone.ticket)
        }

        @Test("The zygote has what cloning needs, and no more")
        func zygoteIsConfined() throws {
            let bench = try Bench()
            defer { bench.close() }
            try bench.kill(try bench.cloned().ticket)
            let zygote = try #require(bench.zygotes().first)
            let status = Host.status(zygote)
            // SETGID 6, SETUID 7, SETPCAP 8, SYS_ADMIN 21.
            let capabilities: UInt64 = 1 << 6 | 1 << 7 | 1 << 8 | 1 << 21
            for field in ["CapEff", "CapPrm", "CapBnd"] {
                #expect(status[field].flatMap { UInt64($0, radix: 16) } == capabilities, "\(field)")
            }
            #expect(status["CapAmb"].flatMap { UInt64($0, radix: 16) } == 0)
            #expect(status["NoNewPrivs"] == "1")
            #expect(status["Seccomp"] == "2")
            #expect(status["Threads"] == "1")
            #expect(access("/proc/\(zygote)/root/runtime/apus/_zygote.py", F_OK) == 0)
            for path in ["etc/shadow", "root", "home", "var", "run", "function/main.py"] {
                #expect(access("/proc/\(zygote)/root/\(path)", F_OK) != 0, "\(path)")
            }
            for kind in ["mnt", "ipc", "uts"] {
                #expect(Host.namespace(kind, of: zygote) != Host.namespace(kind, of: bench.nursery.process))
            }
            #expect(Host.namespace("net", of: zygote) != Host.namespace("net", of: getpid()))
        }

        @Test("A zygote that dies is replaced, and until then workers execute the interpreter")
        func deadZygoteIsReplaced() throws {
            let bench = try Bench()
            defer { bench.close() }
            let worker = try bench.cloned()
            let zygote = try #require(bench.zygotes().first)
            Glibc.kill(zygote, SIGKILL)
            // An order that it took with it would be lost.
            for _ in 0..<2_000 {
                guard bench.zygotes().contains(zygote) else { break }
                usleep(1_000)
            }
            let next = try bench.launch()
            #expect(bench.workers().contains(worker.process), "a clone outlives its zygote")
            try bench.kill(next)
            try bench.kill(worker.ticket)
            try bench.kill(try bench.cloned().ticket)
            #expect(!bench.zygotes().contains(zygote))
        }

        @Test("A zygote that hangs costs one launch and one slot")
        func hangingZygoteIsGivenUp() throws {
            let bench = try Bench(slots: 2)
            defer { bench.close() }
            try bench.kill(try bench.cloned().ticket)
            let zygote = try #require(bench.zygotes().first)
            Glibc.kill(zygote, SIGSTOP)
            #expect(throws: (any Error).self) { try bench.launch() }
            try bench.kill(try bench.cloned().ticket)
            #expect(!bench.zygotes().contains(zygote))
        }

        @Test("No zygote makes more clones than its bound")
        func zygotesAreRecycled() throws {
            let bench = try Bench()
            defer { bench.close() }
            try bench.kill(try bench.cloned().ticket)
            let first = try #require(bench.zygotes().first)
            // ZYGOTE_CLONES_MAX of sandbox/nursery/nursery.h.
            for _ in 0..<1_000 { try bench.kill(try bench.launch()) }
            #expect(!bench.zygotes().contains(first))
            try bench.kill(try bench.cloned().ticket)
        }
    }
}
