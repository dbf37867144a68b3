package grub

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// The lines that mark our part of custom.cfg.
const (
	beginMark = "### BEGIN gitboot ###"
	endMark   = "### END gitboot ###"
)

// below has, for what a file system is on, the modules with which GRUB reads that.
var below = map[string][]string{
	deployment.AssembleLVM:  {"lvm"},
	deployment.AssembleRAID: {"mdraid1x", "mdraid09"},
}

// block returns our part of custom.cfg. If what it searches is not there, GRUB
// says so in one line and goes on with the distribution's menu. It leaves no
// variable behind but what gitboot.cfg sets on purpose.
func (s site) block() string {
	fs, file := s.menu()
	load := []string{"part_gpt", "part_msdos"}
	if module := modules[fs.Type]; module != "" {
		load = append(load, module)
	}
	for _, kind := range fs.Assembly.Kinds() {
		load = append(load, below[kind]...)
	}
	menu := `"(${gitboot_stage})"` + quote(path.Join(fs.Path, file))
	show := []string{
		"if [ -f " + menu + " ]; then",
		"  source " + menu,
		"fi",
	}
	if fs.Type == "btrfs" {
		show = fromTop(show)
	}
	return strings.Join(slices.Concat([]string{
		beginMark,
		"# Written by gitboot, which replaces these lines. Keep your own outside of them.",
	}, s.note(), []string{
		"for gitboot_module in " + strings.Join(load, " ") + "; do",
		`  if [ -f "${prefix}/${grub_cpu}-${grub_platform}/${gitboot_module}.mod" ]; then`,
		"    insmod ${gitboot_module}",
		"  fi",
		"done",
		"unset gitboot_module",
		"unset gitboot_stage",
		"search --no-floppy --fs-uuid --set=gitboot_stage " + fs.UUID,
	}, show, []string{
		"unset gitboot_stage",
		endMark,
	}), "\n") + "\n"
}

// split returns what is before, in and after our block. Without a block all
// is before it.
func split(custom []byte) (before, ours, after []byte, err error) {
	begin, end, offset := -1, -1, 0
	for line := range bytes.Lines(custom) {
		switch string(bytes.TrimRight(line, "\r\n")) {
		case beginMark:
			if begin >= 0 {
				return nil, nil, nil, errors.New("it has the line " + beginMark + " twice; remove gitboot's lines by hand")
			}
			begin = offset
		case endMark:
			if begin < 0 || end >= 0 {
				return nil, nil, nil, fmt.Errorf("it has the line %s without its beginning; remove gitboot's lines by hand", endMark)
			}
			end = offset + len(line)
		}
		offset += len(line)
	}
	switch {
	case begin < 0:
		return custom, nil, nil, nil
	case end < 0:
		return nil, nil, nil, fmt.Errorf("it has the line %s without its end; remove gitboot's lines by hand", beginMark)
	}
	return custom[:begin], custom[begin:end], custom[end:], nil
}

// withBlock puts our block where it is already, or at the end.
func withBlock(custom []byte, block string) ([]byte, error) {
	before, ours, after, err := split(custom)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(before)
	if ours == nil && len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return append(append(out, block...), after...), nil
}
