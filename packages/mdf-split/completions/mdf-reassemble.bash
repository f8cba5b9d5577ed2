# SPDX-License-Identifier: GPL-2.0-or-later
_mdf_reassemble() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}
    COMPREPLY=()
    case $before in
        '')
            mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        --work-dir)
            mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        --message-level)
            ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '-f --work-dir --message-level -D --show-stats --check-params -h --help -v --reassemble' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi ;;
    esac
}
complete -o filenames -F _mdf_reassemble mdf-reassemble
