import ApusCore
import Glibc
import Testing

extension SandboxTests {
    @Suite("Python in a sandbox")
    struct PythonTests {
        private func run(_ snippet: String) async throws -> Laboratory.Ending {
            guard let laboratory = Laboratory.shared else {
                throw ApusError(.sandboxUnavailable, "the nursery did not start")
            }
            return try await laboratory.run(laboratory.order(python: snippet))
        }

        @Test(
            "Ordinary code works: threads, asyncio, temporary files, hashes, locks, databases, forks"
        )
        func ordinaryCode() async throws {
            let ending = try await self.run(
                """
                import asyncio, threading, tempfile, hashlib, json, random, uuid, time, logging
                import concurrent.futures, decimal, zlib, sqlite3, os
                with tempfile.NamedTemporaryFile() as file: file.write(b"x"); file.flush()
                with concurrent.futures.ThreadPoolExecutor(4) as pool: assert sum(pool.map(abs, range(-10, 0))) == 55
                async def nothing(): await asyncio.sleep(0.001); return 3
                assert asyncio.run(nothing()) == 3
                assert len(hashlib.sha256(os.urandom(8)).hexdigest()) == 64
                base = sqlite3.connect("/tmp/base"); base.execute("create table a(b)"); base.commit()
                import multiprocessing; lock = multiprocessing.Lock()
                child = os.fork()
                if child == 0: os._exit(4)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
                print(os.getcwd(), os.environ["HOME"], uuid.uuid4() is not None)
                """)
            #expect(ending.output == "/function /tmp True\n", "\(ending.errors)")
            #expect(ending.exit == WorkerExit(code: 0, signal: nil))
        }

        @Test(
            "Code cannot read accounts, connect, or start programs",
            arguments: [
                ("open('/etc/shadow').read()", "FileNotFoundError"),
                ("__import__('socket').create_connection(('127.0.0.1', 1))", "OSError"),
                ("__import__('socket').getaddrinfo('example.com', 80)", "gaierror"),
                ("__import__('subprocess').run(['/bin/true'])", "PermissionError"),
                ("__import__('os').execv('/usr/bin/python3', ['python3'])", "PermissionError"),
                ("__import__('os').system('true') == 0 or 1 / 0", "ZeroDivisionError"),
                ("open('/function/x', 'w')", "OSError"),
                ("open('/usr/x', 'w')", "OSError"),
                ("__import__('os').setuid(0)", "PermissionError"),
                ("__import__('os').kill(2, 9)", "ProcessLookupError"),
            ])
        func refuses(_ expression: String, _ error: String) async throws {
            let ending = try await self.run(
                "try:\n    \(expression)\n    print('worked')\n"
                    + "except BaseException as error:\n    print(type(error).__name__)"
            )
            #expect(ending.output == "\(error)\n", "\(ending.errors)")
        }

        @Test("Killing through ctypes what no module offers does not help either")
        func rawCalls() async throws {
            let ending = try await self.run(
                """
                import ctypes, os
                c = ctypes.CDLL(None, use_errno=True)
                c.mmap.restype = ctypes.c_void_p
                print(c.ptrace(16, 1, 0, 0), ctypes.get_errno(), c.unshare(0x10000000), ctypes.get_errno())
                c.syscall(322, 1000, ctypes.c_void_p(16), None, None, 4096)
                print(ctypes.get_errno())
                """)
            #expect(ending.output == "-1 1 -1 1\n14\n", "\(ending.errors)")
        }
    }
}
