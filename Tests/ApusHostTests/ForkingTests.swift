import ApusCore
import ApusEngine
@testable import ApusHost
import ApusTestSupport
import Glibc
import Testing

/// Calls that a function's zygote forks, through a whole shard. The zygote is a script that keeps the protocol, or breaks it.
@Suite(.enabled(if: access("/usr/bin/python3", X_OK) == 0, "the zygote of these tests is a Python script"))
struct ForkingTests {
    /// Starts `echo-native` where a zygote would fork itself.
    private static let zygote = #"""
        import os, socket, struct, sys, time
        mode, worker, *arguments = sys.argv[1:]
        head = struct.Struct("<IBBHQq")
        def say(kind, stream=0, payload=b""): os.write(4, head.pack(len(payload), kind, 0, 1, stream, 0) + payload)
        def read():
            raw = b""
            while len(raw) < 24:
                part = os.read(3, 24 - len(raw))
                if not part: os._exit(0)
                raw += part
            length, kind, _, _, stream, _ = head.unpack(raw)
            while length: length -= len(os.read(3, length))
            return kind, stream
        sockets = socket.socket(fileno=5)
        say(1, 0, struct.pack("<HHIH", 1, 1, 15, 4) + b"fake")
        assert read()[0] == 2
        if mode == "refuses":
            text = b"it has threads"
            say(20, 0, struct.pack("<BBHIII", 1, 0, 11, len(text), 0, 0xffffffff) + b"cannot_fork" + text)
            os._exit(1)
        if mode == "never ready": time.sleep(60)
        say(3)
        children, made = {}, 0
        while True:
            kind, stream = read()
            if kind == 48:
                _, descriptors, _, _ = socket.recv_fds(sockets, 64, 8)
                made += 1
                if mode == "hangs": time.sleep(60)
                if mode == "dies": os._exit(3)
                if mode == "fails":
                    for descriptor in descriptors: os.close(descriptor)
                    say(50, stream, struct.pack("<ii", -1, 0))
                    continue
                child = os.fork()
                if child == 0:
                    for index, descriptor in enumerate(descriptors): os.dup2(descriptor, index + 1)
                    os.closerange(6, 256)
                    os.execv(worker, [worker, *arguments])
                for descriptor in descriptors: os.close(descriptor)
                children[stream] = child
                # Before it is there: one that was ready already could be given a call, which would end with the liar.
                if mode == "lies": say(50, stream + 1000, struct.pack("<ii", 0, 0))
                say(49, stream)
                if mode == "dies later":
                    time.sleep(0.3)
                    os._exit(3)
            elif kind == 51 and stream in children:
                if mode == "spares": continue
                os.kill(children[stream], 9)
                os.waitpid(children.pop(stream), 0)
                say(50, stream, struct.pack("<ii", -1, 9))
        """#

    private static func command(_ mode: String) -> DirectLauncher.Command {
        { order in
            guard order.runtime == .forks else { return (Bed.worker, order.arguments) }
            return ("/usr/bin/python3", ["-I", "-S", "-c", Self.zygote, mode, Bed.worker] + order.arguments)
        }
    }

    private func withBed(
        _ mode: String, _ arguments: [String] = [], children: Int = 3, _ body: (Bed) async throws -> Void
    ) async throws {
        let bed = try await Bed(command: Self.command(mode))
        var function = function(1, arguments, scale: ScalePlan(min: 0, max: 4))
        function.plan.reuse = .never
        function.launch.fork = ForkOrder(
            function: function.name, revision: function.revision, children: children, initialization: Array("{}".utf8))
        try await bed.deploy(function)
        try await body(bed)
        await bed.close()
    }

    private func shared(_ bed: Bed) async -> Int {
        await bed.run { bed.shard.instances().count { $0.isolation.calls == .process } }
    }

    /// Calls until a call is over that shared its sandbox, and is still there; no further, since what else is there ends with it. A call
    /// may as well be given to a worker that waits in a sandbox of its own.
    private func callUntilSpared(_ bed: Bed) async throws {
        for _ in 0..<100 {
            #expect(await bed.invoke(1, "x").text == "x")
            let isSpared = await bed.run {
                !bed.lines.isEmpty
                    || bed.shard.instances().contains {
                        $0.isolation.calls == .process && $0.state != .starting && $0.state != .ready
                    }
            }
            if isSpared { return }
            usleep(50_000)
        }
        Issue.record("no call shared a sandbox")
    }

    /// Calls until one waits that shares a sandbox, then once more.
    private func callShared(_ bed: Bed) async throws -> Answer {
        var shared = 0
        for _ in 0..<20 where shared == 0 {
            #expect(await bed.invoke(1, "x").text == "x")
            // Looked at once: the one that was seen may be the one whose call is over.
            shared = await self.shared(bed)
            if shared == 0 { usleep(50_000) }
        }
        try #require(shared > 0)
        return await bed.invoke(1, "last")
    }

    @Test func callsAreForkedAnsweredAndKilledOneByOne() async throws {
        try await self.withBed("good") { bed in
            for _ in 0..<10 {
                let answer = try await self.callShared(bed)
                #expect(answer.text == "last")
            }
            let statistics = await bed.statistics()
            #expect(statistics.protocolErrors == 0)
            #expect(await bed.run { bed.startFailures.isEmpty })
        }
    }

    @Test(arguments: ["hangs", "dies", "fails", "lies", "spares", "refuses"])
    func whateverTheZygoteDoesEveryCallIsAnswered(_ mode: String) async throws {
        // One that spares its calls ends with whatever else is in its sandbox then: here nothing but what is over.
        try await self.withBed(mode, children: mode == "spares" ? 1 : 3) { bed in
            for number in 0..<12 { #expect(await bed.invoke(1, "\(number)").text == "\(number)") }
            // A call that was there when its zygote lied may have died before it was ready: that counts as its own failed start.
            #expect(await bed.run { mode == "lies" || bed.startFailures.isEmpty })
            guard mode != "fails", mode != "spares" else { return }
            try await bed.until("a line about it") { !bed.lines.isEmpty }
            let text = await bed.run { bed.lines.map { String(decoding: $0.text, as: UTF8.self) }.joined() }
            let expected = mode == "refuses" ? "it has threads" : "the process that forks this function's calls"
            #expect(text.contains(expected), "\(text)")
        }
    }

    @Test func aZygoteThatDoesNotKillIsKilled() async throws {
        try await self.withBed("spares") { bed in
            try await self.callUntilSpared(bed)
            try await bed.until("a line about it") { !bed.lines.isEmpty }
            // What is in its sandbox when that ends may be given no call any more.
            try await bed.until("its calls are gone") {
                bed.shard.instances().allSatisfy { $0.isolation.calls != .process }
            }
            #expect(await bed.invoke(1, "after").text == "after")
        }
    }

    @Test func whenAZygoteDiesItsCallsFailOnceAndNothingIsLost() async throws {
        try await self.withBed("dies later", ["slow", "2000"]) { bed in
            // The first has a sandbox of its own; the one that was forked meanwhile is running when its zygote dies.
            async let first = bed.invoke(1, "first")
            try await bed.until("a call that shares a sandbox", seconds: 10) {
                bed.shard.instances().contains { $0.isolation.calls == .process }
            }
            let second = await bed.invoke(1, "second")
            #expect(await first.text == "first")
            #expect(second.code == .workerCrashed || second.text == "second")
            #expect(await bed.invoke(1, "third").text == "third")
        }
    }

    @Test func aDeliveryThatWasRunningIsTriedAgain() async throws {
        let bed = try await Bed(command: Self.command("dies later"))
        let events = try bed.topic("events")
        let replies = try bed.topic("replies")
        var function = function(
            1, ["slow", "400"], scale: ScalePlan(min: 0, max: 2),
            triggers: [trigger(1, on: events, replyTo: replies, order: .none)])
        function.plan.reuse = .never
        function.launch.fork = ForkOrder(
            function: function.name, revision: function.revision, children: 3, initialization: Array("{}".utf8))
        try await bed.deploy(function)
        try await bed.publish(
            events, (0..<8).map { Event(attributes: [Attribute("id", "\($0)")], data: Array("\($0)".utf8)) })
        try await bed.until("eight replies") { bed.events(of: replies).count >= 8 }
        let seen = bed.events(of: replies).map { String(decoding: $0.data ?? [], as: UTF8.self) }
        #expect(Set(seen).count == 8 && seen.count == 8, "\(seen)")
        await bed.close()
    }
}
