# SPDX-License-Identifier: GPL-2.0-or-later
_mdf_split() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}
    COMPREPLY=()
    case $before in
        --extension|-x|-i|--config|--eppic|--diskset)
            mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        --work-dir)
            mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        -d|-L|--splitblock-size|--vtop|--cyclic-buffer|-b|--message-level)
            ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '-d -e --trust-filter --extension -c -l -p -z -f -L --dry-run --split --splitblock-size -x -i --vtop --config --eppic --work-dir --cyclic-buffer -b --non-mmap --message-level -D --show-stats --check-params -h --help -v --diskset' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi ;;
    esac
}
complete -o filenames -F _mdf_split mdf-split
