# SPDX-License-Identifier: GPL-2.0-or-later
_mdf_capture() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}
    COMPREPLY=()
    case $before in
        --extension|-x|-i|--config|--eppic|--diskset)
            mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        --work-dir)
            mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        -d|-L|--vtop|--num-threads|--cyclic-buffer|-b|--message-level)
            ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '-d -e --trust-filter --extension -c -l -p -z -E -f -F -L --dry-run -x -i --vtop --config --eppic --num-threads --work-dir --cyclic-buffer -b --non-mmap --message-level -D --show-stats --check-params -h --help -v --mem-usage --check-dump --json --diskset' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi ;;
    esac
}
complete -o filenames -F _mdf_capture mdf-capture
