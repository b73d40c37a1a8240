import ApusCore
import ApusLoop
import ApusSandbox
import CShims
import Glibc
import Synchronization
import Testing

extension SandboxTests {
    @Suite("The nursery")
    struct NurseryTests {
        private static func start(slots: Int = 2, shards: Int = 1) throws -> Nursery {
            _ = Laboratory.shared
            return try Nursery.start(
                Nursery.Configuration(
                    executable: Laboratory.nurseryExecutable, dataDirectory: Laboratory.dataDirectory,
                    runtimes: "\(Laboratory.folder)/runtimes", profiles: "\(Laboratory.packageFolder)/sandbox/profiles",
                    shards: shards,
                    slots: slots))
        }

        /// Waits for the nursery's own end.
        private static func wait(_ nursery: Nursery) -> CInt {
            var status: CInt = -1
            _ = apus_wait_for(nursery.process, &status)
            return status
        }

        /// Whether the condition holds within ten seconds.
        private static func eventually(_ condition: () -> Bool) -> Bool {
            let clock = ContinuousClock()
            let deadline = clock.now + .seconds(10)
            while !condition() {
                guard clock.now < deadline else { return false }
                usleep(5_000)
            }
            return true
        }

        /// Sends raw bytes and returns the next event.
        private static func exchange(_ channel: CInt, _ bytes: [UInt8]) -> nursery_event? {
            guard send(channel, bytes, bytes.count, CInt(MSG_NOSIGNAL)) == bytes.count else { return nil }
            return self.receive(channel)
        }

        private static func receive(_ channel: CInt) -> nursery_event? {
            guard apus_wait_readable(channel, 10_000) == 1 else { return nil }
            var event = nursery_event()
            var descriptors = [CInt](repeating: -1, count: Int(NURSERY_DESCRIPTORS))
            var count: CInt = 0
            guard apus_receive_event(channel, &event, &descriptors, &count) == MemoryLayout<nursery_event>.size else {
                return nil
            }
            for descriptor in descriptors.prefix(Int(count)) { close(descriptor) }
            return event
        }

        private static func request(_ change: (inout nursery_request) -> Void) -> [UInt8] {
            var request = nursery_request()
            request.magic = NURSERY_MAGIC
            request.operation = NURSERY_LAUNCH.rawValue
            request.ticket = 9
            request.runtime = 2
            request.memory_bytes = 64 << 20
            request.scratch_bytes = 1 << 20
            request.cpu_millis = 1_000
            request.processes = 8
            request.open_files = 64
            request.argument_count = 2
            request.argument_bytes = 18
            withUnsafeMutableBytes(of: &request.bundle) { for index in 0..<64 { $0[index] = UInt8(ascii: "a") } }
            change(&request)
            return withUnsafeBytes(of: request) { Array($0) } + Array("probe\0environment\0".utf8)
        }

        /// Sends a request with a descriptor.
        private static func order(_ channel: CInt, _ descriptor: CInt, _ change: (inout nursery_request) -> Void) {
            let bytes = self.request(change)
            let head = bytes.withUnsafeBytes { $0.loadUnaligned(as: nursery_request.self) }
            let rest = Array(bytes.dropFirst(MemoryLayout<nursery_request>.size))
            withUnsafePointer(to: head) { _ = apus_send_request(channel, $0, rest, rest.count, descriptor) }
        }

        @Test("A sealed memory file comes with a launch, and nothing else with anything")
        func onlySealedMemoryIsPassedOn() throws {
            let secrets = Array("hidden".utf8)
            let memory = apus_channel_sealed_memory(secrets, secrets.count)
            let large = [UInt8](repeating: 1, count: Int(NURSERY_SECRETS_BYTES_MAX) + 1)
            let tooLarge = apus_channel_sealed_memory(large, large.count)
            let shared = "/dev/shm/apus-unsealed-\(getpid())"
            let unsealed = open(shared, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            unlink(shared)
            let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
            let socket = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
            defer { for descriptor in [memory, tooLarge, unsealed, file, socket] { close(descriptor) } }
            let nursery = try Self.start(shards: 6)
            let channels = nursery.channels
            Self.order(channels[0], memory) { $0.has_secrets = 1 }
            #expect(Self.receive(channels[0])?.kind == NURSERY_LAUNCHED.rawValue)
            #expect(Self.receive(channels[0])?.kind == NURSERY_EXITED.rawValue)
            // What does not fit together is refused, and its line goes on.
            Self.order(channels[0], memory) { _ in }
            #expect(Self.receive(channels[0])?.flags == NURSERY_INVALID.rawValue)
            Self.order(channels[0], -1) { $0.has_secrets = 1 }
            #expect(Self.receive(channels[0])?.flags == NURSERY_INVALID.rawValue)
            Self.order(channels[0], memory) {
                $0.has_secrets = 1
                $0.operation = NURSERY_PROBE.rawValue
                $0.argument_count = 0
            }
            #expect(Self.receive(channels[0])?.flags == NURSERY_INVALID.rawValue)
            // Any other descriptor ends the line it came on, and no other.
            for (channel, descriptor) in zip(channels[1...], [tooLarge, unsealed, file, socket]) {
                Self.order(channel, descriptor) { $0.has_secrets = 1 }
                #expect(apus_wait_readable(channel, 10_000) == 1)
                var byte: UInt8 = 0
                #expect(recv(channel, &byte, 1, 0) == 0, "the line is closed")
            }
            #expect(Self.exchange(channels[5], Self.request { _ in })?.kind == NURSERY_LAUNCHED.rawValue)
            #expect(Self.receive(channels[5])?.kind == NURSERY_EXITED.rawValue)
            for channel in channels { close(channel) }
            #expect(Self.wait(nursery) == 0)
        }

        @Test("Its end is seen by the client, whose waiting requests fail")
        func deathIsSeen() async throws {
            let nursery = try Self.start()
            let loop = EventLoop()
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                loop.post {
                    do throws(ApusError) {
                        var holder: NurseryClient?
                        let client = try NurseryClient(
                            loop, channel: nursery.channels[0], shard: 0, report: nursery.report
                        ) {
                            holder?.launch(
                                LaunchOrder(runtime: .native, bundle: Laboratory.bundle, arguments: ["probe", "spin"])
                            ) { result in
                                if case .success = result { Issue.record("nobody could have launched it") }
                                holder?.close()
                                holder = nil
                                continuation.resume()
                            }
                        }
                        holder = client
                        Glibc.kill(nursery.process, SIGKILL)
                    } catch {
                        Issue.record(error)
                        continuation.resume()
                    }
                }
            }
            loop.stop()
            #expect(Self.wait(nursery) == SIGKILL)
        }

