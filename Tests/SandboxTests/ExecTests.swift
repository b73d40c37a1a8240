import ApusCore
import Glibc
import ApusTestSupport
import Testing

extension SandboxTests {
    @Suite("A command in a sandbox")
    struct ExecTests {
        /// Starts the worker for exec, has it run one command for one event, and returns what came.
        private func run(
            _ command: String, data: String = "", bounds: SandboxBounds = SandboxBounds()
        ) async throws -> ExecSession.Answer {
            guard let laboratory = Laboratory.shared else {
                throw ApusError(.sandboxUnavailable, "the nursery did not start")
            }
            let order = LaunchOrder(runtime: .exec, bundle: Laboratory.bundle, bounds: bounds)
            let worker = try await laboratory.launch(order)
            defer { Laboratory.close(worker) }
            let session = try ExecSession(worker)
            let answer = try session.call(command, data)
            session.drain()
            let exit = await laboratory.exit(of: worker)
            #expect(exit.isOrderly, "\(exit)")
            return answer
        }

        @Test("Ordinary commands work: pipes, awk, sed, sort, scripts of the bundle, temporary files")
        func ordinaryCommands() async throws {
            let answer = try await self.run(
                """
                set -e
                read line
                printf 'b\\na\\n' | sort | awk '{ print NR, $0 }' | sed s/a/A/ > /tmp/x
                cat /tmp/x
                echo "$line $HOME $(pwd) $(ls -d /function) $(id -u | wc -c)"
                mkdir /tmp/d; mv /tmp/x /tmp/d; ls /tmp/d
                date +%Y | wc -c; head -c 3 /dev/zero | od -An -tx1
                """, data: "hello\n")
            #expect(answer.text == "1 A\n2 b\nhello /tmp /function /function 11\nx\n5\n 00 00 00\n", "\(answer)")
        }

        @Test(
            "A command reads no accounts, connects nowhere, writes only to /tmp and starts only what is installed",
            arguments: [
                ("cat /etc/shadow", "No such file"), ("echo x > /function/x", "Read-only"),
                ("echo x > /usr/x", "Read-only"), ("cat /function/../../etc/shadow", "No such file"),
                ("cp /usr/bin/true /tmp/t; /tmp/t", "Permission denied"),
                ("/usr/bin/python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 1))'", "OSError"),
                ("/usr/bin/python3 -c 'import os; os.setuid(0)'", "PermissionError"),
                ("mount -t tmpfs x /tmp", ""), ("unshare -n true", "not permitted"),
                // The worker's own memory and pipes: undumpable, so that /proc hides it from the same user.
                ("cat /proc/1/environ", "No such file"), ("echo x > /proc/1/fd/4", "nonexistent"),
                ("head -c 1 /proc/1/mem", "No such file"),
                ("kill -9 1; echo it is still there >&2; exit 1", "still there"),
            ])
        func refuses(_ command: String, _ part: String) async throws {
            let answer = try await self.run(command)
            #expect(answer.isFailure, "\(command): \(answer)")
            #expect(answer.detail.contains(part) || answer.text.contains(part), "\(answer)")
        }

        @Test("What leaves its group ends with its invocation all the same")
        func nothingStaysBehind() async throws {
            guard let laboratory = Laboratory.shared else {
                throw ApusError(.sandboxUnavailable, "the nursery did not start")
            }
            let worker = try await laboratory.launch(LaunchOrder(runtime: .exec, bundle: Laboratory.bundle))
            defer { Laboratory.close(worker) }
            let session = try ExecSession(worker)
            _ = try session.call("setsid sleep 1000 </dev/null >/dev/null 2>&1 3>&- & echo started", "")
            let isAlone = waitUntil(seconds: 10) {
                // One process but the shell's own pipeline: the worker.
                let answer = try? session.call("ls -d /proc/[0-9]* | wc -l; cat /proc/[0-9]*/comm", "")
                return answer.map { !$0.text.contains("sleep") } ?? false
            }
            #expect(isAlone)
            session.drain()
            _ = await laboratory.exit(of: worker)
        }

        @Test("A fork bomb is bounded by the processes limit and ends with its invocation")
        func forkBomb() async throws {
            var bounds = SandboxBounds()
            bounds.processes = 16
            let answer = try await self.run(
                "i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i+1)); done; echo all started", bounds: bounds)
            #expect(answer.isFailure && answer.detail.contains("fork"), "\(answer)")
        }
    }
}
