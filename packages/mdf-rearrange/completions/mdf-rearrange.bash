# SPDX-License-Identifier: GPL-2.0-or-later
_mdf_rearrange() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}
    COMPREPLY=()
    case $before in
        '')
            mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        '')
            mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        --message-level)
            ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '-f --keep-partial --check --info --message-level --check-params -h --help -v --version' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi ;;
    esac
}
complete -o filenames -F _mdf_rearrange mdf-rearrange