        @Test("What it launched ends with it, also when it is killed")
        func workersDieWithIt() async throws {
            let nursery = try Self.start()
            var arguments = Self.request { $0.argument_bytes = 11 }
            arguments.removeLast(18)
            let event = Self.exchange(nursery.channels[0], arguments + Array("probe\0spin\0".utf8))
            #expect(event?.kind == NURSERY_LAUNCHED.rawValue)
            #expect(Self.eventually { HostState.now(nursery.report).processes.count == 1 })
            Glibc.kill(nursery.process, SIGKILL)
            _ = Self.wait(nursery)
            close(nursery.channels[0])
            #expect(Self.eventually { HostState.now(nursery.report).processes.isEmpty })
            // The next one on the same block finds what the killed one left, and removes it.
            let next = try Self.start()
            #expect(next.report.uidBase == nursery.report.uidBase)
            close(next.channels[0])
            #expect(Self.wait(next) == 0)
            #expect(HostState.groups(next.report).isEmpty)
        }

        @Test("When every channel is closed it ends all sandboxes, then itself")
        func endsWithItsChannels() async throws {
            let nursery = try Self.start(shards: 2)
            var arguments = Self.request { $0.argument_bytes = 11 }
            arguments.removeLast(18)
            for channel in nursery.channels {
                #expect(
                    Self.exchange(channel, arguments + Array("probe\0spin\0".utf8))?.kind == NURSERY_LAUNCHED.rawValue)
            }
            #expect(Self.eventually { HostState.now(nursery.report).processes.count == 2 })
            close(nursery.channels[0])
            #expect(
                Self.eventually { HostState.now(nursery.report).processes.count == 1 },
                "the other channel's sandbox goes on")
            close(nursery.channels[1])
            #expect(Self.wait(nursery) == 0)
            #expect(HostState.now(nursery.report).processes.isEmpty)
            #expect(HostState.groups(nursery.report).isEmpty)
        }

        @Test("Servers on one machine have blocks of uids of their own")
        func blocksDiffer() throws {
            let first = try Self.start()
            let second = try Self.start()
            #expect(first.report.uidBase != second.report.uidBase)
            for nursery in [first, second] {
                close(nursery.channels[0])
                #expect(Self.wait(nursery) == 0)
            }
        }

        @Test("With every slot in use it says so, and the freed slot is used again")
        func slotsAreBounded() throws {
            let nursery = try Self.start(slots: 1)
            defer {
                close(nursery.channels[0])
                _ = Self.wait(nursery)
            }
            let channel = nursery.channels[0]
            var spin = Self.request { $0.argument_bytes = 11 }
            spin.removeLast(18)
            spin += Array("probe\0spin\0".utf8)
            #expect(Self.exchange(channel, spin)?.kind == NURSERY_LAUNCHED.rawValue)
            let second = Self.request { $0.ticket = 10 }
            let refused = Self.exchange(channel, second)
            #expect(refused?.kind == NURSERY_FAILED.rawValue && (refused?.flags ?? 0) & NURSERY_NO_SLOT.rawValue != 0)
            var kill = nursery_request()
            kill.magic = NURSERY_MAGIC
            kill.operation = NURSERY_KILL.rawValue
            kill.ticket = 9
            let exited = Self.exchange(channel, withUnsafeBytes(of: kill) { Array($0) })
            #expect(exited?.kind == NURSERY_EXITED.rawValue && exited?.signal == SIGKILL && exited?.ticket == 9)
            #expect(Self.exchange(channel, second)?.kind == NURSERY_LAUNCHED.rawValue)
            #expect(Self.receive(channel)?.kind == NURSERY_EXITED.rawValue)
        }

        @Test("Malformed requests are refused and harm nobody")
        func refusesMalformed() throws {
            let nursery = try Self.start()
            defer {
                close(nursery.channels[0])
                _ = Self.wait(nursery)
            }
            func set(_ text: String) -> (inout nursery_request) -> Void {
                { request in
                    withUnsafeMutableBytes(of: &request.bundle) { field in
                        for index in 0..<64 { field[index] = index < text.utf8.count ? Array(text.utf8)[index] : 0 }
                    }
                }
            }
            let good = Self.request { _ in }
            let bad: [[UInt8]] = [
                [0], Array(repeating: 0xFF, count: 4_096), Array(good.dropLast()), good + [0],
                Self.request { $0.magic = 1 },
                Self.request { $0.operation = 99 },
                Self.request { $0.runtime = 0 },
                Self.request { $0.runtime = 77 },
                Self.request { $0.isolation = 9 },
                Self.request { $0.argument_count = 3 },
                Self.request { $0.argument_count = 1 },
                Self.request { $0.argument_count = 4_000_000_000 },
                Self.request { $0.environment_count = 1 },
                Self.request { $0.argument_bytes = .max },
                Self.request { $0.memory_bytes = 0 },
                Self.request { $0.cpu_millis = 0 },
                Self.request { $0.processes = 0 },
                Self.request { $0.scratch_bytes = .max },
                Self.request { $0.open_files = 1_001 },
                Self.request { set("../../../../../../etc")(&$0) },
                Self.request { set(String(repeating: "A", count: 64))(&$0) },
                Self.request { set("")(&$0) },
                // What is right in form but names nothing.
                Self.request { set(String(repeating: "9", count: 64))(&$0) },
            ]
            for (index, bytes) in bad.enumerated() {
                #expect(Self.exchange(nursery.channels[0], bytes)?.kind == NURSERY_FAILED.rawValue, "request \(index)")
            }
            #expect(Self.exchange(nursery.channels[0], good)?.kind == NURSERY_LAUNCHED.rawValue, "it still serves")
            #expect(Self.receive(nursery.channels[0])?.kind == NURSERY_EXITED.rawValue)
        }

        @Test("A bundle or program that is a link, or leads out, is refused")
        func refusesLinks() async throws {
            try await withLaboratory { laboratory in
                let bundles = "\(Laboratory.dataDirectory)/bundles"
                let link = String(repeating: "d", count: 64)
                unlink("\(bundles)/\(link)")
                symlink("/etc", "\(bundles)/\(link)")
                defer { unlink("\(bundles)/\(link)") }
                await #expect(throws: ApusError.self) {
                    _ = try await laboratory.launch(LaunchOrder(runtime: .native, bundle: link, arguments: ["passwd"]))
                }
                symlink("/bin/true", "\(bundles)/\(Laboratory.bundle)/linked")
                for program in ["linked", "../usr/bin/true", "missing", "/usr/bin/true"] {
                    do {
                        let ending = try await laboratory.run(
                            LaunchOrder(runtime: .native, bundle: Laboratory.bundle, arguments: [program]))
                        #expect(ending.exit.failedStage?.hasPrefix("program") == true, "\(program): \(ending)")
                    } catch let error as ApusError {
                        #expect(error.code == .invalidArgument && program.hasPrefix("/"))
                    }
                }
            }
        }

        @Test("Its report names what the host cannot do; a probe repeats it")
        func reports() async throws {
            try await withLaboratory { laboratory in
                let report = laboratory.nursery.report
                let again: Result<HostReport, ApusError> = await laboratory.withClient { client, done in
                    client.probe { done($0) }
                }
                #expect(try again.get() == report)
                #expect(report.lines.filter { !$0.isEnforced }.map(\.name) == report.missing.map(\.description))
                #expect(report.missing.contains(.fetchBound), "nothing bounds a fetch to the index yet, and it is said")
                let worker = try await laboratory.launch(laboratory.order(["environment"]))
                defer { Laboratory.close(worker) }
                #expect(worker.missingLayers == report.missing.filter(\.concernsFunctions).map(\.description))
                _ = await laboratory.exit(of: worker)
            }
        }

        @Test("The server gives up root for good and still has its sandboxes")
        func privilegesAreDropped() async throws {
            await #expect(processExitsWith: .success) {
                let nursery = try NurseryTests.start()
                try Privileges.prepare()
                guard !Privileges.isDropped(to: nursery.report) else { exit(2) }
                try Privileges.drop(to: nursery.report)
                guard Privileges.isDropped(to: nursery.report), getuid() == nursery.report.serverUser else { exit(3) }
                guard open("/etc/shadow", O_RDONLY) < 0, setuid(0) != 0, setgid(0) != 0 else { exit(4) }
                guard
                    NurseryTests.exchange(nursery.channels[0], NurseryTests.request { _ in })?.kind
                        == NURSERY_LAUNCHED.rawValue
                else { exit(5) }
                exit(0)
            }
        }
    }
}
