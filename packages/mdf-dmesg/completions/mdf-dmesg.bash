# SPDX-License-Identifier: GPL-2.0-or-later
_mdf_dmesg() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}
    COMPREPLY=()
    case $before in
        -x|-i|--diskset)
            mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        --work-dir)
            mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        --message-level)
            ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '-f -F -x -i --work-dir --non-mmap --message-level -D --show-stats --check-params -h --help -v --dump-dmesg --partial-dmesg --diskset' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi ;;
    esac
}
complete -o filenames -F _mdf_dmesg mdf-dmesg
