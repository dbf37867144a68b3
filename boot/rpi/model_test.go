package rpi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A firmware is a model of a Raspberry Pi's, as far as its documentation says what it does
// (the package's doc has where): which files it reads of a boot partition, and what it starts
// by them.
type firmware struct {
	top string
	// model is the board's, as filters name it.
	model string
	// tryboot is the flag that a restart sets.
	tryboot bool
	// inFlash says that the bootloader in the EEPROM reads config.txt, which knows no include.
	inFlash bool
}

// A started is what the firmware has started.
type started struct {
	kernel, initramfs, arguments string
	// bits is 64 only if the kernel is started so.
	bits string
}

// boots is what a start of the board starts. Whatever that does, the flag is gone.
func (f *firmware) boots(t *testing.T) started {
	t.Helper()
	flag := f.tryboot
	f.tryboot = false
	file := "config.txt"
	if auto := f.settings(t, "autoboot.txt", flag); flag && auto["tryboot_a_b"] != "1" {
		file = "tryboot.txt"
	}
	s := f.settings(t, file, flag)
	if s["kernel"] == "" {
		return started{}
	}
	prefix := s["os_prefix"]
	if _, err := os.Stat(filepath.Join(f.top, prefix+s["kernel"])); err != nil || !strings.HasSuffix(prefix, "/") {
		prefix = ""
	}
	name := func(file string) string {
		if !strings.HasPrefix(file, "/") {
			file = "/" + prefix + file
		}
		return file
	}
	out := started{kernel: name(s["kernel"]), bits: "32"}
	if s["arm_64bit"] == "1" {
		out.bits = "64"
	}
	if ramfs, where, ok := strings.Cut(s["initramfs"], " "); ok && where == "followkernel" && s["auto_initramfs"] != "1" {
		out.initramfs = name(ramfs)
	}
	if s["cmdline"] == "" {
		s["cmdline"] = "cmdline.txt"
	}
	line, err := os.ReadFile(filepath.Join(f.top, name(s["cmdline"])))
	if err != nil {
		t.Errorf("the firmware finds no arguments: %v", err)
	}
	out.arguments = strings.TrimRight(string(line), "\n")
	return out
}

// lineLimit is how much of a line is read.
const lineLimit = 98

// settings are the last of each property that the filters let pass.
func (f *firmware) settings(t *testing.T, file string, flag bool) map[string]string {
	t.Helper()
	out := map[string]string{}
	f.read(t, file, flag, out)
	return out
}

func (f *firmware) read(t *testing.T, file string, flag bool, out map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.top, file))
	if err != nil {
		return
	}
	passes := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		line = strings.TrimSpace(line[:min(len(line), lineLimit)])
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case line == "[all]":
			clear(passes)
		case strings.HasPrefix(line, "[pi"):
			passes["model"] = line == "["+f.model+"]"
		case line == "[tryboot]":
			passes["tryboot"] = flag
		case strings.HasPrefix(line, "["):
			passes[line] = false // [none], another monitor's, another board's
		case blocked(passes):
		case strings.HasPrefix(line, "include "):
			if !f.inFlash {
				f.read(t, strings.TrimSpace(line[len("include "):]), flag, out)
			}
		case strings.HasPrefix(line, "initramfs "):
			out["initramfs"] = strings.TrimSpace(line[len("initramfs "):])
		default:
			if key, value, ok := strings.Cut(line, "="); ok {
				out[strings.TrimSpace(key)] = strings.TrimSpace(value)
			}
		}
	}
}

func blocked(passes map[string]bool) bool {
	for _, pass := range passes {
		if !pass {
			return true
		}
	}
	return false
}
