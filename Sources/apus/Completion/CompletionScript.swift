/// What a shell sources. The scripts only ask `apus` itself, so that they never go out of date.
enum CompletionScript {
    static let shells = ["bash", "zsh", "fish"]

    static func of(_ shell: String) -> String {
        switch shell {
        case "bash": Self.bash
        case "zsh": Self.zsh
        default: Self.fish
        }
    }

    private static let bash = """
        # bash completion of apus: put this into ~/.bashrc
        #   source <(apus completion bash)
        _apus() {
            local line word
            COMPREPLY=()
            while IFS= read -r line; do
                if [ "$line" = ":files" ]; then
                    compopt -o default
                    return
                fi
                word=${line%%$'\\t'*}
                COMPREPLY+=("$(printf '%q' "$word")")
            done < <(apus complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
        }
        complete -F _apus apus

        """

    private static let zsh = """
        #compdef apus
        # zsh completion of apus: put this into ~/.zshrc, after compinit
        #   source <(apus completion zsh)
        _apus() {
            local line
            local -a found
            while IFS= read -r line; do
                if [[ "$line" == ":files" ]]; then
                    _files
                    return
                fi
                found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
            done < <(apus complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
            _describe apus found
        }
        (( $+functions[compdef] )) && compdef _apus apus

        """

    private static let fish = """
        # fish completion of apus: apus completion fish > ~/.config/fish/completions/apus.fish
        function __apus_complete
            set -l found (apus complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)
            if test "$found[1]" = ":files"
                __fish_complete_path (commandline -ct)
            else
                string join \\n -- $found
            end
        end
        complete -c apus -f -a '(__apus_complete)'

        """
}
