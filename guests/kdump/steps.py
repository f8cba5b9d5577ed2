# SPDX-License-Identifier: GPL-2.0-or-later
"""What the capture kernel runs, in the words of its shell: `step NAME COMMAND...`."""

from __future__ import annotations

DUMP = "makedumpfile -c -d 31 /proc/vmcore"

SAVE = f"""\
step dmesg makedumpfile --dump-dmesg /proc/vmcore dmesg
step dump {DUMP} dump
step reference reference -c -d 31 /proc/vmcore reference
step split makedumpfile --split -c -d 31 /proc/vmcore part1 part2
step elf makedumpfile -E -d 31 /proc/vmcore elf
"""

# What goes over the net arrives on the host; its server runs mdf-rearrange there, whatever it is asked for.
SEND = """\
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
chmod 600 /key
step ssh sh -c 'makedumpfile -F -c -d 31 /proc/vmcore | ssh {options} {user}@10.0.2.2 x'
"""

# The disk of /out has 4 MiB.
FAIL = f"""\
step full {DUMP} /out/dump
cp /out/dump full
rm /out/dump
step full-split makedumpfile --split -c -d 31 /proc/vmcore /out/part1 /out/part2
mkdir left
cp /out/part1 /out/part2 left
set -o pipefail
step pipe sh -c 'set -o pipefail; makedumpfile -F -c -d 31 /proc/vmcore 2>pipe.err | head -c 3000000 >pipe'
"""

RAW = "step raw cp /proc/vmcore vmcore\n"

# The machine is switched off while the dump is written.
POWER_CUT = f"""\
{DUMP} power >power.out 2>&1 &
until [ "$(find power -size +3000k 2>/dev/null)" ]; do
    kill -0 $! || {{ cat power.out; echo CAPTURE-FAILED; }} >/dev/console
    usleep 100000
done
sync
echo POWER-CUT >/dev/console
sleep 100
"""
