package bootcode

import (
	"fmt"
	"strconv"
	"strings"
)

// A Console is a serial port that the menu is on, too.
type Console struct{ Unit, Speed int }

// SerialConsole is the last one that kernel arguments name, nil if none does
// (Documentation/admin-guide/serial-console.rst).
func SerialConsole(kernelArgs []string) (found *Console) {
	for _, arg := range kernelArgs {
		port, ok := strings.CutPrefix(arg, "console=ttyS")
		if !ok {
			continue
		}
		number, options, _ := strings.Cut(port, ",")
		unit, err := strconv.Atoi(number)
		if err != nil || unit < 0 || unit > 3 {
			continue
		}
		digits := len(options) - len(strings.TrimLeft(options, "0123456789"))
		speed, err := strconv.Atoi(options[:digits])
		if err != nil || speed <= 0 || speed > 4_000_000 {
			speed = 115200
		}
		found = &Console{unit, speed}
	}
	return found
}

// Config is the grub.cfg of a disk that has no other system: it reads custom.cfg, as
// any distribution's does, and has no entry of its own. A serial port is nil if there
// is none; a firmware's own console, which UEFI has, may be on it already.
func Config(serial *Console) string {
	var b strings.Builder
	b.WriteString(head)
	if serial != nil {
		fmt.Fprintf(&b, serialPort, serial.Unit, serial.Speed)
	}
	b.WriteString(tail)
	return b.String()
}

const head = `# Written by gitboot disk image. Changes stay; what boots is in gitboot's menu, which
# custom.cfg reads.
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ]; then
  set default="${next_entry}"
  set next_entry=
  save_env next_entry
  set boot_once=true
else
  set default="0"
fi
menuentry_id_option="--id"
export menuentry_id_option
set timeout=5
`

const serialPort = `if [ "${grub_platform}" != efi ]; then
  serial --unit=%d --speed=%d
  terminal_input serial console
  terminal_output serial console
fi
`

const tail = `if [ -f ${prefix}/custom.cfg ]; then
  source ${prefix}/custom.cfg
fi
`
