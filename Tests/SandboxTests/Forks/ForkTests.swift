import ApusCore
import CShims
import Glibc
import Testing

extension SandboxTests {
    /// The life of calls that a function's zygote forks.
    @Suite("Zygotes of functions")
    struct ForkTests {
        private func withBench(
            main: String = ForkBench.main, memory: Int = 128 << 20, _ body: (ForkBench) throws -> Void
        ) throws {
            let bench = try ForkBench(main: main, memory: memory)
            defer { bench.close() }
            try #require(bench.zygote.next().header.type == .ready, "\(bench.errors)")
            try body(bench)
        }

        @Test("A call has descriptors, a folder and random numbers of its own, and what was imported is there")
        func ofItsOwn() throws {
            try self.withBench { bench in
                let code = """
                    import os, random, tempfile
                    here = os.environ['TMPDIR']
                    result = [random.random(), here, os.environ['HOME'] == here, tempfile.gettempdir() == here,
                        sorted(int(name) for name in os.listdir('/proc/self/fd')), os.getcwd(), os.listdir(here)]
                    """
                let first = try bench.run(code)
                let second = try bench.run(code)
                // Descriptor 6 is the list's own.
                #expect(first.hasSuffix(#",true,true,[0,1,2,3,4,5,6],"/function",[]]"#), "\(first)")
                #expect(second.hasSuffix(#",true,true,[0,1,2,3,4,5,6],"/function",[]]"#))
                #expect(first.prefix { $0 != "," } != second.prefix { $0 != "," })
            }
        }

        @Test("What a call leaves behind is gone before it takes the room of others")
        func leavesNothing() throws {
            try self.withBench { bench in
                let free = "import os; room = os.statvfs('/tmp'); result = [room.f_ffree, room.f_bfree]"
                let watcher = try bench.fork()
                let before = try watcher.line.run(free)
                for _ in 0..<3 {
                    let made = try bench.run(
                        """
                        import os
                        here = os.environ['TMPDIR']
                        os.chdir(here)
                        for number in range(200): open(f'file{number}', 'wb').write(b'x' * 4096)
                        for _ in range(300):
                            os.mkdir('deep')
                            os.chdir('deep')
                        open('link', 'w').close()
                        os.chmod('.', 0)
                        os.chmod(here, 0)
                        result = True
                        """)
                    #expect(made == "true")
                }
                let isBack = (0..<200).contains { _ in
                    usleep(10_000)
                    return (try? watcher.line.run(free)) == before
                }
                #expect(isBack)
            }
        }

        @Test("A call that heeds nothing is killed, with its threads, and reaped")
        func stubborn() throws {
            try self.withBench { bench in
                let call = try bench.fork()
                #expect(
                    try call.line.run(
                        """
                        import signal, threading
                        for number in (1, 2, 3, 10, 12, 15): signal.signal(number, signal.SIG_IGN)
                        def spin():
                            while True: pass
                        for _ in range(4): threading.Thread(target=spin, daemon=True).start()
                        result = True
                        """) == "true")
                #expect(try bench.kill(call.number) == SIGKILL)
                // Nothing is said about it any more: KILL of what has ended is nothing, and the next call is made.
                bench.zygote.send(.kill, stream: call.number)
                #expect(try bench.run("result = 1") == "1")
            }
        }

        @Test("A call that ends by itself is reported with its code, one that takes too much memory fails alone")
        func endings() throws {
            try self.withBench(memory: 64 << 20) { bench in
                let neighbour = try bench.fork()
                let call = try bench.fork()
                #expect((try? call.line.run("import os; os._exit(7)")) == nil)
                let (header, payload) = try bench.zygote.next()
                #expect(header.type == .ended && header.stream == call.number)
                #expect(payload.span.bytes.littleEndian(at: 0, as: Int32.self) == 7)
                #expect(try bench.run("result = len(bytearray(100 << 20))").contains("MemoryError"))
                #expect(try bench.run("result = len(bytearray(30 << 20))") == "\(30 << 20)")
                #expect(try neighbour.line.run("result = 2") == "2")
            }
        }

        @Test(
            "What cannot be forked says so",
            arguments: [
                (
                    "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
                    "1 threads"
                ),
                ("kept = open('/function/main.py')", "left a file open: /function/main.py"),
                ("import mmap\nkept = mmap.mmap(-1, 4096)", "memory that processes share"),
                ("import os, time\nif os.fork() == 0: time.sleep(60)", "started a process"),
            ])
        func cannotFork(_ code: String, _ reason: String) throws {
            let bench = try ForkBench(main: code + "\ndef handle(event, context): return 1\n", letter: "e")
            defer { bench.close() }
            let (header, payload) = try bench.zygote.next()
            try #require(header.type == .error)
            let error = try ErrorPayload(parsing: payload.span.bytes)
            #expect(error.code == "cannot_fork")
            #expect(error.message.contains(reason), "\(error.message)")
        }

        @Test("More calls than it may have, or an order that it does not know, end it and everything in it")
        func brokenOrders() throws {
            for order in [FrameType.invoke, .fork] {
                try self.withBench { bench in
                    for _ in 0..<(order == .fork ? 4 : 1) { _ = try bench.fork() }
                    bench.zygote.send(order, stream: 77)
                    let event = try bench.event()
                    #expect(event.kind == NURSERY_EXITED.rawValue && event.code == 70 && event.flags == 0)
                }
            }
        }

        @Test("When its sandbox is killed, every call in it is over and the slot is empty")
        func killedWhole() throws {
            try self.withBench { bench in
                for _ in 0..<3 { _ = try bench.fork() }
                var request = nursery_request()
                request.magic = NURSERY_MAGIC
                request.operation = NURSERY_KILL.rawValue
                request.ticket = 1
                let event = try bench.exchange(request)
                #expect(event.kind == NURSERY_EXITED.rawValue && event.signal == SIGKILL && event.flags == 0)
            }
        }

        @Test("The nursery makes none for hostile code")
        func notForHostile() throws {
            try self.withBench { bench in
                var request = ForkBench.request(bundle: "f")
                request.ticket = 2
                request.isolation = 1
                let event = try bench.exchange(request)
                #expect(event.kind == NURSERY_FAILED.rawValue && event.flags == NURSERY_INVALID.rawValue)
            }
        }
    }
}
