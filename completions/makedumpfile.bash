# SPDX-License-Identifier: GPL-2.0-or-later
_makedumpfile() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    [[ $word == = ]] && word=
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}
    COMPREPLY=()
    case $before in
        --extension|-x|-i|--xen-syms|--xen-vmcoreinfo|--config|--eppic|-g|--diskset)
            mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        --work-dir)
            mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        -d|-L|--splitblock-size|--xen_phys_start|--xen-page-state|--vtop|--num-threads|--cyclic-buffer|-b|--message-level)
            ;;
        *)
            if [[ $word == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '-d -e -X --trust-filter --extension -c -l -p -z -E -f -F -L --dry-run --split --splitblock-size -x -i --xen-syms --xen-vmcoreinfo --xen_phys_start --xen-page-state --vtop --config --eppic --num-threads --work-dir --cyclic-buffer -b --non-mmap --message-level -D --show-stats --check-params -h --help -v -R --keep-partial --reassemble --dump-dmesg --partial-dmesg --xen-dmesg --mem-usage --check-dump --json -g --diskset' -- "$word")
            else
                mapfile -t COMPREPLY < <(compgen -f -- "$word")
            fi ;;
    esac
}
complete -o filenames -F _makedumpfile makedumpfile
