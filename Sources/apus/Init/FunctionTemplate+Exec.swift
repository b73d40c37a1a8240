extension FunctionTemplate {
    var execFiles: [File] {
        [
            File(path: "run.sh", text: Self.script, isExecutable: true),
            File(path: "test.sh", text: Self.scriptTest, isExecutable: true),
            File(path: ".apusignore", text: "test.sh\nREADME.md\n"),
        ]
    }

    private static let script = """
        #!/bin/sh
        # The event's data is standard input, its attributes are CE_ID, CE_TYPE, CE_SOURCE and so on. What goes to standard output is the
        # result, what goes to standard error is logged; an exit code other than 0 is a failed attempt.
        set -eu
        name=$(sed -n 's/.*"name"[^"]*"\\([^"]*\\)".*/\\1/p')
        echo "greeting ${name:-world}" >&2
        printf 'Hello, %s!\\n' "${name:-world}"

        """

    private static let scriptTest = """
        #!/bin/sh
        set -eu
        cd "$(dirname "$0")"
        answer=$(printf '{"name": "Ada"}' | ./run.sh 2>/dev/null)
        [ "$answer" = "Hello, Ada!" ] || { echo "unexpected: $answer" >&2; exit 1; }
        answer=$(./run.sh </dev/null 2>/dev/null)
        [ "$answer" = "Hello, world!" ] || { echo "unexpected: $answer" >&2; exit 1; }
        echo "2 tests passed"

        """
}
